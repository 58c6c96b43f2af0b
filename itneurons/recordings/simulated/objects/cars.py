"""Eight cars: a sedan, a pickup, a van and others."""

import numpy as np

from itneurons.recordings.simulated.objects.materials import (
    BLACK,
    CHROME,
    DARK,
    LAMP,
    RED_LAMP,
    STEEL,
    glass,
    leather,
    matte,
    paint,
)
from itneurons.recordings.simulated.shapes import both_sides, box, ellipsoid, limb, pillow, prism, tube, turn


def _wheel(x, z, radius, width=0.13, rim=STEEL, arch=True):
    """A wheel on the right side, its outer face at z, with a dark arch behind it."""
    y = radius
    parts = [
        tube((x, y, z - 2 * width), (x, y, z + 0.02), radius, BLACK, bevel=0.08),
        tube((x, y, z), (x, y, z + 0.035), radius * 0.62, rim, bevel=0.02),
        ellipsoid((x, y, z + 0.03), (radius * 0.2, radius * 0.2, 0.04), DARK),
    ]
    if arch:
        parts.append(tube((x, y, z - 2.2 * width), (x, y, z - 0.015), radius * 1.17, DARK, bevel=0.01))
    return parts


def _wheels(front, rear, z, radius, **options):
    return both_sides([*_wheel(front, z, radius, **options), *_wheel(rear, z, radius, **options)])


def _cabin(outline, half_width, lean, body, pillars, window=None):
    """A greenhouse of glass under a painted roof; pillars are (x below, x above, width)."""
    outline = np.asarray(outline, dtype=float)
    low, high = outline[:, 1].min(), outline[:, 1].max()
    parts = [prism(outline, half_width, window or glass(), lean=lean, bevel=0.06)]
    for below, above, width in pillars:
        post = [(below - width, low), (below + width, low), (above + width, high), (above - width, high)]
        pillar = prism(post, half_width * 1.02, body, lean=lean, bevel=0.02)
        # only its outer layer, on both sides
        outer = [[0, -lean / 2, -1, lean / 2 - 0.88]]
        parts += both_sides([pillar._replace(planes=np.concatenate([pillar.planes, outer]))])
    top = outline[outline[:, 1] > high - 0.08]
    middle, half = (top[:, 0].min() + top[:, 0].max()) / 2, np.ptp(top[:, 0]) / 2 + 0.07
    parts.append(pillow((middle, high, 0), (half, 0.055, half_width * (1 - lean) + 0.05), body, fullness=1.35))
    return parts


def _lamps(front, rear, y, z, size=0.11, rear_y=None):
    return both_sides(
        [
            ellipsoid((front, y, z), (size * 0.5, size, size * 1.2), LAMP),
            box((rear, y if rear_y is None else rear_y, z), (0.04, size * 0.8, size), RED_LAMP),
        ]
    )


def sedan():
    body = paint((0.23, 0.36, 0.6))
    outline = [
        (-2.05, 0.3),
        (2.0, 0.3),
        (2.12, 0.5),
        (2.05, 0.72),
        (0.9, 0.9),
        (-1.4, 0.93),
        (-2.1, 0.85),
        (-2.15, 0.5),
    ]
    cabin = [(-1.55, 0.88), (1.1, 0.88), (0.45, 1.38), (-0.85, 1.4)]
    return [
        prism(outline, 0.85, body, lean=0.06, bevel=0.13),
        *_cabin(cabin, 0.78, 0.2, body, [(-0.15, -0.15, 0.045), (1.06, 0.43, 0.04), (-1.42, -0.82, 0.09)]),
        *_wheels(1.3, -1.3, 0.85, 0.34),
        *_lamps(2.02, -2.12, 0.62, 0.62),
        box((2.1, 0.5, 0), (0.03, 0.1, 0.4), DARK),
        box((2.08, 0.33, 0), (0.08, 0.07, 0.8), STEEL),
        box((-2.12, 0.36, 0), (0.06, 0.08, 0.8), STEEL),
        *both_sides(
            [box((0.1, 0.75, 0.86), (0.1, 0.015, 0.012), CHROME), box((-0.15, 0.6, 0.835), (0.01, 0.25, 0.02), DARK)]
        ),
    ]


