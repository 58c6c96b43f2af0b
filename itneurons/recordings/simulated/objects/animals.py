"""Eight animals."""

import numpy as np

from itneurons.recordings.simulated.objects.materials import (
    PUPIL,
    fur,
    hide,
    leather,
    matte,
    paint,
    skin,
)
from itneurons.recordings.simulated.shapes import Material, both_sides, box, ellipsoid, limb, pillow, tube, turn


def _eyes(x, y, z, size, colour=(0.05, 0.04, 0.03)):
    return both_sides([ellipsoid((x, y, z), size, paint(colour, gloss=0.9))])


def _leg(points, radii, material, foot=None, paw=None):
    """A chain of limbs through points, with a foot (x, y, z radii) at its end."""
    parts = []
    for a, b, r, s in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        parts += limb(a, b, r, material, s)
    if foot is not None:
        x, y, z = points[-1]
        parts.append(ellipsoid((x + 0.4 * foot[0], y, z), foot, paw or material))
    return parts


def bear():
    coat = fur((0.33, 0.21, 0.13), (0.23, 0.14, 0.08))
    snout = fur((0.55, 0.4, 0.27))
    return [
        ellipsoid((-0.1, 0.95, 0), (1.2, 0.62, 0.58), coat),
        ellipsoid((0.6, 1.2, 0), (0.55, 0.48, 0.5), coat),
        ellipsoid((-0.8, 0.95, 0), (0.6, 0.62, 0.57), coat),
        ellipsoid((1.15, 1.2, 0), (0.5, 0.42, 0.42), coat),
        ellipsoid((1.4, 1.22, 0), (0.42, 0.4, 0.42), coat),
        tube((1.55, 1.12, 0), (1.95, 1.02, 0), 0.24, snout, 0.16),
        ellipsoid((1.93, 1.03, 0), (0.13, 0.15, 0.16), snout),
        ellipsoid((2.03, 1.1, 0), (0.08, 0.07, 0.1), PUPIL),
        ellipsoid((-1.4, 1.0, 0), (0.14, 0.14, 0.12), coat),
        *_eyes(1.7, 1.34, 0.2, 0.05),
        *both_sides(
            [
                ellipsoid((1.28, 1.58, 0.33), (0.1, 0.16, 0.16), coat),
                *_leg(
                    [(0.65, 0.95, 0.35), (0.75, 0.45, 0.38), (0.72, 0.14, 0.38)],
                    (0.33, 0.22, 0.2),
                    coat,
                    (0.28, 0.14, 0.22),
                ),
                *_leg(
                    [(-0.85, 0.85, 0.33), (-0.75, 0.45, 0.38), (-0.9, 0.14, 0.38)],
                    (0.42, 0.25, 0.2),
                    coat,
                    (0.3, 0.14, 0.22),
                ),
            ]
        ),
    ]


def cow():
    coat = Material(
        (0.93, 0.91, 0.88),
        (0.1, 0.09, 0.09),
        warp=2.0,
        patch=0.45,
        threshold=0.1,
        sharpness=14,
        bump=0.05,
        gloss=0.08,
        wave=(3, 2, 2),
        soft=True,
    )
    pink, horn = skin((0.88, 0.65, 0.6)), matte((0.85, 0.8, 0.68), gloss=0.3)
    hoof = matte((0.2, 0.17, 0.15))
    side = [
        ellipsoid((1.45, 1.55, 0.42), (0.09, 0.12, 0.24), coat, turn("x", 15)),
        tube((1.5, 1.68, 0.18), (1.58, 1.88, 0.36), 0.07, horn, 0.02),
    ]
    for x in (0.75, -0.9):
        side += _leg([(x, 0.9, 0.32), (x + 0.03, 0.45, 0.33), (x, 0.12, 0.33)], (0.2, 0.11, 0.09), coat)
        side += [tube((x, 0.15, 0.33), (x + 0.03, 0, 0.33), 0.1, hoof, 0.13)]
    return [
        pillow((-0.1, 1.1, 0), (1.15, 0.48, 0.46), coat, fullness=1.3, bevel=0.25),
        ellipsoid((-0.2, 0.9, 0), (0.8, 0.45, 0.48), coat),
        tube((0.8, 1.2, 0), (1.4, 1.5, 0), 0.38, coat, 0.24),
        tube((1.35, 1.52, 0), (1.85, 1.22, 0), 0.25, coat, 0.17),
        ellipsoid((1.38, 1.53, 0), (0.25, 0.25, 0.23), coat),
        ellipsoid((1.88, 1.2, 0), (0.16, 0.16, 0.19), pink),
        ellipsoid((-0.7, 0.62, 0), (0.26, 0.2, 0.24), pink),
        *_eyes(1.58, 1.52, 0.2, 0.05),
        *both_sides([ellipsoid((2.0, 1.25, 0.08), (0.04, 0.04, 0.04), PUPIL)]),
        tube((-1.22, 1.45, 0), (-1.35, 0.6, 0), 0.05, coat, 0.03),
        ellipsoid((-1.36, 0.5, 0), (0.08, 0.16, 0.08), fur((0.1, 0.09, 0.09))),
        *both_sides(side),
    ]


