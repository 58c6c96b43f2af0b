"""Eight airplanes, from an airliner to a fighter of the last war."""

import numpy as np

from itneurons.recordings.simulated.objects.materials import (
    BLACK,
    CHROME,
    DARK,
    OAK,
    STEEL,
    WHITE,
    cloth,
    glass,
    leather,
    matte,
    paint,
)
from itneurons.recordings.simulated.shapes import both_sides, bowl, box, ellipsoid, limb, pillow, prism, tube, turn


def wing(root, tip, span, y, material, rise=0.0, root_z=0.0, thickness=0.05):
    """A right wing: (leading x, trailing x) at the root and at the tip."""
    outline = [(root[1], -root_z), (tip[1], -span), (tip[0], -span), (root[0], -root_z)]
    middle = (root_z + span) / 2
    wing = prism(outline, thickness, material, axis="y", bevel=0.05).moved(shift=(0, 0, -middle))
    tilt = -np.rad2deg(np.arctan2(rise, span - root_z))
    return wing.moved(turn("x", tilt), (0, y + rise / 2, middle))


def fin(outline, material, thickness=0.04, z=0.0):
    return prism(outline, thickness, material, centre=(0, 0, z), bevel=0.04)


def _jet(x, y, z, radius, length, material):
    return [
        tube((x, y, z), (x - length, y, z), radius, material, radius * 0.65, bevel=0.03),
        tube((x + 0.01, y, z), (x + 0.03, y, z), radius * 1.03, CHROME),
        tube((x + 0.02, y, z), (x + 0.045, y, z), radius * 0.85, DARK),
    ]


def _propeller(x, y, z, radius, blades=3):
    parts = [bowl((x, y, z), (x + 0.22, y, z), 0.1, CHROME)]
    for k in range(blades):
        spin = turn("x", 360 / blades * k + 20)
        parts.append(
            pillow((0, radius / 2, 0), (0.02, radius / 2, 0.06), DARK, turn("y", 25)).moved(spin, (x + 0.05, y, z))
        )
    return parts


def airliner():
    body, blue = paint((0.92, 0.93, 0.94)), paint((0.15, 0.28, 0.55))
    grey = paint((0.72, 0.74, 0.77))
    windows = matte((0.15, 0.18, 0.24), second=(0.92, 0.93, 0.94), wave=(95, 0, 0), sharpness=12, gloss=0.4)
    return [
        tube((1.7, 0, 0), (-1.5, 0, 0), 0.3, body),
        ellipsoid((1.7, 0, 0), (0.62, 0.3, 0.3), body),
        tube((-1.5, 0, 0), (-2.75, 0.14, 0), 0.3, body, 0.07),
        ellipsoid((1.95, 0.12, 0), (0.3, 0.14, 0.2), glass()),
        box((0.1, 0.07, 0), (1.75, 0.035, 0.302), windows, bevel=0.01),
        fin([(-2.75, 0.1), (-1.85, 0.22), (-2.45, 1.05), (-2.85, 1.05)], blue),
        *both_sides(
            [
                wing((0.7, -0.6), (-0.65, -1.0), 2.5, -0.12, grey, rise=0.3),
                wing((-2.0, -2.6), (-2.6, -2.9), 1.0, 0.12, grey, rise=0.1),
                *_jet(0.55, -0.33, 0.85, 0.19, 0.75, blue),
                fin([(-1.0, 0.15), (-0.72, 0.15), (-0.95, 0.45), (-1.1, 0.45)], blue, z=2.48),
            ]
        ),
    ]


def propeller_plane():
    body, stripe = paint((0.9, 0.88, 0.82)), paint((0.72, 0.15, 0.12))
    return [
        prism(
            [(-0.6, -0.32), (1.0, -0.32), (1.0, 0.18), (0.45, 0.26), (0.15, 0.55), (-0.55, 0.55)], 0.3, body, bevel=0.12
        ),
        prism([(0.15, 0.2), (0.5, 0.24), (0.2, 0.53), (0.1, 0.53)], 0.28, glass()),
        box((-0.22, 0.36, 0), (0.32, 0.13, 0.31), glass(), bevel=0.02),
        tube((-0.55, 0.08, 0), (-2.4, 0.2, 0), 0.38, body, 0.08, squash=1),
        tube((0.95, -0.05, 0), (1.3, -0.05, 0), 0.27, stripe, 0.22),
        box((0.1, -0.05, 0), (0.9, 0.05, 0.31), stripe, bevel=0.01),
        *_propeller(1.3, -0.05, 0, 0.65, blades=2),
        fin([(-2.5, 0.2), (-1.75, 0.2), (-2.3, 0.85), (-2.6, 0.85)], stripe),
        *both_sides(
            [
                wing((0.45, -0.4), (0.35, -0.3), 2.4, 0.6, body, rise=0.1, thickness=0.06),
                wing((-1.95, -2.45), (-2.1, -2.45), 0.85, 0.22, body),
                tube((0.1, -0.25, 0.28), (0.1, 0.6, 1.2), 0.035, STEEL),
                tube((0.0, -0.3, 0.2), (-0.05, -0.7, 0.5), 0.04, STEEL),
                tube((-0.05, -0.72, 0.44), (-0.05, -0.72, 0.58), 0.17, BLACK),
                pillow((0.05, 0.68, 2.2), (0.35, 0.05, 0.2), stripe),
            ]
        ),
        tube((1.0, -0.3, 0), (1.0, -0.7, 0), 0.035, STEEL),
        tube((1.0, -0.74, -0.06), (1.0, -0.74, 0.06), 0.15, BLACK),
    ]