def pickup():
    body = paint((0.62, 0.13, 0.1))
    front = [(0.0, 0.4), (2.2, 0.4), (2.27, 0.6), (2.2, 0.98), (1.0, 1.08), (0.0, 1.08)]
    cabin = [(-0.45, 1.05), (1.15, 1.05), (0.65, 1.68), (-0.4, 1.7)]
    return [
        prism(front, 0.9, body, lean=0.05, bevel=0.12),
        box((-0.25, 0.72, 0), (0.3, 0.36, 0.88), body),
        *_cabin(cabin, 0.83, 0.16, body, [(0.3, 0.25, 0.05), (1.12, 0.62, 0.045), (-0.38, -0.36, 0.08)]),
        # the open bed
        box((-1.35, 0.55, 0), (0.95, 0.1, 0.88), DARK),
        *both_sides([box((-1.35, 0.75, 0.86), (0.97, 0.3, 0.05), body)]),
        box((-2.3, 0.75, 0), (0.05, 0.3, 0.86), body),
        box((-0.45, 0.75, 0), (0.05, 0.3, 0.86), body),
        *_wheels(1.45, -1.4, 0.9, 0.42, rim=CHROME),
        *_lamps(2.2, -2.35, 0.82, 0.66, rear_y=0.8),
        box((2.25, 0.72, 0), (0.04, 0.17, 0.5), CHROME),
        box((2.27, 0.45, 0), (0.08, 0.08, 0.9), CHROME),
        box((-2.37, 0.42, 0), (0.08, 0.07, 0.85), STEEL),
    ]


def van():
    body = paint((0.88, 0.87, 0.8))
    lower = paint((0.2, 0.5, 0.5))
    outline = [(-2.0, 0.3), (1.95, 0.3), (2.05, 0.75), (1.75, 1.35), (1.5, 1.9), (-1.9, 1.95), (-2.02, 1.8)]
    skirt = [(-2.05, 0.28), (2.0, 0.28), (2.1, 0.8), (2.05, 0.88), (-2.05, 0.88)]
    pane = glass()
    windows = [box((x, 1.42, 0.0), (0.38, 0.27, 0.86), pane, bevel=0.03) for x in (-1.5, -0.6, 0.3)]
    return [
        prism(outline, 0.88, body, lean=0.1, bevel=0.16),
        prism(skirt, 0.9, lower, bevel=0.1),
        *windows,
        prism([(0.8, 1.15), (1.65, 1.15), (1.4, 1.7), (0.8, 1.7)], 0.86, pane),
        prism([(1.5, 1.12), (1.92, 1.12), (1.64, 1.75), (1.4, 1.75)], 0.72, pane),
        box((-2.0, 1.42, 0), (0.06, 0.25, 0.6), pane),
        *_wheels(1.25, -1.25, 0.9, 0.36, rim=CHROME),
        *both_sides(
            [
                ellipsoid((2.05, 0.68, 0.6), (0.06, 0.15, 0.15), LAMP),
                box((-2.06, 0.7, 0.72), (0.03, 0.16, 0.09), RED_LAMP),
            ]
        ),
        box((2.1, 0.42, 0), (0.07, 0.08, 0.88), CHROME),
        ellipsoid((2.06, 0.82, 0), (0.05, 0.14, 0.14), CHROME),
        box((-2.08, 0.42, 0), (0.07, 0.08, 0.88), CHROME),
    ]


