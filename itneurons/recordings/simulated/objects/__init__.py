"""The 64 objects: their names, in the order of their categories, their shapes and canonical views."""

from functools import cache

from itneurons.recordings.schema import CATEGORIES, LISTED_CATEGORIES
from itneurons.recordings.simulated.objects import airplanes, animals, cars, chairs, faces, fruits, ships, tables
from itneurons.recordings.simulated.shapes import Solid, turn

MAKERS = {
    "animal": animals.MAKERS,
    "airplane": airplanes.MAKERS,
    "car": cars.MAKERS,
    "chair": chairs.MAKERS,
    "face": faces.MAKERS,
    "fruit": fruits.MAKERS,
    "ship": ships.MAKERS,
    "table": tables.MAKERS,
}


def _names(category):
    return LISTED_CATEGORIES.get(category) or tuple(f"{category}{number}" for number in range(1, 9))


OBJECTS = tuple(name for category in CATEGORIES for name in _names(category))

# how far the front is turned towards the viewer, and how far the top is tipped, in degrees
VIEWS = {
    "animal": (35, 10),
    "airplane": (40, 24),
    "car": (38, 16),
    "chair": (52, 16),
    "face": (68, 3),
    "fruit": (40, 22),
    "ship": (28, 14),
    "table": (35, 20),
}


def canonical_view(category):
    """Rotation (3, 3) that shows an object of the category from its most telling side."""
    yaw, pitch = VIEWS[category]
    return turn("x", pitch) @ turn("y", -yaw)


@cache
def solid(index):
    """The shape of an object by its index in OBJECTS."""
    category = CATEGORIES[index // 8]
    return Solid(MAKERS[category][index % 8](), canonical_view(category))