def fighter_jet():
    grey = matte((0.45, 0.48, 0.52), second=(0.36, 0.39, 0.44), warp=3, gloss=0.25)
    return [
        bowl((1.1, 0, 0), (2.6, -0.05, 0), 0.24, grey),
        tube((1.1, 0, 0), (-1.9, 0, 0), 0.27, grey, 0.3),
        tube((-1.9, 0, 0), (-2.2, 0, 0), 0.26, DARK, 0.2),
        ellipsoid((1.15, 0.2, 0), (0.6, 0.2, 0.17), glass((0.25, 0.2, 0.1), gloss=1)),
        ellipsoid((0.3, 0.18, 0), (1.2, 0.16, 0.16), grey),
        *both_sides(
            [
                wing((0.7, -1.5), (-1.05, -1.5), 1.5, -0.02, grey, thickness=0.035),
                wing((1.3, 0.5), (0.0, 0.0), 0.5, 0.0, grey, thickness=0.04),
                wing((-1.5, -2.25), (-2.15, -2.5), 0.95, -0.02, grey, thickness=0.03),
                box((0.35, -0.06, 0.32), (0.6, 0.2, 0.13), grey),
                box((0.93, -0.06, 0.32), (0.03, 0.16, 0.1), DARK),
                fin([(-2.1, 0.15), (-1.2, 0.15), (-1.95, 0.95), (-2.3, 0.95)], grey).moved(turn("x", 15), (0, 0, 0.25)),
                *limb((-0.6, -0.02, 1.52), (-1.5, -0.02, 1.52), 0.05, WHITE),
            ]
        ),
    ]


def biplane():
    red, cream = paint((0.7, 0.16, 0.12), gloss=0.3), cloth((0.86, 0.8, 0.62))
    parts = [
        tube((0.95, 0, 0), (-0.3, 0.02, 0), 0.32, red, 0.34),
        tube((-0.3, 0.02, 0), (-2.0, 0.12, 0), 0.34, red, 0.08),
        tube((0.95, 0, 0), (1.15, 0, 0), 0.33, STEEL, 0.26),
        ellipsoid((-0.35, 0.3, 0), (0.3, 0.12, 0.2), DARK),
        ellipsoid((-0.35, 0.45, 0), (0.12, 0.15, 0.12), leather((0.45, 0.3, 0.2))),
        *_propeller(1.15, 0, 0, 0.75, blades=2),
        fin([(-2.15, 0.1), (-1.6, 0.15), (-1.85, 0.7), (-2.2, 0.65)], cream),
    ]
    side = [
        wing((0.85, 0.0), (0.75, 0.05), 1.95, 0.75, cream),
        wing((0.55, -0.3), (0.45, -0.2), 1.8, -0.25, cream),
        wing((-1.65, -2.1), (-1.75, -2.1), 0.75, 0.15, cream),
        tube((0.35, 0.3, 0.2), (0.45, 0.75, 0.3), 0.03, OAK),
        tube((0.4, -0.25, 1.35), (0.7, 0.75, 1.4), 0.03, OAK),
        tube((-0.1, -0.25, 1.35), (0.15, 0.75, 1.4), 0.03, OAK),
        tube((0.5, -0.25, 0.2), (0.6, -0.7, 0.42), 0.035, OAK),
        tube((0.6, -0.72, 0.36), (0.6, -0.72, 0.48), 0.22, BLACK),
        tube((0.6, -0.72, 0.48), (0.6, -0.72, 0.5), 0.13, cream),
    ]
    return parts + both_sides(side) + [tube((0.6, -0.72, -0.4), (0.6, -0.72, 0.4), 0.03, STEEL)]