def dog():
    coat = fur((0.78, 0.6, 0.38), (0.66, 0.47, 0.27), bump=0.12)
    dark, white = fur((0.4, 0.25, 0.14), bump=0.1), fur((0.93, 0.9, 0.85), bump=0.12)
    collar = leather((0.7, 0.12, 0.1))
    return [
        ellipsoid((-0.1, 1.0, 0), (0.85, 0.36, 0.33), coat),
        ellipsoid((0.5, 1.02, 0), (0.42, 0.45, 0.37), coat),
        ellipsoid((0.72, 0.95, 0), (0.25, 0.35, 0.28), white),
        tube((0.65, 1.15, 0), (0.95, 1.6, 0), 0.27, coat, 0.22),
        tube((0.8, 1.36, 0), (0.86, 1.44, 0), 0.27, collar),
        ellipsoid((1.02, 1.75, 0), (0.34, 0.29, 0.29), coat),
        tube((1.18, 1.68, 0), (1.62, 1.6, 0), 0.19, white, 0.11),
        ellipsoid((1.6, 1.6, 0), (0.11, 0.11, 0.11), white),
        ellipsoid((1.69, 1.66, 0), (0.06, 0.05, 0.07), PUPIL),
        tube((1.35, 1.53, 0), (1.58, 1.46, 0), 0.06, skin((0.85, 0.4, 0.4)), squash=0.5),
        *_eyes(1.27, 1.83, 0.14, 0.05),
        *_leg([(-0.85, 1.15, 0), (-1.2, 1.5, 0), (-1.25, 1.85, 0)], (0.1, 0.09, 0.05), coat),
        *both_sides(
            [
                ellipsoid((0.98, 1.68, 0.29), (0.16, 0.3, 0.06), dark, turn("z", 12)),
                *_leg(
                    [(0.5, 0.9, 0.24), (0.48, 0.5, 0.25), (0.52, 0.07, 0.25)],
                    (0.18, 0.11, 0.08),
                    coat,
                    (0.14, 0.07, 0.1),
                    white,
                ),
                *_leg(
                    [(-0.7, 0.95, 0.22), (-0.55, 0.62, 0.25), (-0.85, 0.38, 0.25), (-0.75, 0.07, 0.25)],
                    (0.26, 0.15, 0.09, 0.08),
                    coat,
                    (0.14, 0.07, 0.1),
                    white,
                ),
            ]
        ),
    ]


def elephant():
    grey, ivory = hide((0.5, 0.48, 0.47)), paint((0.93, 0.9, 0.8))
    trunk = [(1.75, 1.55, 0), (2.05, 1.2, 0), (2.12, 0.8, 0), (2.1, 0.42, 0), (2.3, 0.2, 0)]
    side = [
        ellipsoid((1.2, 1.62, 0.62), (0.12, 0.58, 0.42), grey, turn("y", 30)),
        ellipsoid((1.22, 1.35, 0.55), (0.1, 0.38, 0.28), grey, turn("y", 30)),
        tube((1.8, 1.25, 0.22), (2.35, 0.98, 0.32), 0.075, ivory, 0.02),
    ]
    for x in (0.65, -0.85):
        side += [
            *limb((x, 1.0, 0.4), (x, 0.15, 0.42), 0.31, grey, 0.24),
            tube((x, 0.1, 0.42), (x, 0, 0.42), 0.26, grey, 0.28),
        ]
        side += [ellipsoid((x + 0.22, 0.06, 0.42 + z), (0.06, 0.06, 0.06), ivory) for z in (-0.12, 0, 0.12)]
    return [
        ellipsoid((-0.15, 1.3, 0), (1.25, 0.78, 0.75), grey),
        ellipsoid((0.6, 1.3, 0), (0.55, 0.6, 0.6), grey),
        ellipsoid((1.35, 1.75, 0), (0.52, 0.55, 0.48), grey),
        ellipsoid((1.3, 2.05, 0), (0.35, 0.3, 0.34), grey),
        *_leg(trunk, (0.3, 0.22, 0.17, 0.13, 0.09), grey),
        *_eyes(1.72, 1.8, 0.3, 0.05),
        tube((-1.35, 1.5, 0), (-1.5, 0.75, 0), 0.06, grey, 0.04),
        ellipsoid((-1.51, 0.68, 0), (0.06, 0.13, 0.06), fur((0.15, 0.13, 0.12))),
        *both_sides(side),
    ]


