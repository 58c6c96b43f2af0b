"""Eight heads that differ in shape, skin, hair and what they wear."""

import numpy as np

from itneurons.recordings.simulated.objects.materials import (
    EYE_WHITE,
    PUPIL,
    cloth,
    fur,
    matte,
    metal,
    paint,
    skin,
)
from itneurons.recordings.simulated.shapes import both_sides, box, ellipsoid, limb, pillow, tube, turn


def _head(tone, hair, iris=(0.35, 0.22, 0.12), width=1.0, jaw=1.0, chin=0.0, nose=1.0, lips=None, smile=0.0, brow=0.05):
    """A bald head with all features; measures are factors around those of an average head."""
    flesh = skin(tone)
    mouth = skin(lips or (tone[0] * 0.78, tone[1] * 0.52, tone[2] * 0.52), gloss=0.25)
    dark = matte((tone[0] * 0.35, tone[1] * 0.22, tone[2] * 0.2))
    shadow = skin((tone[0] * 0.85, tone[1] * 0.78, tone[2] * 0.76))
    hairs = fur(hair, bump=0.15)
    parts = [
        ellipsoid((-0.1, 0.25, 0), (0.98, 1.0, 0.8 * width), flesh),
        ellipsoid((0.14, -0.4, 0), (0.7, 0.72 + chin, 0.62 * width * jaw), flesh),
        ellipsoid((0.5, -0.92 - chin, 0), (0.27, 0.2, 0.26 * jaw), flesh),
        tube((-0.15, -0.6, 0), (-0.3, -1.75, 0), 0.44, flesh, 0.5),
        # nose
        tube((0.8, 0.22, 0), (1.0, -0.16, 0), 0.085, flesh, 0.13 * nose),
        ellipsoid((0.99, -0.19, 0), (0.15 * nose, 0.12 * nose, 0.14 * nose), flesh),
        # mouth
        ellipsoid((0.75, -0.535, 0), (0.115, 0.05, 0.24), mouth, turn("z", -12)),
        ellipsoid((0.735, -0.63, 0), (0.115, 0.07, 0.21), mouth),
        box((0.8, -0.583, 0), (0.065, 0.011, 0.2), dark, bevel=0.01),
    ]
    side = [
        ellipsoid((0.93, -0.21, 0.11 * nose), (0.1, 0.075, 0.07 * nose), flesh),
        ellipsoid((0.97, -0.265, 0.07), (0.05, 0.025, 0.035), dark),
        ellipsoid((0.7, -0.575 + 0.05 * smile, 0.22), (0.07, 0.03, 0.06), mouth),
        ellipsoid((0.4, -0.2, 0.33 * width), (0.33, 0.34, 0.27), flesh),
        # eye sockets, eyes, lids and brows
        ellipsoid((0.66, 0.1, 0.31), (0.16, 0.16, 0.21), shadow),
        ellipsoid((0.7, 0.1, 0.31), (0.165, 0.115, 0.17), EYE_WHITE),
        ellipsoid((0.83, 0.1, 0.3), (0.045, 0.08, 0.08), paint(iris, gloss=0.6)),
        ellipsoid((0.853, 0.1, 0.3), (0.03, 0.042, 0.042), PUPIL),
        ellipsoid((0.7, 0.11, 0.31), (0.185, 0.135, 0.195), shadow, planes=[(0, -1, 0, -0.45)]),
        ellipsoid((0.7, 0.09, 0.31), (0.18, 0.13, 0.19), flesh, planes=[(0, 1, 0, -0.62)]),
        *limb((0.84, 0.31, 0.14), (0.77, 0.36, 0.36), brow, hairs),
        *limb((0.77, 0.36, 0.36), (0.64, 0.3, 0.5), brow, hairs, brow * 0.5),
        # ears
        ellipsoid((-0.08, 0.02, 0.8 * width), (0.17, 0.26, 0.07), flesh, turn("y", -25)),
        ellipsoid((-0.04, 0.02, 0.84 * width), (0.09, 0.16, 0.05), shadow, turn("y", -25)),
    ]
    return parts + both_sides(side)


def _cap(hair, size=1.08, width=1.0, line=0.62, back=-0.1, lower=-0.6):
    """Hair close to the skull: behind the hairline and above the neck."""
    radii = np.array([0.98, 1.0, 0.8 * width]) * size
    front = [(0.78, -0.62, 0, 0.78 - line)]
    crown = ellipsoid((-0.1, 0.25, 0), radii, hair, planes=front)
    rear = ellipsoid((-0.14, 0.2, 0), radii * 1.01, hair, planes=[(1, 0, 0, back), (0, -1, 0, -lower)])
    return [crown, rear]


