"""Which layers of a network are scored, and what of each: all of it, or the class token, or the mean over tokens."""

import difflib
from fnmatch import fnmatchcase

from itneurons.features.stages import layer_shapes

TOKENS = ("all", "class", "mean")


def choose_layers(model, layers="stages", tokens="all"):
    """The layers to score, in the order in which an image meets them.

    Parameters
    ----------
    model : torch.nn.Module
        Of ``load_backbone``.
    layers : str or sequence of str
        ``"stages"`` for ``model.layers``, ``"all"`` for every layer that gives one tensor with a row for each image
        and not just what another one gives, or names, with ``*`` and ``?`` as in file names.
    tokens : {"all", "class", "mean"}
        What of a transformer's tokens: all, flattened; the class token; or their mean.

    Returns
    -------
    shapes : dict of str to tuple of int
        What is scored of each layer, for an image.
    reasons : dict of str to str
        Why other layers that were asked for are left out.

    Raises
    ------
    ValueError
        If a name matches no layer, no layer can serve, or the network has no class token.
    """
    if tokens not in TOKENS:
        raise ValueError(f"tokens are {' or '.join(TOKENS)}, not {tokens!r}")
    if tokens == "class" and not _has_class_token(model):
        raise ValueError("The network has no class token: take tokens all or mean")
    shapes, reasons = layer_shapes(model, distinct=layers == "all")
    if layers == "stages":
        wanted = set(model.layers)
    elif layers == "all":
        wanted = {*shapes, *reasons}
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        names = [*shapes, *reasons]
        wanted = set()
        for pattern in patterns:
            matched = [name for name in names if fnmatchcase(name, pattern)]
            if not matched:
                near = difflib.get_close_matches(pattern, names, n=4) or list(shapes)[:8]
                raise ValueError(f"No layer matches {pattern!r}. Nearest are {', '.join(near)}")
            wanted |= set(matched)
    chosen = {name: _kept(shape, tokens) for name, shape in shapes.items() if name in wanted}
    if not chosen:
        reason = next((f" ({name} {reason})" for name, reason in reasons.items() if name in wanted), "")
        raise ValueError(f"None of the layers asked for can be scored{reason}")
    return chosen, {name: reason for name, reason in reasons.items() if name in wanted}


def pooled(output, tokens="all"):
    """What is scored of what a layer gives (n_images, ...): flattened, places before channels where there are both."""
    if output.dim() == 3 and tokens != "all":
        return output[:, 0] if tokens == "class" else output.mean(dim=1)
    # as it lies in memory: the order of the features does not matter, as long as it is the same for all images
    return (output.movedim(1, -1) if output.dim() == 4 else output).flatten(1)


def _kept(shape, tokens):
    return shape[1:] if len(shape) == 2 and tokens != "all" else shape


def _has_class_token(model):
    return any(name.rpartition(".")[2] in ("cls_token", "class_token") for name, _ in model.named_parameters())