def gorilla():
    coat, bare = fur((0.13, 0.13, 0.15), (0.2, 0.2, 0.22), bump=0.35), hide((0.2, 0.18, 0.18), gloss=0.25)
    silver = fur((0.42, 0.42, 0.43))
    return [
        ellipsoid((0.1, 1.35, 0), (0.62, 0.85, 0.68), coat, turn("z", -32)),
        ellipsoid((-0.15, 1.28, 0), (0.5, 0.55, 0.6), silver, turn("z", -32)),
        ellipsoid((-0.4, 0.72, 0), (0.52, 0.5, 0.52), coat),
        ellipsoid((0.5, 1.75, 0), (0.45, 0.42, 0.78), coat),
        ellipsoid((0.82, 2.05, 0), (0.36, 0.42, 0.36), coat),
        ellipsoid((0.72, 2.38, 0), (0.25, 0.22, 0.17), coat),
        ellipsoid((1.0, 1.95, 0), (0.24, 0.32, 0.26), bare),
        ellipsoid((1.14, 1.8, 0), (0.2, 0.17, 0.22), bare),
        ellipsoid((1.24, 1.92, 0), (0.09, 0.08, 0.14), PUPIL),
        box((1.28, 1.74, 0), (0.06, 0.012, 0.13), PUPIL),
        tube((1.13, 2.16, -0.24), (1.13, 2.16, 0.24), 0.085, bare),
        *_eyes(1.2, 2.07, 0.11, 0.045, (0.35, 0.18, 0.08)),
        *both_sides(
            [
                ellipsoid((0.8, 2.05, 0.37), (0.08, 0.11, 0.05), bare),
                ellipsoid((0.55, 1.6, 0.72), (0.34, 0.42, 0.3), coat),
                *_leg(
                    [(0.6, 1.5, 0.75), (0.7, 0.85, 0.85), (0.95, 0.15, 0.75)],
                    (0.28, 0.24, 0.17),
                    coat,
                    (0.22, 0.15, 0.18),
                    bare,
                ),
                *_leg(
                    [(-0.45, 0.7, 0.38), (0.0, 0.5, 0.55), (-0.2, 0.12, 0.5)],
                    (0.36, 0.24, 0.15),
                    coat,
                    (0.3, 0.12, 0.17),
                    bare,
                ),
            ]
        ),
    ]


def hedgehog():
    belly = fur((0.78, 0.66, 0.5), bump=0.12)
    spine, pale = matte((0.3, 0.22, 0.16)), matte((0.75, 0.68, 0.55))
    parts = [
        ellipsoid((-0.15, 0.62, 0), (0.95, 0.6, 0.68), fur((0.25, 0.18, 0.13), bump=0.5)),
        ellipsoid((0.3, 0.45, 0), (0.75, 0.4, 0.52), belly),
        tube((0.7, 0.45, 0), (1.32, 0.34, 0), 0.34, belly, 0.08),
        ellipsoid((1.34, 0.34, 0), (0.09, 0.09, 0.09), PUPIL),
        *_eyes(0.98, 0.56, 0.2, 0.055),
        *both_sides(
            [
                ellipsoid((0.62, 0.75, 0.36), (0.06, 0.14, 0.12), belly),
                ellipsoid((0.5, 0.08, 0.3), (0.17, 0.08, 0.1), belly),
                ellipsoid((-0.5, 0.08, 0.32), (0.17, 0.08, 0.1), belly),
            ]
        ),
    ]
    # spines on a spiral over the back
    count = 90
    for k in range(count):
        height = 1 - 1.25 * (k + 0.5) / count
        angle = k * np.pi * (3 - np.sqrt(5))
        ring = np.sqrt(1 - height**2)
        out = np.array([ring * np.cos(angle), height, ring * np.sin(angle)])
        if out[0] > 0.72:
            continue
        root = np.array([-0.15, 0.62, 0]) + out * (0.9, 0.56, 0.63)
        way = out + (-0.35, 0.1, 0)
        parts.append(tube(root, root + 0.3 * way, 0.05, spine if k % 3 else pale, 0.008))
    return parts