def young_woman():
    hair = fur((0.36, 0.2, 0.1), (0.26, 0.13, 0.06), wave=(0, 0, 45), warp=1.5, gloss=0.2)
    long_hair = [
        ellipsoid((-0.45, -0.55, 0.62), (0.5, 1.25, 0.32), hair),
        ellipsoid((0.12, 0.25, 0.74), (0.32, 0.72, 0.2), hair, turn("z", 15)),
    ]
    head = _head(
        (0.9, 0.7, 0.58),
        (0.3, 0.17, 0.09),
        iris=(0.25, 0.4, 0.3),
        jaw=0.88,
        nose=0.85,
        lips=(0.78, 0.3, 0.32),
        brow=0.038,
    )
    return [
        *head,
        *_cap(hair, size=1.12, line=0.3),
        ellipsoid((-0.6, -0.5, 0), (0.55, 1.2, 0.75), hair),
        *both_sides(long_hair),
    ]


def bald_man():
    beard = fur((0.55, 0.52, 0.5), (0.42, 0.4, 0.38))
    head = _head(
        (0.82, 0.6, 0.48), (0.45, 0.42, 0.4), iris=(0.25, 0.4, 0.6), width=1.06, jaw=1.15, nose=1.25, brow=0.065
    )
    moustache = both_sides(limb((0.86, -0.43, 0.04), (0.7, -0.55, 0.3), 0.085, beard, 0.05))
    fringe = ellipsoid(
        (-0.2, 0.12, 0), (0.95, 0.62, 0.88), beard, planes=[(1, 0, 0, -0.02), (0, 1, 0, 0.35), (0, -1, 0, 0.7)]
    )
    return [*head, fringe, *moustache, ellipsoid((0.3, -0.84, 0), (0.6, 0.42, 0.58), beard, planes=[(0, 1, 0, 0.35)])]


def afro_man():
    hair = fur((0.1, 0.08, 0.07), bump=0.45, grain=0.3)
    head = _head((0.45, 0.29, 0.2), (0.08, 0.06, 0.05), nose=1.3, lips=(0.42, 0.2, 0.18), jaw=1.02)
    curls = [ellipsoid((-0.3, 0.75, 0), (1.1, 0.95, 1.18), hair, planes=[(0.8, -0.6, 0, 0.45)])]
    tufts = [
        ellipsoid((-0.35, 0.35, 0.82), (0.55, 0.65, 0.35), hair),
        ellipsoid((0.25, 1.12, 0.4), (0.45, 0.35, 0.5), hair),
    ]
    return [*head, *curls, *both_sides(tufts), ellipsoid((-0.75, 0.25, 0), (0.55, 0.8, 0.95), hair)]


def glasses_man():
    hair = fur((0.24, 0.16, 0.1), (0.17, 0.11, 0.07))
    frame = paint((0.07, 0.06, 0.06))
    head = _head((0.88, 0.72, 0.6), (0.2, 0.13, 0.08), width=0.92, chin=0.12, nose=1.1)
    rims = []
    ring = [(0.93, 0.1 + 0.19 * np.sin(a), 0.31 + 0.22 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 11)]
    rims += [tube(a, b, 0.03, frame) for a, b in zip(ring[:-1], ring[1:], strict=True)]
    rims += [tube((0.9, 0.14, 0.53), (0.0, 0.14, 0.79), 0.03, frame)]
    quiff = pillow((0.35, 1.05, 0.1), (0.5, 0.22, 0.5), hair, turn("z", -22))
    return [
        *head,
        *_cap(hair, width=0.94, line=0.42),
        quiff,
        *both_sides(rims),
        tube((0.96, 0.14, -0.1), (0.96, 0.14, 0.1), 0.03, frame),
    ]