def cargo_plane():
    body = matte((0.42, 0.46, 0.38), gloss=0.2)
    side = [
        wing((0.8, -0.3), (0.35, -0.15), 2.7, 0.45, body, thickness=0.07),
        wing((-2.15, -2.75), (-2.5, -2.85), 1.15, 1.35, body),
        ellipsoid((-0.1, -0.35, 0.35), (0.8, 0.2, 0.2), body),
    ]
    for z in (0.95, 1.8):
        side += [tube((0.95, 0.4, z), (0.0, 0.42, z), 0.17, body, 0.1), *_propeller(0.95, 0.4, z, 0.48, blades=4)]
    return [
        tube((1.4, 0, 0), (-1.0, 0, 0), 0.45, body),
        ellipsoid((1.4, 0, 0), (0.7, 0.45, 0.45), body),
        tube((-1.0, 0, 0), (-2.7, 0.3, 0), 0.45, body, 0.12),
        box((1.75, 0.2, 0), (0.22, 0.1, 0.3), glass(), bevel=0.08),
        fin([(-2.7, 0.25), (-1.85, 0.3), (-2.35, 1.4), (-2.8, 1.4)], body, thickness=0.06),
        *both_sides(side),
    ]


def supersonic_jet():
    white = paint((0.9, 0.9, 0.93))
    tail = paint((0.65, 0.12, 0.2))
    return [
        tube((1.5, 0, 0), (-1.8, 0, 0), 0.17, white),
        bowl((1.5, 0, 0), (2.9, -0.12, 0), 0.17, white),
        tube((-1.8, 0, 0), (-2.9, 0.08, 0), 0.17, white, 0.03),
        box((1.75, 0.1, 0), (0.15, 0.05, 0.12), glass(), bevel=0.03),
        box((0.2, 0.06, 0), (1.6, 0.02, 0.172), matte((0.2, 0.22, 0.28)), bevel=0.01),
        fin([(-2.6, 0.08), (-1.4, 0.1), (-2.2, 0.75), (-2.6, 0.75)], tail, thickness=0.03),
        *both_sides(
            [
                wing((1.3, -2.1), (-0.3, -2.1), 0.75, -0.08, white, thickness=0.03),
                wing((-0.3, -2.1), (-1.9, -2.2), 1.5, -0.08, white, root_z=0.75, thickness=0.025),
                box((-1.55, -0.2, 0.62), (0.6, 0.1, 0.2), STEEL, bevel=0.05),
                box((-0.94, -0.2, 0.62), (0.03, 0.08, 0.17), DARK),
            ]
        ),
    ]


def glider():
    white = paint((0.95, 0.95, 0.96))
    orange = paint((0.9, 0.42, 0.12))
    return [
        ellipsoid((0.45, 0, 0), (1.0, 0.25, 0.23), white),
        tube((0.0, 0.02, 0), (-2.2, 0.12, 0), 0.2, white, 0.05),
        ellipsoid((0.75, 0.12, 0), (0.5, 0.2, 0.18), glass((0.2, 0.28, 0.35))),
        fin([(-2.35, 0.1), (-1.95, 0.1), (-2.15, 0.75), (-2.4, 0.75)], orange),
        *both_sides(
            [
                wing((0.3, -0.2), (0.1, -0.1), 2.9, 0.15, white, rise=0.28, thickness=0.035),
                wing((0.12, -0.12), (0.05, -0.08), 3.3, 0.41, orange, rise=0.1, root_z=2.85, thickness=0.03),
                wing((-2.1, -2.38), (-2.2, -2.38), 0.7, 0.74, white, thickness=0.03),
            ]
        ),
    ]


def warbird():
    camouflage = matte((0.38, 0.36, 0.22), second=(0.2, 0.3, 0.18), warp=4, sharpness=8, gloss=0.2)
    nose = paint((0.8, 0.7, 0.2))
    return [
        tube((1.35, 0, 0), (-0.2, 0.03, 0), 0.27, camouflage, 0.33),
        tube((-0.2, 0.03, 0), (-2.1, 0.12, 0), 0.33, camouflage, 0.06),
        tube((1.2, 0, 0), (1.38, 0, 0), 0.275, nose, 0.25),
        *_propeller(1.38, 0, 0, 0.72),
        ellipsoid((-0.1, 0.3, 0), (0.5, 0.24, 0.18), glass((0.3, 0.38, 0.42))),
        ellipsoid((-2.0, 0.45, 0), (0.28, 0.42, 0.05), camouflage),
        *both_sides(
            [
                ellipsoid((0.15, -0.08, 1.0), (0.55, 0.06, 1.3), camouflage, turn("x", -5)),
                ellipsoid((0.15, -0.02, 1.6), (0.2, 0.065, 0.2), paint((0.2, 0.25, 0.5))),
                ellipsoid((-1.95, 0.18, 0.4), (0.25, 0.04, 0.5), camouflage),
                tube((0.6, -0.05, 0.75), (0.9, -0.05, 0.75), 0.03, DARK),
                *[tube((1.1 - 0.15 * k, 0.1, 0.27), (1.0 - 0.15 * k, 0.12, 0.33), 0.035, DARK) for k in range(4)],
            ]
        ),
    ]


MAKERS = (airliner, propeller_plane, fighter_jet, biplane, cargo_plane, supersonic_jet, glider, warbird)
