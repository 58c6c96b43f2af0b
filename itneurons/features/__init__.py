"""From images to features: networks by name, the activations of their layers, and principal components."""

from itneurons.features.backbones import LAYERS, choose_backbone, load_backbone
from itneurons.features.components import (
    linear_kernel,
    load_components,
    principal_components,
    store_components,
    what_components_are_made_of,
)
from itneurons.features.extraction import concatenate_layers, extract_activations, resize
from itneurons.features.kept import load_or_extract
from itneurons.features.stages import layer_shapes, stages_between

__all__ = [
    "LAYERS",
    "choose_backbone",
    "concatenate_layers",
    "extract_activations",
    "layer_shapes",
    "linear_kernel",
    "load_backbone",
    "load_components",
    "load_or_extract",
    "principal_components",
    "resize",
    "stages_between",
    "store_components",
    "what_components_are_made_of",
]
