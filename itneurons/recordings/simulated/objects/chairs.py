"""Eight chairs, from a ladder-back to a deck chair."""

import numpy as np

from itneurons.recordings.simulated.objects.materials import (
    BLACK,
    CHROME,
    MAHOGANY,
    OAK,
    PINE,
    STEEL,
    WALNUT,
    cloth,
    leather,
    metal,
    paint,
    rubber,
)
from itneurons.recordings.simulated.shapes import both_sides, box, ellipsoid, limb, pillow, prism, tube, turn


def _legs(x, z, top, material, radius=0.06, splay=0.0, end_radius=None):
    """Four legs from the height ``top`` to the floor at y = 0."""
    return both_sides(
        [
            tube((side * x, top, z), (side * (x + splay), 0, z + splay), radius, material, end_radius or radius * 0.8)
            for side in (1, -1)
        ]
    )


def ladder_chair():
    return [
        box((0, 0.95, 0), (0.5, 0.05, 0.5), cloth((0.72, 0.6, 0.38), (0.6, 0.47, 0.27), wave=(60, 0, 60)), bevel=0.05),
        *both_sides(
            [
                box((0.43, 0.47, 0.43), (0.06, 0.47, 0.06), OAK),
                box((-0.5, 1.05, 0.43), (0.055, 1.07, 0.055), OAK, turn("z", 4)),
                box((0, 0.4, 0.43), (0.42, 0.035, 0.03), OAK),
            ]
        ),
        *[box((-0.53 - 0.07 * (y - 1.4), y, 0), (0.025, 0.09, 0.42), OAK) for y in (1.3, 1.62, 1.94)],
        box((0.43, 0.45, 0), (0.03, 0.035, 0.42), OAK),
    ]


def armchair():
    fabric = cloth((0.58, 0.24, 0.22))
    return [
        pillow((0.02, 0.42, 0), (0.72, 0.28, 0.78), fabric),
        pillow((0.1, 0.75, 0), (0.62, 0.16, 0.55), fabric),
        pillow((-0.62, 1.05, 0), (0.24, 0.68, 0.72), fabric, turn("z", 10)),
        *both_sides(
            [
                pillow((0.05, 0.72, 0.74), (0.72, 0.38, 0.2), fabric),
                tube((-0.55, 1.08, 0.74), (0.75, 1.08, 0.74), 0.23, fabric, bevel=0.1),
                tube((0.6, 0.18, 0.65), (0.62, 0, 0.67), 0.08, WALNUT, 0.05),
                tube((-0.6, 0.18, 0.65), (-0.62, 0, 0.67), 0.08, WALNUT, 0.05),
            ]
        ),
    ]


def office_chair():
    fabric = cloth((0.17, 0.2, 0.26))
    plastic = rubber((0.14, 0.14, 0.15), gloss=0.3)
    parts = [
        pillow((0.03, 0.95, 0), (0.5, 0.11, 0.52), fabric),
        pillow((-0.52, 1.65, 0), (0.1, 0.52, 0.45), fabric, turn("z", 6)),
        box((-0.5, 1.05, 0), (0.03, 0.3, 0.08), plastic, turn("z", 3)),
        tube((0, 0.9, 0), (0, 0.2, 0), 0.06, CHROME),
        tube((0, 0.55, 0), (0, 0.22, 0), 0.1, plastic),
        *both_sides(
            [
                *limb((-0.15, 1.25, 0.56), (0.3, 1.25, 0.56), 0.055, plastic),
                tube((0.0, 1.25, 0.56), (-0.02, 0.9, 0.48), 0.04, plastic),
            ]
        ),
    ]
    for angle in np.deg2rad(np.arange(5) * 72 + 18):
        foot = np.array([0.62 * np.cos(angle), 0.1, 0.62 * np.sin(angle)])
        parts += [tube((0, 0.24, 0), foot + (0, 0.05, 0), 0.07, plastic, 0.04), ellipsoid(foot, 0.08, BLACK)]
    return parts


def bar_stool():
    seat = leather((0.75, 0.7, 0.6))
    parts = [
        tube((0, 1.5, 0), (0, 1.66, 0), 0.44, seat, bevel=0.07),
        pillow((-0.42, 1.95, 0), (0.06, 0.14, 0.38), seat),
        *both_sides([tube((-0.3, 1.6, 0.2), (-0.42, 1.95, 0.22), 0.03, CHROME)]),
        *_legs(0.28, 0.28, 1.5, CHROME, radius=0.04, splay=0.16),
    ]
    ring = [(np.cos(a) * 0.53, 0.5, np.sin(a) * 0.53) for a in np.deg2rad(np.arange(8) * 45 + 45)]
    return parts + [tube(a, b, 0.03, CHROME) for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True)]