def beetle():
    body = paint((0.45, 0.66, 0.35))
    return [
        ellipsoid((0, 0.62, 0), (1.75, 0.48, 0.72), body),
        ellipsoid((-0.15, 0.85, 0), (1.12, 0.72, 0.68), body),
        # windows lie on a slightly larger copy of the roof
        ellipsoid(
            (-0.15, 0.85, 0),
            (1.14, 0.735, 0.70),
            glass(),
            planes=[(0, -1, 0, -0.28), (0, 1, 0, 0.82), (-1, 0, 0, 0.05), (1, 0, 0, 0.52)],
        ),
        ellipsoid(
            (-0.15, 0.85, 0),
            (1.14, 0.735, 0.70),
            glass(),
            planes=[(0, -1, 0, -0.28), (0, 1, 0, 0.82), (1, 0, 0, -0.13), (-1, 0, 0, 0.6)],
        ),
        ellipsoid(
            (-0.15, 0.85, 0), (1.14, 0.735, 0.70), glass(), planes=[(0, -1, 0, -0.3), (0, 1, 0, 0.8), (-1, 0, 0, -0.6)]
        ),
        ellipsoid(
            (-0.15, 0.85, 0), (1.14, 0.735, 0.70), glass(), planes=[(0, -1, 0, -0.4), (0, 1, 0, 0.75), (1, 0, 0, -0.68)]
        ),
        *both_sides(
            [
                *_wheel(1.15, 0.8, 0.35, rim=CHROME, arch=False),
                *_wheel(-1.15, 0.8, 0.35, rim=CHROME, arch=False),
                ellipsoid((1.15, 0.5, 0.64), (0.55, 0.38, 0.2), body),
                ellipsoid((-1.15, 0.5, 0.64), (0.55, 0.38, 0.2), body),
                box((0, 0.3, 0.68), (0.75, 0.05, 0.12), DARK),
                ellipsoid((1.55, 0.68, 0.58), (0.12, 0.15, 0.15), LAMP),
                ellipsoid((-1.62, 0.62, 0.6), (0.08, 0.13, 0.09), RED_LAMP),
            ]
        ),
        *limb((1.78, 0.4, -0.55), (1.78, 0.4, 0.55), 0.06, CHROME),
        *limb((-1.78, 0.4, -0.55), (-1.78, 0.4, 0.55), 0.06, CHROME),
    ]


def sports_car():
    body = paint((0.85, 0.65, 0.1))
    outline = [(-2.05, 0.22), (2.2, 0.2), (2.3, 0.32), (1.0, 0.72), (-1.3, 0.84), (-2.1, 0.78), (-2.15, 0.45)]
    cabin = [(-1.35, 0.78), (0.95, 0.7), (0.15, 1.1), (-0.5, 1.12)]
    return [
        prism(outline, 0.92, body, lean=0.12, bevel=0.14),
        *both_sides(
            [
                ellipsoid((1.35, 0.42, 0.68), (0.6, 0.34, 0.27), body),
                ellipsoid((-1.3, 0.5, 0.7), (0.65, 0.42, 0.26), body),
                prism([(1.62, 0.47), (1.98, 0.37), (2.0, 0.42), (1.65, 0.57)], 0.1, LAMP, centre=(0, 0, 0.6)),
                box((-2.14, 0.64, 0.55), (0.03, 0.06, 0.25), RED_LAMP),
                box((-1.9, 0.98, 0.6), (0.08, 0.2, 0.03), DARK),
                box((-0.35, 0.5, 0.91), (0.3, 0.1, 0.02), DARK),
            ]
        ),
        *_cabin(cabin, 0.74, 0.25, body, [(-0.35, -0.2, 0.05), (-1.0, -0.48, 0.1)]),
        *_wheels(1.35, -1.3, 0.95, 0.36, rim=CHROME),
        box((-1.95, 1.17, 0), (0.2, 0.03, 0.9), body),
        box((2.2, 0.27, 0), (0.08, 0.05, 0.6), DARK),
        box((0.7, 0.76, 0), (0.3, 0.02, 0.3), DARK, turn("z", -12)),
    ]


def offroader():
    body = matte((0.36, 0.4, 0.25), gloss=0.2)
    cabin = [(-1.55, 1.2), (0.65, 1.2), (0.5, 1.9), (-1.5, 1.92)]
    return [
        box((-0.45, 0.88, 0), (1.15, 0.36, 0.8), body, bevel=0.06),
        box((1.1, 0.92, 0), (0.75, 0.28, 0.62), body, bevel=0.08),
        *both_sides(
            [
                box((1.2, 0.93, 0.76), (0.62, 0.06, 0.2), body),
                box((-1.1, 0.93, 0.85), (0.5, 0.06, 0.12), body),
                ellipsoid((1.87, 0.95, 0.42), (0.06, 0.15, 0.15), LAMP),
                box((-1.62, 0.85, 0.65), (0.03, 0.1, 0.08), RED_LAMP),
                box((-0.1, 0.55, 0.88), (0.7, 0.04, 0.1), DARK),
            ]
        ),
        *_cabin(cabin, 0.78, 0.05, body, [(-0.4, -0.4, 0.06), (0.58, 0.46, 0.06), (-1.47, -1.45, 0.07)]),
        *[box((1.86, 0.92, z), (0.02, 0.18, 0.025), DARK) for z in (-0.22, -0.11, 0, 0.11, 0.22)],
        box((1.95, 0.55, 0), (0.1, 0.08, 0.8), DARK),
        *_wheels(1.2, -1.1, 0.98, 0.46, width=0.17),
        tube((-1.6, 1.1, 0.1), (-1.85, 1.1, 0.1), 0.44, BLACK, bevel=0.08),
        tube((-1.7, 1.1, 0.1), (-1.88, 1.1, 0.1), 0.22, STEEL),
    ]