def bearded_man():
    beard = fur((0.6, 0.28, 0.12), (0.45, 0.2, 0.08), bump=0.35)
    head = _head((0.92, 0.74, 0.64), (0.5, 0.24, 0.1), iris=(0.3, 0.5, 0.65), width=1.03, nose=1.1, brow=0.07)
    bush = [
        ellipsoid((0.22, -0.95, 0), (0.68, 0.7, 0.68), beard, planes=[(0, 1, 0, 0.42)]),
        ellipsoid((0.45, -1.3, 0), (0.42, 0.5, 0.42), beard),
    ]
    sides = [
        ellipsoid((0.15, -0.4, 0.6), (0.3, 0.5, 0.18), beard),
        *limb((0.88, -0.42, 0.05), (0.62, -0.6, 0.34), 0.1, beard, 0.07),
    ]
    lips = [ellipsoid((0.82, -0.62, 0), (0.12, 0.055, 0.18), skin((0.72, 0.38, 0.36)))]
    return [*head, *_cap(beard, size=1.1, width=1.03, line=0.4), *bush, *both_sides(sides), *lips]


def old_woman():
    hair = fur((0.85, 0.84, 0.83), (0.68, 0.67, 0.68), bump=0.3)
    head = _head(
        (0.86, 0.68, 0.6), (0.6, 0.58, 0.56), iris=(0.35, 0.42, 0.5), jaw=0.95, nose=1.15, lips=(0.66, 0.36, 0.36)
    )
    pearls = [
        ellipsoid((0.25 - 0.5 * (1 - np.cos(a)), -1.25 - 0.1 * np.cos(a), 0.52 * np.sin(a)), 0.085, EYE_WHITE)
        for a in np.linspace(-1.4, 1.4, 9)
    ]
    waves = [
        ellipsoid((-0.05, 0.6, 0.68), (0.55, 0.45, 0.28), hair),
        ellipsoid((0.28, 1.0, 0.35), (0.4, 0.28, 0.4), hair),
    ]
    return [
        *head,
        *_cap(hair, size=1.16, line=0.38),
        ellipsoid((-0.75, 0.95, 0), (0.42, 0.4, 0.42), hair),
        *both_sides(waves),
        *pearls,
    ]


def boy_with_hat():
    cap = cloth((0.2, 0.32, 0.62))
    peak = cloth((0.82, 0.25, 0.18))
    hair = fur((0.83, 0.66, 0.35), (0.68, 0.5, 0.24))
    head = _head(
        (0.95, 0.78, 0.68),
        (0.7, 0.52, 0.28),
        iris=(0.2, 0.45, 0.7),
        width=1.08,
        jaw=1.08,
        chin=-0.1,
        nose=0.75,
        smile=1,
    )
    crown = ellipsoid((-0.1, 0.42, 0), (1.06, 0.95, 0.93), cap, planes=[(0, -1, 0, -0.12)])
    brim = ellipsoid((0.85, 0.56, 0), (0.7, 0.06, 0.68), peak, turn("z", -6))
    freckles = [
        ellipsoid((0.66, -0.1 - 0.07 * k % 0.13, 0.34 + 0.07 * k), (0.035, 0.02, 0.02), skin((0.75, 0.5, 0.36)))
        for k in range(3)
    ]
    return [
        *head,
        crown,
        brim,
        ellipsoid((-0.1, 1.38, 0), 0.09, peak),
        *_cap(hair, size=1.06, width=1.08, line=0.2),
        *both_sides(freckles),
    ]


def bob_woman():
    hair = fur((0.06, 0.05, 0.06), gloss=0.45, shine=25, bump=0.05, grain=0.06)
    head = _head(
        (0.9, 0.74, 0.58), (0.07, 0.05, 0.05), width=1.0, jaw=0.92, nose=0.8, lips=(0.72, 0.16, 0.2), brow=0.04
    )
    fringe = ellipsoid((0.0, 0.42, 0), (0.96, 0.82, 0.85), hair, planes=[(0, -1, 0, 0.02), (-1, 0, 0, -0.3)])
    curtain = [ellipsoid((-0.05, -0.05, 0.72), (0.62, 0.85, 0.24), hair, planes=[(0, -1, 0, 0.82)])]
    ear_rings = [ellipsoid((0.2, -0.75, 0.68), 0.1, metal((0.85, 0.7, 0.3)))]
    back = ellipsoid((-0.4, 0.05, 0), (0.78, 1.0, 0.86), hair, planes=[(0, -1, 0, 0.78)])
    return [*head, *_cap(hair, size=1.12, line=0.42), fringe, back, *both_sides(curtain + ear_rings)]


MAKERS = (young_woman, bald_man, afro_man, glasses_man, bearded_man, old_woman, boy_with_hat, bob_woman)
