"""Eight fruits."""

import numpy as np

from itneurons.recordings.simulated.objects.materials import (
    LEAF,
    PUPIL,
    STEM,
    matte,
    paint,
    skin,
)
from itneurons.recordings.simulated.shapes import Material, both_sides, ellipsoid, limb, tube, turn


def _lobed(lobes, ring, radii, material):
    """Lobes around an axis: their meeting leaves a dimple at the top."""
    parts = []
    for angle in np.arange(lobes) * 2 * np.pi / lobes:
        parts.append(ellipsoid((ring * np.cos(angle), 0, ring * np.sin(angle)), radii, material))
    return parts


def _leaf(base, tip, width, material=LEAF):
    base, tip = np.array(base, dtype=float), np.array(tip, dtype=float)
    length = np.linalg.norm(tip - base) / 2
    direction = (tip - base) / (2 * length)
    side = np.cross(direction, (0, 1, 0))
    side /= np.linalg.norm(side)
    rotation = np.stack([direction, np.cross(side, direction), side], axis=1)
    return ellipsoid((base + tip) / 2, (length, 0.05, width), material, rotation)


def apple():
    peel = paint(
        (0.75, 0.14, 0.12),
        second=(0.85, 0.62, 0.2),
        warp=1.1,
        patch=0.5,
        wave=(0, 2.5, 0),
        threshold=0.55,
        sharpness=1.2,
        shine=40,
        soft=True,
    )
    dent = matte((0.55, 0.5, 0.2))
    return [
        *_lobed(7, 0.34, (0.68, 0.86, 0.68), peel),
        ellipsoid((0, 0.62, 0), (0.2, 0.06, 0.2), dent),
        *limb((0, 0.6, 0), (0.1, 1.15, 0.05), 0.05, STEM, 0.06),
        _leaf((0.08, 1.0, 0.05), (0.65, 1.2, 0.35), 0.2),
    ]


def apricot():
    peel = skin((0.95, 0.62, 0.25), gloss=0.12)._replace(second=(0.9, 0.42, 0.2), threshold=0.4)
    lobes = both_sides([ellipsoid((0, 0, 0.1), (0.82, 0.85, 0.78), peel)])
    half = ellipsoid((1.25, -0.42, 0.75), (0.72, 0.5, 0.72), peel, turn("z", 8), planes=[(0, 1, 0, 0.3)])
    flesh = ellipsoid(
        (1.25, -0.4, 0.75), (0.655, 0.43, 0.655), matte((0.97, 0.76, 0.38)), turn("z", 8), planes=[(0, 1, 0, 0.33)]
    )
    stone = ellipsoid((1.24, -0.27, 0.75), (0.26, 0.17, 0.2), matte((0.45, 0.26, 0.14), bump=0.3))
    return [*lobes, half, flesh, stone, tube((0, 0.8, 0), (0, 0.92, 0), 0.07, STEM, 0.05)]


def peach():
    peel = Material(
        (0.96, 0.68, 0.5),
        (0.83, 0.25, 0.25),
        wave=(2, 2.5, 2),
        warp=0.8,
        patch=0.6,
        threshold=0.1,
        sharpness=0.8,
        gloss=0.06,
        shine=6,
        bump=0.05,
        soft=True,
    )
    lobes = both_sides([ellipsoid((0, 0, 0.16), (0.95, 0.95, 0.84), peel)])
    return [
        *lobes,
        ellipsoid((0, -0.85, 0), (0.16, 0.2, 0.1), peel),
        *limb((0, 0.8, 0), (-0.05, 1.0, 0), 0.07, STEM),
        _leaf((-0.05, 0.95, 0.0), (0.7, 1.25, 0.55), 0.22),
        _leaf((-0.05, 0.95, 0.0), (-0.9, 1.15, 0.35), 0.25),
    ]


def pear():
    peel = Material(
        (0.72, 0.74, 0.28),
        (0.6, 0.48, 0.2),
        warp=1.5,
        patch=0.08,
        threshold=0.7,
        sharpness=2,
        gloss=0.3,
        shine=25,
        bump=0.03,
        soft=True,
    )
    return [
        ellipsoid((0, -0.45, 0), (0.82, 0.78, 0.82), peel),
        tube((0, -0.15, 0), (0.03, 0.65, 0), 0.74, peel, 0.42),
        ellipsoid((0.03, 0.62, 0), (0.43, 0.42, 0.43), peel),
        ellipsoid((0, -0.05, 0), (0.68, 0.6, 0.68), peel),
        *limb((0.04, 1.0, 0), (0.2, 1.45, 0.05), 0.045, STEM, 0.06),
        ellipsoid((0, -1.2, 0), (0.12, 0.06, 0.12), STEM),
    ]