def lioness():
    coat, pale = fur((0.78, 0.6, 0.36), (0.7, 0.5, 0.28), bump=0.08), fur((0.9, 0.82, 0.68), bump=0.08)
    dark = fur((0.25, 0.17, 0.1))
    return [
        ellipsoid((-0.1, 1.0, 0), (1.15, 0.4, 0.36), coat),
        ellipsoid((0.65, 1.02, 0), (0.48, 0.48, 0.4), coat),
        ellipsoid((-0.85, 0.98, 0), (0.48, 0.44, 0.38), coat),
        ellipsoid((0, 0.78, 0), (0.8, 0.22, 0.28), pale),
        tube((0.8, 1.15, 0), (1.25, 1.4, 0), 0.34, coat, 0.27),
        ellipsoid((1.38, 1.45, 0), (0.33, 0.31, 0.31), coat),
        ellipsoid((1.62, 1.36, 0), (0.23, 0.17, 0.19), coat),
        ellipsoid((1.7, 1.3, 0), (0.17, 0.13, 0.19), pale),
        ellipsoid((1.82, 1.42, 0), (0.06, 0.05, 0.09), matte((0.35, 0.18, 0.15))),
        tube((1.35, 1.42, 0), (1.78, 1.46, 0), 0.13, coat, 0.08),
        *_eyes(1.63, 1.53, 0.16, 0.05, (0.6, 0.42, 0.1)),
        *_leg([(-1.25, 1.15, 0), (-1.75, 0.75, 0), (-2.1, 0.6, 0), (-2.4, 0.75, 0)], (0.1, 0.07, 0.06, 0.06), coat),
        ellipsoid((-2.45, 0.8, 0), (0.17, 0.13, 0.11), dark),
        *both_sides(
            [
                ellipsoid((1.25, 1.72, 0.24), (0.06, 0.13, 0.12), coat),
                ellipsoid((1.29, 1.71, 0.24), (0.04, 0.09, 0.08), dark),
                *_leg(
                    [(0.7, 0.95, 0.25), (0.62, 0.5, 0.27), (0.72, 0.09, 0.27)],
                    (0.22, 0.15, 0.11),
                    coat,
                    (0.2, 0.09, 0.13),
                ),
                *_leg(
                    [(-0.9, 0.95, 0.24), (-0.7, 0.6, 0.27), (-1.0, 0.4, 0.27), (-0.9, 0.09, 0.27)],
                    (0.33, 0.2, 0.11, 0.1),
                    coat,
                    (0.2, 0.09, 0.13),
                ),
            ]
        ),
    ]


def turtle():
    shell = Material(
        (0.33, 0.36, 0.18), (0.2, 0.2, 0.09), wave=(16, 0, 16), warp=1.2, sharpness=3, bump=0.08, gloss=0.35, shine=25
    )
    plate = Material((0.45, 0.4, 0.18), (0.3, 0.28, 0.12), warp=2, bump=0.08, gloss=0.35, shine=25)
    scales = hide((0.45, 0.5, 0.28))
    plates = []
    for ring, count, offset in ((0.0, 1, 0), (0.48, 6, 0.5), (0.8, 11, 0)):
        for angle in (np.arange(count) + offset) * 2 * np.pi / count:
            x, z = ring * np.cos(angle), ring * np.sin(angle)
            y = np.sqrt(1 - min(ring, 0.97) ** 2)
            plates.append(
                ellipsoid((1.12 * x - 0.1, 0.42 + 0.66 * y, 0.95 * z), (0.27, 0.1 + 0.16 * ring, 0.25), plate)
            )
    return [
        ellipsoid((-0.1, 0.42, 0), (1.25, 0.72, 1.05), shell, planes=[(0, -1, 0, 0.1)]),
        *plates,
        ellipsoid((-0.1, 0.4, 0), (1.35, 0.13, 1.15), plate),
        ellipsoid((-0.1, 0.32, 0), (1.15, 0.16, 0.95), matte((0.8, 0.72, 0.45))),
        *_leg([(0.95, 0.42, 0), (1.5, 0.62, 0), (1.65, 0.72, 0)], (0.22, 0.2, 0.24), scales),
        ellipsoid((1.82, 0.7, 0), (0.24, 0.18, 0.19), scales),
        box((1.98, 0.65, 0), (0.09, 0.012, 0.13), PUPIL),
        *_eyes(1.87, 0.82, 0.16, 0.055),
        tube((-1.3, 0.35, 0), (-1.7, 0.25, 0), 0.12, scales, 0.02),
        *both_sides(
            [
                *_leg(
                    [(0.7, 0.35, 0.7), (1.05, 0.28, 1.2), (1.2, 0.08, 1.3)],
                    (0.24, 0.2, 0.17),
                    scales,
                    (0.22, 0.09, 0.18),
                ),
                *_leg(
                    [(-0.8, 0.35, 0.75), (-1.1, 0.22, 1.1), (-1.2, 0.08, 1.15)],
                    (0.24, 0.2, 0.16),
                    scales,
                    (0.22, 0.09, 0.18),
                ),
            ]
        ),
    ]


MAKERS = (bear, cow, dog, elephant, gorilla, hedgehog, lioness, turtle)
