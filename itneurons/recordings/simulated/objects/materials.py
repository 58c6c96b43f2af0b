"""What the objects are made of."""

from itneurons.recordings.simulated.shapes import Material


def matte(colour, **changes):
    return Material(colour, **changes)


def paint(colour, **changes):
    """Glossy lacquer."""
    return Material(colour, **{"gloss": 0.55, "shine": 60, "grain": 0.02, **changes})


def metal(colour=(0.75, 0.76, 0.78), **changes):
    return Material(colour, **{"gloss": 0.7, "shine": 50, "metal": 0.8, "grain": 0.03, **changes})


def glass(colour=(0.1, 0.13, 0.17), **changes):
    """Dark window panes."""
    return Material(colour, **{"gloss": 0.9, "shine": 80, "metal": 0.35, "grain": 0.0, **changes})


def rubber(colour=(0.11, 0.11, 0.12), **changes):
    return Material(colour, **{"gloss": 0.1, "shine": 8, **changes})


def wood(colour, second, wave=(6, 50, 20), **changes):
    return Material(colour, second, **{"wave": wave, "warp": 2.2, "sharpness": 1, "gloss": 0.18, **changes})


def cloth(colour, second=None, **changes):
    return Material(colour, second, **{"grain": 0.08, "bump": 0.12, "gloss": 0.02, "shine": 6, **changes})


def leather(colour, **changes):
    return Material(colour, **{"grain": 0.06, "bump": 0.06, "gloss": 0.3, "shine": 18, **changes})


def fur(colour, second=None, **changes):
    """Rough hair with soft blotches of the second colour."""
    defaults = {
        "warp": 1.5,
        "patch": 0.1,
        "sharpness": 0.5,
        "grain": 0.16,
        "bump": 0.3,
        "gloss": 0.05,
        "shine": 6,
        "soft": True,
    }
    return Material(colour, second, **{**defaults, **changes})


def skin(colour, **changes):
    flushed = (min(1, colour[0] * 1.04), colour[1] * 0.92, colour[2] * 0.9)
    defaults = {"warp": 1.5, "sharpness": 0.8, "grain": 0.03, "bump": 0.02, "gloss": 0.16, "shine": 14, "soft": True}
    return Material(colour, flushed, **{**defaults, **changes})


def hide(colour, **changes):
    """Thick wrinkled skin."""
    return Material(colour, **{"grain": 0.1, "bump": 0.2, "gloss": 0.08, "shine": 10, "soft": True, **changes})


CHROME = metal((0.82, 0.83, 0.85))
STEEL = metal((0.55, 0.57, 0.6))
BLACK = rubber()
DARK = matte((0.07, 0.07, 0.08))
WHITE = paint((0.93, 0.93, 0.9))
LAMP = paint((0.98, 0.96, 0.85), gloss=0.9)
RED_LAMP = paint((0.75, 0.08, 0.06), gloss=0.8)
OAK = wood((0.66, 0.47, 0.29), (0.5, 0.33, 0.19))
WALNUT = wood((0.42, 0.28, 0.19), (0.28, 0.18, 0.12))
PINE = wood((0.84, 0.68, 0.46), (0.72, 0.53, 0.33))
MAHOGANY = wood((0.47, 0.2, 0.13), (0.33, 0.12, 0.08), gloss=0.5, shine=50)

EYE_WHITE = paint((0.95, 0.94, 0.91), gloss=0.4)
PUPIL = paint((0.03, 0.03, 0.03), gloss=0.9)
LEAF = matte((0.3, 0.5, 0.2), gloss=0.2)
STEM = matte((0.4, 0.3, 0.17), bump=0.1)