def _leafy_crown(y, radius, leaves=6, droop=0.1):
    parts = [tube((0, y - 0.05, 0), (0.05, y + 0.35, 0), 0.05, LEAF)]
    for angle in np.arange(leaves) * 2 * np.pi / leaves:
        tip = (radius * np.cos(angle), y - droop, radius * np.sin(angle))
        parts.append(_leaf((0, y, 0), tip, 0.17))
    return parts


def raspberry():
    drupelet = paint((0.72, 0.1, 0.24), gloss=0.45, shine=25)
    parts = [ellipsoid((0, -0.1, 0), (0.6, 0.85, 0.6), paint((0.5, 0.05, 0.15)))]
    for ring, (height, radius, count) in enumerate(
        ((0.55, 0.52, 9), (0.25, 0.66, 11), (-0.07, 0.68, 11), (-0.39, 0.6, 10), (-0.68, 0.44, 8), (-0.92, 0.2, 4))
    ):
        for angle in (np.arange(count) + 0.5 * (ring % 2)) * 2 * np.pi / count:
            parts.append(
                ellipsoid((radius * np.cos(angle), height, radius * np.sin(angle)), (0.22, 0.2, 0.22), drupelet)
            )
    return [*parts, *_leafy_crown(0.72, 0.6, leaves=5)]


def strawberry():
    peel = paint((0.82, 0.12, 0.1), gloss=0.4, shine=30, soft=True)
    seed = paint((0.9, 0.75, 0.35))
    parts = [
        ellipsoid((0, 0.25, 0), (0.82, 0.6, 0.82), peel),
        tube((0, 0.15, 0), (0, -0.85, 0), 0.81, peel, 0.3),
        ellipsoid((0, -0.8, 0), (0.33, 0.3, 0.33), peel),
    ]
    for row, (height, radius, count) in enumerate(
        ((0.45, 0.77, 9), (0.18, 0.83, 10), (-0.1, 0.71, 9), (-0.38, 0.57, 8), (-0.66, 0.43, 6), (-0.92, 0.29, 4))
    ):
        for angle in (np.arange(count) + 0.5 * (row % 2)) * 2 * np.pi / count:
            parts.append(
                ellipsoid((radius * np.cos(angle), height, radius * np.sin(angle)), (0.035, 0.06, 0.035), seed)
            )
    return parts + _leafy_crown(0.85, 0.8, leaves=7, droop=0.22)


def walnut():
    shell = Material(
        (0.7, 0.52, 0.33), (0.48, 0.33, 0.2), wave=(0, 5, 0), warp=5, sharpness=1.5, bump=0.7, grain=0.12, gloss=0.1
    )
    parts = [ellipsoid((0, 0, 0.06), (1.0, 0.82, 0.76), shell)]
    rim = [(1.01 * np.cos(a), 0.83 * np.sin(a), 0) for a in np.linspace(0, 2 * np.pi, 25)]
    ridges = [tube(a, b, 0.07, shell) for a, b in zip(rim[:-1], rim[1:], strict=True)]
    wrinkles = []
    for height in (-0.45, -0.15, 0.15, 0.45):
        path = [(x, height + 0.09 * np.sin(7 * x + 9 * height), 0) for x in np.linspace(-0.75, 0.75, 7)]
        path = [(x, y, 0.06 + 0.76 * np.sqrt(max(0.02, 1 - x**2 - (y / 0.82) ** 2))) for x, y, _ in path]
        wrinkles += [tube(a, b, 0.045, shell) for a, b in zip(path[:-1], path[1:], strict=True)]
    return [*both_sides(parts + wrinkles), *ridges, ellipsoid((1.05, 0, 0), (0.12, 0.09, 0.09), shell)]


def watermelon():
    peel = paint(
        (0.16, 0.34, 0.14), second=(0.5, 0.66, 0.32), wave=(0, 0, 30), warp=0.9, threshold=0.1, sharpness=2, gloss=0.3
    )
    flesh, rind = matte((0.9, 0.25, 0.24), grain=0.1, gloss=0.15), matte((0.88, 0.92, 0.75))
    cut = [(1, 0, 0, 0.35)]
    parts = [
        ellipsoid((0, 0, 0), (1.45, 1.0, 1.0), peel, planes=cut),
        # the cut face: a pale rind around red flesh
        ellipsoid((0.02, 0, 0), (1.43, 0.97, 0.97), rind, planes=cut),
        ellipsoid((0.04, 0, 0), (1.4, 0.88, 0.88), flesh, planes=cut),
    ]
    for radius, count in ((0.3, 5), (0.58, 9)):
        for angle in np.arange(count) * 2 * np.pi / count + radius:
            parts.append(ellipsoid((0.53, radius * np.sin(angle), radius * np.cos(angle)), (0.03, 0.075, 0.045), PUPIL))
    return parts


MAKERS = (apple, apricot, peach, pear, raspberry, strawberry, walnut, watermelon)
