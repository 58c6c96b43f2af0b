"""Where a neuron looks: what in an image its predicted rate hangs on, and the mean of it as a receptive field."""

import torch


def attribution(neurons, image, neuron, method="integrated_gradients", n_steps=32, patch=16, stride=8):
    """What each place of an image adds to a neuron's rate, by captum.

    Parameters
    ----------
    neurons : NeuronModel
    image : picture or stimulus
        One, as ``NeuronModel.predict`` takes it.
    neuron : int
    method : {"integrated_gradients", "occlusion"}
        Integrated gradients (Sundararajan, Taly and Yan 2017) on the way from mean grey to the image; or by how much
        the rate falls when a patch of mean grey covers the place (Zeiler and Fergus 2014).
    n_steps : int
        Of integrated gradients.
    patch, stride : int
        Of occlusion, in pixels of the network's input.

    Returns
    -------
    map : array of shape (input_size, input_size)
        In the unit of the rates, positive where the image drives the neuron; that of integrated gradients sums up to
        the rate's difference from that to mean grey. Mean over members.

    Raises
    ------
    ValueError
        If there is no such neuron or method, or not one image.
    """
    # captum brings matplotlib with it
    from captum.attr import IntegratedGradients, Occlusion

    [neuron] = neurons.checked(neuron)
    stimulus = neurons.stimuli(image)
    if len(stimulus) != 1:
        raise ValueError(f"{len(stimulus)} pictures were given that can be shown; an attribution is of one")

    def rate(stimuli):
        return neurons.rates(stimuli).mean(dim=0)

    if method == "integrated_gradients":
        found = IntegratedGradients(rate).attribute(stimulus, target=neuron, n_steps=n_steps, internal_batch_size=32)
    elif method == "occlusion":
        with torch.no_grad():
            found = Occlusion(rate).attribute(
                stimulus, (3, patch, patch), strides=(3, stride, stride), target=neuron, perturbations_per_eval=32
            )
        # every channel of a pixel carries the fall of the rate
        found = found / 3
    else:
        raise ValueError(f"method is {method!r}, expected integrated_gradients or occlusion")
    return found[0].sum(dim=0).detach().cpu().numpy()
