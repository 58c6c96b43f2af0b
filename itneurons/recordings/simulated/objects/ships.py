"""Eight ships and boats."""

import numpy as np

from itneurons.recordings.simulated.objects.airplanes import fin, wing
from itneurons.recordings.simulated.objects.materials import (
    BLACK,
    DARK,
    PINE,
    STEEL,
    WHITE,
    cloth,
    glass,
    matte,
    metal,
    paint,
    wood,
)
from itneurons.recordings.simulated.shapes import both_sides, box, ellipsoid, pillow, prism, tube, turn


def _hull(length, width, top, bottom, material, bow=0.35, stern=0.85, lean=0.25):
    """A hull that points to +x; ``bow`` is the share of its length that narrows."""
    half = width / 2
    start, straight = -length / 2, length / 2 - bow * length
    outline = [(start, -half * stern), (start + 0.1 * length, -half), (straight, -half)]
    outline += [(straight + 0.55 * bow * length, -half * 0.62), (length / 2, -0.02), (length / 2, 0.02)]
    outline += [(straight + 0.55 * bow * length, half * 0.62), (straight, half), (start + 0.1 * length, half)]
    outline += [(start, half * stern)]
    middle, height = (top + bottom) / 2, (top - bottom) / 2
    return prism(outline, height, material, lean=lean, axis="y", centre=(0, middle, 0), bevel=0.05)


def _funnel(x, y, z, height, radius, material, rake=0.1, band=None):
    top = (x - rake, y + height, z)
    parts = [
        tube((x, y, z), top, radius, material, radius * 0.9),
        tube(np.add(top, (0, -0.01, 0)), np.add(top, (0, 0.015, 0)), radius * 0.75, DARK),
    ]
    if band is not None:
        low, high = (
            np.array([x, y, z]) + 0.62 * np.subtract(top, (x, y, z)),
            np.array([x, y, z]) + 0.85 * np.subtract(top, (x, y, z)),
        )
        parts.append(tube(low, high, radius * 0.98, band))
    return parts


def _sail(corners, material, z=0.0):
    return prism(corners, 0.02, material, centre=(0, 0, z), bevel=0.02)


def container_ship():
    hull, red = matte((0.16, 0.2, 0.3), gloss=0.2), matte((0.5, 0.14, 0.1))
    colours = [
        (0.7, 0.25, 0.15),
        (0.2, 0.4, 0.6),
        (0.75, 0.6, 0.2),
        (0.3, 0.5, 0.35),
        (0.6, 0.6, 0.62),
        (0.45, 0.2, 0.2),
    ]
    ribs = {"wave": (90, 0, 0), "sharpness": 1.0}
    boxes = []
    for column, x in enumerate(np.arange(-0.75, 1.9, 0.54)):
        for level in range(3 if column < 4 else 2):
            for row, z in enumerate((0.24, -0.24)):
                colour = colours[(2 * column + 3 * level + row) % 6]
                second = tuple(0.75 * c for c in colour)
                material = matte(colour, second=second, **ribs)
                boxes.append(box((x, 0.63 + 0.22 * level, z), (0.26, 0.105, 0.23), material, bevel=0.015))
    return [
        _hull(5.4, 1.1, 0.52, 0.0, hull, bow=0.18, lean=0.15),
        _hull(4.62, 0.95, 0.02, -0.2, red, bow=0.18),
        *boxes,
        box((-1.75, 1.05, 0), (0.28, 0.55, 0.5), WHITE),
        box((-1.7, 1.5, 0), (0.26, 0.07, 0.52), glass()),
        box((-1.7, 1.63, 0), (0.3, 0.04, 0.6), WHITE),
        *_funnel(-2.2, 0.5, 0, 0.9, 0.17, paint((0.75, 0.3, 0.12)), rake=0.0),
    ]


def sailing_yacht():
    sail = cloth((0.95, 0.95, 0.92), gloss=0.1)
    return [
        _hull(3.4, 0.95, 0.35, -0.1, WHITE, bow=0.55, lean=0.35),
        _hull(3.3, 0.9, 0.37, 0.28, wood((0.6, 0.4, 0.24), (0.45, 0.28, 0.16)), bow=0.55, lean=0),
        pillow((-0.1, 0.45, 0), (0.65, 0.12, 0.26), WHITE),
        box((-0.1, 0.46, 0), (0.45, 0.05, 0.265), glass(), bevel=0.02),
        tube((0.15, 0.3, 0), (0.15, 3.6, 0), 0.045, STEEL, 0.025),
        tube((0.15, 0.72, 0), (-1.5, 0.7, 0.1), 0.035, STEEL),
        _sail([(0.1, 0.8), (0.1, 3.5), (-0.45, 2.3), (-1.1, 1.2), (-1.45, 0.76)], sail),
        _sail([(1.6, 0.42), (0.15, 3.2), (0.05, 1.4), (-0.05, 0.62)], sail).moved(turn("y", -5), (0, 0, 0.1)),
        prism([(-0.3, -0.55), (0.3, -0.55), (0.35, -0.05), (-0.35, -0.05)], 0.04, DARK),
        box((-1.55, 0.05, 0), (0.08, 0.3, 0.03), DARK),
    ]