def roadster():
    body = paint((0.5, 0.08, 0.14))
    seat = leather((0.6, 0.42, 0.28))
    return [
        prism([(-1.5, 0.38), (0.7, 0.38), (0.7, 0.85), (-1.2, 0.85), (-1.55, 0.65)], 0.6, body, bevel=0.15),
        tube((1.9, 0.66, 0), (0.4, 0.7, 0), 0.32, body, 0.46, squash=0.85, bevel=0.06),
        tube((1.88, 0.66, 0), (1.94, 0.66, 0), 0.3, CHROME, squash=1.1),
        tube((1.9, 0.66, 0), (1.96, 0.66, 0), 0.25, DARK, squash=1.1),
        ellipsoid((-1.5, 0.7, 0), (0.6, 0.36, 0.55), body),
        box((-0.4, 0.86, 0), (0.7, 0.05, 0.48), DARK),
        pillow((-0.95, 1.0, 0), (0.14, 0.28, 0.5), seat),
        prism([(0.3, 0.84), (0.36, 0.84), (0.2, 1.2), (0.14, 1.2)], 0.55, glass((0.35, 0.42, 0.48))),
        tube((0.17, 1.2, -0.57), (0.17, 1.2, 0.57), 0.03, CHROME),
        tube((0.02, 1.0, -0.28), (-0.06, 1.02, -0.28), 0.16, DARK),
        *both_sides(
            [
                *_wheel(1.35, 0.82, 0.42, rim=CHROME, arch=False),
                *_wheel(-1.3, 0.82, 0.42, rim=CHROME, arch=False),
                # swung mudguards
                ellipsoid((1.3, 0.6, 0.68), (0.62, 0.36, 0.16), body, planes=[(0, -1, 0, -0.25)]),
                ellipsoid((-1.3, 0.6, 0.68), (0.65, 0.38, 0.16), body, planes=[(0, -1, 0, -0.2)]),
                box((0.0, 0.38, 0.68), (0.95, 0.04, 0.14), DARK),
                ellipsoid((1.75, 0.82, 0.45), (0.17, 0.14, 0.14), CHROME),
                ellipsoid((1.86, 0.82, 0.45), (0.08, 0.12, 0.12), LAMP),
            ]
        ),
        tube((-1.95, 0.85, 0), (-2.12, 0.85, 0), 0.38, BLACK, bevel=0.08),
    ]


def taxi():
    body = paint((0.83, 0.82, 0.84))
    checks = matte((0.92, 0.92, 0.9), second=(0.05, 0.05, 0.05), wave=(42, 0, 0), sharpness=20)
    outline = [(-1.55, 0.3), (1.6, 0.3), (1.72, 0.55), (1.6, 0.85), (0.95, 0.98), (-1.55, 1.02), (-1.68, 0.6)]
    cabin = [(-1.55, 0.98), (1.05, 0.96), (0.4, 1.6), (-1.2, 1.62)]
    return [
        prism(outline, 0.8, body, lean=0.05, bevel=0.14),
        *_cabin(cabin, 0.75, 0.16, body, [(-0.25, -0.25, 0.05), (1.02, 0.38, 0.05), (-1.4, -1.1, 0.14)]),
        *_wheels(1.05, -1.05, 0.8, 0.34, rim=DARK),
        *both_sides([box((0, 0.72, 0.79), (1.45, 0.07, 0.02), checks)]),
        *_lamps(1.62, -1.66, 0.72, 0.56, size=0.13),
        box((1.68, 0.45, 0), (0.06, 0.12, 0.72), DARK),
        box((-1.66, 0.42, 0), (0.06, 0.1, 0.75), DARK),
        pillow((-0.35, 1.76, 0), (0.12, 0.1, 0.3), paint((0.95, 0.75, 0.15))),
    ]


MAKERS = (sedan, pickup, van, beetle, sports_car, offroader, roadster, taxi)
