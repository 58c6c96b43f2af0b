"""Layers of a network: which there are and can serve, which stand for its stages, and what lies between two of them.

Nothing here knows a network by its names. Stages are found from the shapes of what the layers give: a convolutional
network goes down in resolution step by step, and a stage ends with the last map of a resolution.
"""

import difflib
import inspect
import math
from collections import Counter

import torch
from torch import fx, nn
from torchvision.models import ResNet

LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4", "avgpool")
# of a network without maps, such as a vision transformer, at most this many blocks stand for its stages
_N_BLOCKS = 6
_THE_SAME = "gives what"
# activation functions that look at one value at a time and have no parameters
_ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh),
)
# an error names at most so many layers
_N_NAMED = 60


def one_tensor(output):
    """The tensor that a layer gives, alone or as the only one in a tuple (attention without its weights), or None."""
    if torch.is_tensor(output):
        return output
    tensors = [part for part in output if torch.is_tensor(part)] if isinstance(output, (tuple, list)) else []
    others = [part for part in output if part is not None] if tensors else []
    return tensors[0] if len(tensors) == len(others) == 1 else None


def layer_shapes(model, input_size=None, distinct=False):
    """What each layer gives for an image, without computing it: a pass on torch's meta device.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    input_size : int, optional
        Height and width of the image; ``model.input_size`` when left out.
    distinct : bool
        Leave out layers that pass on what they are given (dropout, flattening), and those that give what the last
        layer inside them gives.

    Returns
    -------
    shapes : dict of str to tuple of int
        Of the layers that give one tensor with a row for each image, in the order in which they finish.
    reasons : dict of str to str
        Why any other layer cannot serve.

    Raises
    ------
    ValueError
        If the network does not take images of that size.
    """
    size, n_images = input_size or model.input_size, 2
    shapes, reasons, calls, again = {}, {}, Counter(), {}
    given, latest = {}, ("", None, None)

    def note_input(name):
        def hook(module, inputs):
            tensor = one_tensor(inputs)
            given[name] = None if tensor is None else (_content(tensor), tensor._version)

        return hook

    def note(name):
        def hook(module, inputs, output):
            nonlocal latest
            calls[name] += 1
            tensor = one_tensor(output)
            if tensor is not None:
                # a ReLU that works in place gives the same memory with other content: its version tells
                if given[name] == (_content(tensor), tensor._version):
                    again[name] = None
                elif latest[0].startswith(f"{name}.") and latest[1] is tensor and latest[2] == tensor._version:
                    again[name] = latest[0]
                latest = name, tensor, tensor._version
            if tensor is None:
                reasons[name] = "gives several tensors, or none"
            elif tensor.dim() < 2 or len(tensor) != n_images:
                reasons[name] = f"gives {tuple(tensor.shape)} for {n_images} images, no row for each"
            else:
                shapes[name] = tuple(tensor.shape[1:])

        return hook

    named = {name: module for name, module in model.named_modules() if name}
    handles = [module.register_forward_hook(note(name)) for name, module in named.items()]
    handles += [module.register_forward_pre_hook(note_input(name)) for name, module in named.items()]
    try:
        _imagine(model, size, n_images, lambda: [kept.clear() for kept in (shapes, reasons, calls, again)])
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"The network does not take images of {size} x {size} pixels ({reason}); its input_size must say which"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    reasons |= {name: f"is used {n} times for an image" for name, n in calls.items() if n > 1}
    reasons |= {name: "is not reached by the forward pass" for name in named if not calls[name]}
    for name, inside in again.items() if distinct else ():
        # inner layers first: what gives the same as one that cannot serve stands for it
        if name not in reasons and (inside is None or inside not in reasons or reasons[inside].startswith(_THE_SAME)):
            reasons[name] = "passes on what it is given" if inside is None else f"{_THE_SAME} {inside} gives"
    return {name: shape for name, shape in shapes.items() if name not in reasons}, reasons