def cruise_liner():
    portholes = matte((0.94, 0.94, 0.93), second=(0.15, 0.22, 0.32), wave=(70, 0, 0), threshold=0.0, sharpness=8)
    parts = [
        _hull(5.4, 1.1, 0.6, 0.0, paint((0.93, 0.93, 0.94)), bow=0.3, lean=0.2),
        _hull(4.5, 0.92, 0.06, -0.12, paint((0.15, 0.25, 0.5)), bow=0.3),
    ]
    for level in range(4):
        y, front = 0.68 + 0.2 * level, 1.5 - 0.2 * level
        parts.append(box((front / 2 - 1.2, y, 0), (front / 2 + 1.2, 0.06, 0.5), portholes, bevel=0.01))
        parts.append(box((front / 2 - 1.2, y + 0.09, 0), (front / 2 + 1.24, 0.035, 0.54), WHITE, bevel=0.02))
    parts += both_sides(
        [pillow((x, 0.68, 0.56), (0.18, 0.06, 0.06), paint((0.92, 0.5, 0.1))) for x in (-1.4, -0.8, -0.2, 0.4)]
    )
    parts += [box((0.95, 1.32, 0), (0.25, 0.06, 0.56), glass())]
    return parts + _funnel(-1.1, 1.4, 0, 0.6, 0.22, paint((0.15, 0.28, 0.55)), rake=0.25, band=WHITE)


def warship():
    grey = matte((0.5, 0.54, 0.58), gloss=0.15)

    def turret(x, y, way, size=1.0):
        barrels = [tube((x, y + 0.1, z), (x + way * 0.75 * size, y + 0.18, z), 0.03, STEEL) for z in (-0.07, 0.07)]
        return [box((x, y + 0.1, 0), (0.22 * size, 0.11, 0.2 * size), grey, bevel=0.08), *barrels]

    return [
        _hull(5.8, 0.95, 0.42, 0.0, grey, bow=0.4, lean=0.3),
        _hull(4.2, 0.69, 0.02, -0.15, matte((0.35, 0.12, 0.12)), bow=0.4),
        *turret(1.5, 0.42, 1),
        *turret(0.95, 0.6, 1),
        box((0.9, 0.5, 0), (0.3, 0.12, 0.28), grey),
        *turret(-1.8, 0.42, -1),
        box((0.0, 0.65, 0), (0.6, 0.26, 0.34), grey),
        box((0.2, 1.0, 0), (0.32, 0.18, 0.28), grey),
        box((0.25, 1.07, 0), (0.3, 0.05, 0.29), glass()),
        tube((0.05, 1.1, 0), (0.0, 2.1, 0), 0.06, grey, 0.03),
        box((0.02, 1.65, 0), (0.04, 0.03, 0.35), STEEL),
        box((0.02, 1.4, 0), (0.12, 0.1, 0.12), STEEL),
        *_funnel(-0.5, 0.5, 0, 0.75, 0.16, grey),
        *_funnel(-1.0, 0.45, 0, 0.65, 0.15, grey),
        box((-0.85, 0.55, 0), (0.6, 0.14, 0.3), grey),
    ]


def tugboat():
    green = paint((0.12, 0.35, 0.25))
    cabin = paint((0.85, 0.6, 0.3))
    fenders = both_sides([tube((x, 0.45, 0.68), (x, 0.45, 0.8), 0.17, BLACK, bevel=0.05) for x in (-1.0, -0.4, 0.2)])
    return [
        _hull(3.4, 1.4, 0.7, -0.1, green, bow=0.45, stern=0.75, lean=0.25),
        _hull(3.5, 1.45, 0.8, 0.68, BLACK, bow=0.45, stern=0.75, lean=0),
        *fenders,
        box((0.25, 1.05, 0), (0.62, 0.3, 0.42), cabin),
        box((0.45, 1.55, 0), (0.36, 0.28, 0.36), WHITE),
        box((0.46, 1.62, 0), (0.37, 0.12, 0.37), glass()),
        box((0.45, 1.86, 0), (0.44, 0.04, 0.44), cabin),
        *_funnel(-0.3, 1.0, 0, 1.1, 0.2, paint((0.7, 0.15, 0.12)), band=BLACK),
        tube((0.3, 1.86, 0), (0.3, 2.5, 0), 0.03, STEEL),
        tube((-1.1, 0.8, 0), (-1.1, 1.1, 0), 0.12, STEEL),
        ellipsoid((1.6, 0.7, 0), (0.15, 0.25, 0.25), BLACK),
    ]