def rocking_chair():
    parts = [
        pillow((0, 0.95, 0), (0.52, 0.06, 0.52), MAHOGANY, turn("z", 5)),
        pillow((-0.72, 2.05, 0), (0.05, 0.12, 0.52), MAHOGANY, turn("z", 14)),
    ]
    parts += [tube((-0.46, 0.95, z), (-0.7, 2.0, z * 1.15), 0.025, MAHOGANY) for z in np.linspace(-0.4, 0.4, 6)]
    arc = [(1.0 * np.sin(a), 1.5 - 1.42 * np.cos(a), 0.45) for a in np.deg2rad([-48, -28, -9, 9, 28, 45])]
    side = [tube(a, b, 0.055, MAHOGANY) for a, b in zip(arc[:-1], arc[1:], strict=True)]
    side += [
        tube((0.4, 0.95, 0.42), (0.42, 0.12, 0.45), 0.045, MAHOGANY),
        tube((-0.4, 0.95, 0.42), (-0.44, 0.14, 0.45), 0.045, MAHOGANY),
        tube((0.38, 0.95, 0.47), (0.36, 1.4, 0.5), 0.04, MAHOGANY),
        *limb((-0.6, 1.42, 0.5), (0.48, 1.4, 0.52), 0.05, MAHOGANY),
    ]
    return parts + both_sides(side)


def shell_chair():
    shell = paint((0.2, 0.52, 0.62), gloss=0.35)
    return [
        pillow((0.05, 0.95, 0), (0.5, 0.07, 0.5), shell, turn("z", 4), bevel=0.06),
        ellipsoid((-0.35, 1.02, 0), (0.28, 0.16, 0.48), shell),
        ellipsoid((-0.5, 1.4, 0), (0.1, 0.55, 0.5), shell, turn("z", 12)),
        *both_sides([ellipsoid((-0.05, 1.08, 0.45), (0.45, 0.14, 0.1), shell, turn("x", 20))]),
        *_legs(0.3, 0.3, 0.92, STEEL, radius=0.04, splay=0.14),
    ]


def throne():
    gold = metal((0.83, 0.62, 0.25))
    velvet = cloth((0.4, 0.1, 0.35))
    return [
        pillow((0.03, 0.92, 0), (0.48, 0.12, 0.48), velvet),
        box((0, 0.76, 0), (0.54, 0.07, 0.56), gold),
        box((-0.52, 1.6, 0), (0.06, 0.78, 0.54), gold, turn("z", 3)),
        pillow((-0.45, 1.6, 0), (0.07, 0.62, 0.4), velvet, turn("z", 3)),
        prism([(-0.55, 2.3), (0.55, 2.3), (0.3, 2.55), (0.0, 2.75), (-0.3, 2.55)], 0.06, gold).moved(
            turn("y", 90), (-0.57, 0.05, 0)
        ),
        ellipsoid((-0.57, 2.85, 0), 0.11, gold),
        *both_sides(
            [
                box((0.48, 0.38, 0.5), (0.07, 0.38, 0.07), gold),
                box((-0.5, 0.38, 0.5), (0.07, 0.38, 0.07), gold),
                *limb((-0.45, 1.35, 0.56), (0.5, 1.3, 0.56), 0.075, gold),
                tube((0.45, 1.3, 0.56), (0.45, 0.8, 0.54), 0.06, gold),
                ellipsoid((-0.55, 2.45, 0.54), 0.1, gold),
            ]
        ),
    ]


def deck_chair():
    canvas = cloth((0.9, 0.86, 0.72), (0.2, 0.4, 0.6), wave=(0, 0, 40), sharpness=8)
    sling = [(0.75, 0.72), (0.35, 0.45), (-0.1, 0.4), (-0.55, 0.85), (-1.05, 1.75)]
    parts = []
    for (x0, y0), (x1, y1) in zip(sling[:-1], sling[1:], strict=True):
        length, angle = np.hypot(x1 - x0, y1 - y0), np.rad2deg(np.arctan2(y1 - y0, x1 - x0))
        parts.append(box(((x0 + x1) / 2, (y0 + y1) / 2, 0), (length / 2 + 0.03, 0.025, 0.48), canvas, turn("z", angle)))
    side = [
        tube((0.85, 0.8, 0.54), (-0.9, 0.0, 0.54), 0.05, PINE),
        tube((-1.12, 1.85, 0.5), (0.55, 0.0, 0.5), 0.05, PINE),
        box((-0.1, 1.0, 0.58), (0.5, 0.03, 0.06), PINE),
        tube((0.3, 1.0, 0.58), (0.35, 0.55, 0.55), 0.03, PINE),
    ]
    bars = [((-1.12, 1.85), 0.55), ((0.85, 0.8), 0.58), ((0.55, 0.03), 0.55), ((-0.9, 0.03), 0.58)]
    return parts + both_sides(side) + [tube((x, y, -z), (x, y, z), 0.04, PINE) for (x, y), z in bars]


MAKERS = (ladder_chair, armchair, office_chair, bar_stool, rocking_chair, shell_chair, throne, deck_chair)