@torch.no_grad()
def _imagine(model, size, n_images, start_again):
    """A pass on torch's meta device, which computes nothing; a network that looks at numbers gets real ones."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    try:
        shadow = {name: value.to("meta") for name, value in state.items()}
        torch.func.functional_call(model, shadow, torch.zeros(n_images, 3, size, size, device="meta"))
    except Exception:
        start_again()
        where = next(iter(state.values()), torch.zeros(())).device
        model(torch.zeros(n_images, 3, size, size, device=where))


def elementwise_layers(model, layers):
    """Layers that are a function, value by value, of what another layer gives, such as the ReLU after a convolution.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode, with ``input_size``.
    layers : sequence of str
        Which may serve, each used once for an image, as ``layer_shapes`` has them.

    Returns
    -------
    sources : dict of str to str
        The layer whose values each one takes, which takes no other layer's itself.
    """
    given, sources = {}, {}

    def note_input(name):
        def hook(module, inputs):
            tensor = one_tensor(inputs)
            for source, (output, version) in given.items() if tensor is not None else ():
                # the same memory, and nothing written into it since
                if _content(output) == _content(tensor) and version == tensor._version and source not in sources:
                    sources[name] = source

        return hook

    def note(name):
        def hook(module, inputs, output):
            # kept, so that nothing else takes its place in memory
            given[name] = (one_tensor(output), one_tensor(output)._version)

        return hook

    modules = dict(model.named_modules())
    functions = [name for name in layers if type(modules[name]) in _ELEMENTWISE]
    if not functions:
        return {}
    handles = [modules[name].register_forward_pre_hook(note_input(name)) for name in functions]
    handles += [modules[name].register_forward_hook(note(name)) for name in layers]
    try:
        _imagine(model, model.input_size, 2, lambda: [kept.clear() for kept in (given, sources)])
    finally:
        for handle in handles:
            handle.remove()
    return sources


def _content(tensor):
    """What tells whether two tensors hold the same: their place in memory and their number of values."""
    return tensor.untyped_storage()._cdata, tensor.numel()


def stage_layers(model):
    """Names of the layers that stand for the stages of a network, from image to categories.

    The last map of each resolution (halved once, twice, ...), and the first layer after them whose output has no places
    any more. So the third from the end is what layer3 is in a ResNet. timm's networks tell their stages themselves
    (``feature_info``). Where there are no maps, as in a vision transformer, blocks at even distances, six at most.

    Parameters
    ----------
    model : torch.nn.Module
        With ``input_size``, in evaluation mode.

    Returns
    -------
    layers : tuple of str

    Raises
    ------
    ValueError
        If no layer can serve.
    """
    if isinstance(model, ResNet):
        # the stem as the convolution leaves it, before the ReLU, and in this order since the first version
        return LAYERS
    shapes, _ = layer_shapes(model)
    told = [stage for stage in _told_by_timm(model) if stage["module"] in shapes and stage["reduction"] > 1]
    if len(told) > 1 and len({stage["reduction"] for stage in told}) == 1:
        return _evenly([stage["module"] for stage in told])
    ends = [stage["module"] for stage in told] or _ends_of_resolutions(model, shapes)
    return (*ends, *_pooled(shapes, ends[-1])) if len(ends) > 1 else _evenly(_blocks(model, shapes))


def stages_between(model, below, until):
    """The part of a network that leads from the output of one layer to the output of a later one.

    Parameters
    ----------
    model : torch.nn.Module
    below, until : str
        Names of layers.

    Returns
    -------
    part : torch.fx.GraphModule
        Takes what ``below`` gives and gives what ``until`` gives. Its parameters are those of ``model``, not copies,
        under the same names.

    Raises
    ------
    ValueError
        If there is no such layer, or ``until`` needs something else than ``below``.
    """
    unknown = unknown_layers(model, (below, until))
    if unknown:
        raise ValueError(unknown)
    try:
        # images are the only input: what else the network would take keeps its default
        options = list(inspect.signature(model.forward).parameters.values())[1:]
        defaults = {option.name: option.default for option in options if option.default is not option.empty}
        graph = _Outline(below, until).trace(model, concrete_args=defaults)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"The network cannot be taken apart at {below} and {until}, for its path depends on what it sees ({reason})"
        ) from error
    calls = {name: [node for node in graph.nodes if node.target == name] for name in (below, until)}
    for end, nodes in calls.items():
        if len(nodes) != 1:
            raise ValueError(f"The layer {end} is used {len(nodes)} times for an image, so that no stage ends there")
    (start,), (end,) = calls.values()
    needed, waiting = set(), [end]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += [] if node is start else node.all_input_nodes
    if start not in needed:
        raise ValueError(f"{until} does not depend on {below}: name the earlier layer first")
    if any(node.op == "placeholder" for node in needed):
        raise ValueError(f"{until} needs more than {below} gives: the network is no chain between them")
    with graph.inserting_before(start):
        entrance = graph.placeholder("activations")
    start.replace_all_uses_with(entrance)
    output = next(node for node in graph.nodes if node.op == "output")
    output.args = (end,)
    for node in reversed(graph.nodes):
        if node is start or node not in {*needed, entrance, output}:
            graph.erase_node(node)
    part = fx.GraphModule(model, graph)
    for user in entrance.users:
        if user.op == "call_module" and getattr(part.get_submodule(user.target), "inplace", False):
            # a ReLU that comes first must not overwrite the activations that it is given
            part.get_submodule(user.target).inplace = False
    return part


def unknown_layers(model, layers):
    """What to say of layers that a network does not have: the nearest names, and those it has. Empty if it has all."""
    names = [name for name, _ in model.named_modules() if name]
    unknown = [layer for layer in layers if layer not in names]
    if not unknown:
        return ""
    near = list(dict.fromkeys(name for layer in unknown for name in difflib.get_close_matches(layer, names, n=3)))
    nearest = f" Nearest are {', '.join(near)}." if near else ""
    # down to the level at which they get many: for a transformer this shows its blocks
    levels = Counter(name.count(".") for name in names)
    deepest = max([0, *(level for level in levels if sum(levels[n] for n in range(level + 1)) <= _N_NAMED)])
    shown = [name for name in names if name.count(".") <= deepest]
    more = f", and {len(names) - len(shown[:_N_NAMED])} more inside these" if len(names) > len(shown[:_N_NAMED]) else ""
    return f"The network has no layer {', '.join(unknown)}; it has {', '.join(shown[:_N_NAMED])}{more}.{nearest}"


class _Outline(fx.Tracer):
    """Records how a network joins its parts, and opens only those that hold one of the layers asked for.

    Blocks whose inside cannot be traced do not matter this way.
    """

    def __init__(self, *ends):
        super().__init__()
        self.ends = ends

    def is_leaf_module(self, module, name):
        return not any(end.startswith(f"{name}.") for end in self.ends)


def _told_by_timm(model):
    """Stages as the network itself, or the one that it holds, tells them: dicts with ``module`` and ``reduction``."""
    teller = next(((name, part) for name, part in model.named_modules() if hasattr(part, "feature_info")), ("", model))
    name, info = teller[0], getattr(teller[1], "feature_info", None)
    info = getattr(info, "info", info)
    fits = isinstance(info, (list, tuple)) and all(isinstance(stage, dict) for stage in info)
    told = [stage for stage in info if {"module", "reduction"} <= stage.keys()] if fits else []
    return [{**stage, "module": f"{name}.{stage['module']}".lstrip(".")} for stage in told]


def _ends_of_resolutions(model, shapes):
    modules, halvings = dict(model.named_modules()), {}
    for name, shape in shapes.items():
        # a layer that pools to a fixed grid belongs to no resolution
        places = 0 if isinstance(modules[name], nn.AdaptiveAvgPool2d) else _places(shape)
        if places > 1 and round(math.log2(model.input_size / places)) > 0:
            halvings.setdefault(round(math.log2(model.input_size / places)), []).append(name)
    ends = []
    for _, names in sorted(halvings.items()):
        # what holds an earlier stage is the whole network rather than a stage
        names = [name for name in names if not any(end.startswith(f"{name}.") for end in ends)]
        outermost = min((name.count(".") for name in names), default=0)
        ends += [name for name in names if name.count(".") == outermost][-1:]
    return ends


def _places(shape):
    """Height and width of a square map, with its channels first or last; 0 for what is no map."""
    if len(shape) != 3:
        return 0
    return shape[1] if shape[1] == shape[2] else shape[0] if shape[0] == shape[1] else 0


def _pooled(shapes, last):
    """The first layer after ``last`` whose output has no places, with all that only wraps it; empty without one."""
    names = list(shapes)
    after = [name for name in names[names.index(last) + 1 :] if math.prod(shapes[name][1:]) == 1]
    if not after:
        return ()
    n_features = shapes[after[0]][0]
    whole = (name for name in after if after[0].startswith(f"{name}.") and shapes[name][0] == n_features)
    return (min([after[0], *whole], key=len),)


def _blocks(model, shapes):
    """The longest sequence of blocks of one kind that give the same shape; without one, the outermost layers."""
    modules, sequences = dict(model.named_modules()), {}
    for name, shape in shapes.items():
        if next(modules[name].children(), None) is not None:
            kind = name.rpartition(".")[0], type(modules[name]), shape
            sequences.setdefault(kind, []).append(name)
    longest = max(sequences.values(), key=len, default=[])
    blocks = longest if len(longest) > 1 else [name for name in shapes if "." not in name] or list(shapes)
    if not blocks:
        raise ValueError("No layer of the network gives one tensor with a row for each image")
    return blocks


def _evenly(names):
    n_kept = min(_N_BLOCKS, len(names))
    return tuple(names[len(names) * (index + 1) // n_kept - 1] for index in range(n_kept))


def at_places(maps, places):
    """Maps brought to a number of places: finer ones averaged over each place, coarser ones interpolated.

    Parameters
    ----------
    maps : tensor of shape (n_images, n_channels, height, width)
        Gradients pass through.
    places : sequence of two int

    Returns
    -------
    maps : tensor of shape (n_images, n_channels, *places)
    """
    averaged = nn.functional.adaptive_avg_pool2d(maps, [min(n, m) for n, m in zip(maps.shape[2:], places)])
    return nn.functional.interpolate(averaged, size=tuple(places), mode="bilinear")