def galleon():
    timber, sail = wood((0.47, 0.31, 0.19), (0.33, 0.2, 0.11), wave=(4, 70, 4)), cloth((0.88, 0.82, 0.68))
    parts = [
        _hull(3.6, 1.05, 0.55, -0.2, timber, bow=0.4, lean=0.4),
        prism([(-1.85, 0.4), (-0.8, 0.4), (-0.8, 0.85), (-1.95, 1.1)], 0.48, timber),
        prism([(1.1, 0.4), (1.75, 0.5), (1.85, 0.75), (1.0, 0.75)], 0.25, timber),
        tube((1.6, 0.65, 0), (2.7, 1.1, 0), 0.05, timber, 0.03),
        box((-0.4, 0.42, 0), (1.45, 0.03, 0.53), paint((0.75, 0.6, 0.3))),
        box((-1.93, 0.85, 0), (0.03, 0.12, 0.35), paint((0.8, 0.65, 0.3))),
        _sail([(2.6, 1.1), (1.2, 2.4), (1.25, 1.2)], sail),
    ]
    parts += both_sides([box((x, 0.22, 0.5), (0.07, 0.07, 0.04), DARK) for x in (-1.1, -0.6, -0.1, 0.4)])
    for x, height, width in ((1.0, 2.6, 0.7), (-0.1, 3.1, 0.85), (-1.2, 2.4, 0.6)):
        parts.append(tube((x, 0.5, 0), (x, height, 0), 0.055, timber, 0.035))
        for share in (0.38, 0.7):
            y = 0.5 + (height - 0.5) * share
            tall, broad = 0.17 * (height - 0.5), width * (1.25 - 0.5 * share)
            parts.append(tube((x, y + tall, -broad), (x, y + tall, broad), 0.03, timber))
            parts.append(
                ellipsoid(
                    (x, y, 0),
                    (0.26, tall * 1.5, broad * 1.25),
                    sail,
                    planes=[(-1, 0, 0, -0.25), (0, 1, 0, 0.62), (0, -1, 0, 0.62), (0, 0, 1, 0.76), (0, 0, -1, 0.76)],
                )
            )
        parts.append(_sail([(x, height), (x, height - 0.16), (x - 0.35, height - 0.08)], paint((0.7, 0.15, 0.12))))
    return parts


def submarine():
    steel = matte((0.24, 0.27, 0.3), gloss=0.35, shine=15)
    return [
        tube((1.8, 0, 0), (-1.4, 0, 0), 0.42, steel),
        ellipsoid((1.8, 0, 0), (0.7, 0.42, 0.42), steel),
        tube((-1.4, 0, 0), (-2.7, 0, 0), 0.42, steel, 0.08),
        box((-0.3, 0.4, 0), (1.9, 0.06, 0.2), DARK),
        prism([(0.2, 0.35), (1.0, 0.35), (0.9, 1.05), (0.25, 1.05)], 0.14, steel, lean=0.1, bevel=0.1),
        tube((0.6, 1.0, 0), (0.6, 1.6, 0), 0.04, STEEL),
        tube((0.4, 1.0, 0), (0.4, 1.4, 0), 0.03, STEEL),
        box((0.63, 1.6, 0), (0.08, 0.04, 0.04), STEEL),
        fin([(-2.65, 0), (-2.2, 0), (-2.3, 0.7), (-2.6, 0.7)], steel),
        fin([(-2.65, 0), (-2.6, -0.6), (-2.3, -0.6), (-2.2, 0)], steel),
        *both_sides(
            [
                wing((-2.2, -2.65), (-2.35, -2.6), 0.75, 0, steel),
                wing((0.85, 0.4), (0.75, 0.5), 0.55, 0.85, steel, root_z=0.1),
            ]
        ),
        *[
            pillow((0, 0.17, 0), (0.03, 0.2, 0.08), metal((0.8, 0.6, 0.3)), turn("y", 30)).moved(
                turn("x", 72 * k), (-2.75, 0, 0)
            )
            for k in range(5)
        ],
    ]


def rowing_boat():
    blue, timber = paint((0.25, 0.5, 0.7), gloss=0.3), PINE
    return [
        _hull(3.2, 1.25, 0.55, -0.05, blue, bow=0.55, stern=0.6, lean=0.45),
        _hull(3.3, 1.3, 0.6, 0.52, timber, bow=0.55, stern=0.6, lean=0.0),
        # the dark inside, a little smaller than the rim
        _hull(2.9, 1.05, 0.615, 0.5, wood((0.32, 0.22, 0.15), (0.24, 0.16, 0.1)), bow=0.55, stern=0.6, lean=0.0),
        *[box((x, 0.61, 0), (0.13, 0.03, 0.52 if x < 0.5 else 0.33), timber) for x in (-0.95, -0.1, 0.75)],
        *both_sides(
            [
                tube((-0.2, 0.8, 0.25), (-0.55, 0.35, 1.55), 0.035, timber),
                pillow((-0.62, 0.27, 1.8), (0.1, 0.03, 0.3), paint((0.75, 0.2, 0.15)), turn("x", 20)),
                box((-0.28, 0.68, 0.6), (0.04, 0.06, 0.03), STEEL),
            ]
        ),
    ]


MAKERS = (container_ship, sailing_yacht, cruise_liner, warship, tugboat, galleon, submarine, rowing_boat)
