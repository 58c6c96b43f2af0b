"""Eight tables, set for various uses."""

import numpy as np

from itneurons.recordings.simulated.objects.materials import (
    CHROME,
    DARK,
    MAHOGANY,
    OAK,
    STEEL,
    WALNUT,
    cloth,
    glass,
    matte,
    metal,
    paint,
    wood,
)
from itneurons.recordings.simulated.shapes import both_sides, box, ellipsoid, tube, turn


def dining_table():
    return [
        box((0, 1.2, 0), (1.0, 0.06, 1.55), OAK, bevel=0.03),
        box((0, 1.07, 0), (0.86, 0.09, 1.4), OAK),
        *both_sides([box((x, 0.57, 1.34), (0.08, 0.57, 0.08), OAK) for x in (0.8, -0.8)]),
    ]


def pedestal_table():
    parts = [
        tube((0, 1.22, 0), (0, 1.32, 0), 1.15, MAHOGANY, bevel=0.04),
        tube((0, 1.22, 0), (0, 1.1, 0), 1.0, MAHOGANY, 0.3),
        tube((0, 1.15, 0), (0, 0.3, 0), 0.12, MAHOGANY, 0.2),
        ellipsoid((0, 0.7, 0), (0.22, 0.2, 0.22), MAHOGANY),
        ellipsoid((0, 0.32, 0), (0.28, 0.14, 0.28), MAHOGANY),
    ]
    for angle in np.deg2rad((30, 150, 270)):
        foot = np.array([np.cos(angle) * 0.75, 0.08, np.sin(angle) * 0.75])
        parts += [tube((0, 0.36, 0), foot, 0.12, MAHOGANY, 0.07), ellipsoid(foot, 0.09, MAHOGANY)]
    return parts


def coffee_table():
    pane = glass((0.55, 0.68, 0.68), metal=0.5)
    return [
        box((0, 0.75, 0), (0.85, 0.035, 1.3), pane, bevel=0.02),
        box((0, 0.25, 0), (0.72, 0.03, 1.15), matte((0.88, 0.86, 0.82)), bevel=0.02),
        *both_sides(
            [
                *[tube((x, 0.72, 1.15), (x, 0, 1.15), 0.05, CHROME) for x in (0.7, -0.7)],
                tube((-0.7, 0.69, 1.15), (0.7, 0.69, 1.15), 0.04, CHROME),
            ]
        ),
        *[tube((x, 0.69, -1.15), (x, 0.69, 1.15), 0.04, CHROME) for x in (0.7, -0.7)],
        box((0.1, 0.82, 0.4), (0.25, 0.035, 0.18), paint((0.7, 0.3, 0.2)), turn("y", 25)),
        box((0.12, 0.33, -0.4), (0.25, 0.05, 0.2), paint((0.25, 0.35, 0.5)), turn("y", -15)),
    ]


def desk():
    handle = metal((0.75, 0.6, 0.35))
    drawers = [box((0.62, y, 0.98), (0.05, 0.15, 0.33), WALNUT, bevel=0.02) for y in (0.28, 0.63, 0.98)]
    knobs = [box((0.69, y, 0.98), (0.03, 0.025, 0.1), handle) for y in (0.28, 0.63, 0.98)]
    return [
        box((0, 1.24, 0), (0.75, 0.06, 1.5), WALNUT, bevel=0.03),
        box((0, 0.6, 0.98), (0.62, 0.58, 0.4), WALNUT, bevel=0.03),
        *drawers,
        *knobs,
        box((0, 0.6, -1.35), (0.62, 0.6, 0.06), WALNUT),
        box((-0.55, 0.85, -0.3), (0.04, 0.35, 1.0), WALNUT),
        box((0.6, 1.09, -0.35), (0.05, 0.09, 0.9), WALNUT, bevel=0.02),
        box((0.67, 1.09, -0.35), (0.03, 0.025, 0.12), handle),
        # a lamp and a sheet of paper
        tube((-0.3, 1.3, -1.1), (-0.3, 1.34, -1.1), 0.2, DARK),
        tube((-0.3, 1.3, -1.1), (-0.3, 1.8, -1.1), 0.03, handle),
        tube((-0.3, 1.75, -1.1), (-0.3, 2.05, -1.1), 0.28, paint((0.2, 0.45, 0.3)), 0.12),
        box((0.2, 1.31, 0.1), (0.3, 0.01, 0.22), matte((0.95, 0.94, 0.9)), turn("y", 10)),
    ]


def picnic_table():
    weathered = wood((0.62, 0.55, 0.45), (0.48, 0.42, 0.35))
    planks = [box((x, 1.25, 0), (0.14, 0.05, 1.6), weathered, bevel=0.02) for x in (-0.62, -0.31, 0, 0.31, 0.62)]
    benches = [box((x, 0.72, 0), (0.13, 0.05, 1.6), weathered, bevel=0.02) for x in (-1.35, -1.07, 1.07, 1.35)]
    frame = [
        box((0.62, 0.6, 1.1), (0.08, 0.7, 0.05), weathered, turn("z", 32)),
        box((-0.62, 0.6, 1.1), (0.08, 0.7, 0.05), weathered, turn("z", -32)),
        box((0, 0.62, 1.1), (1.4, 0.08, 0.05), weathered),
    ]
    return planks + benches + both_sides(frame)


def ping_pong_table():
    green, line = matte((0.1, 0.35, 0.27), gloss=0.25), matte((0.94, 0.95, 0.94))
    return [
        box((0, 1.1, 0), (0.95, 0.05, 1.75), green, bevel=0.02),
        *both_sides([box((0, 1.14, 1.71), (0.95, 0.022, 0.04), line, bevel=0.01)]),
        *[box((x, 1.14, 0), (0.035, 0.022, 1.75), line, bevel=0.01) for x in (-0.91, 0, 0.91)],
        box(
            (0, 1.28, 0),
            (1.1, 0.13, 0.012),
            matte((0.3, 0.32, 0.34), second=(0.8, 0.8, 0.8), wave=(90, 90, 0)),
            bevel=0.01,
        ),
        box((0, 1.41, 0), (1.1, 0.02, 0.016), line, bevel=0.01),
        *both_sides(
            [
                *[tube((x, 1.08, 0.9), (x, 0, 1.1), 0.05, STEEL) for x in (0.75, -0.75)],
                tube((-0.75, 0.35, 1.03), (0.75, 0.35, 1.03), 0.04, STEEL),
            ]
        ),
    ]


def draped_table():
    linen = cloth((0.9, 0.88, 0.86), (0.7, 0.25, 0.28), wave=(34, 0, 34), sharpness=2.5)
    folds = []
    for angle in np.deg2rad(np.arange(12) * 30):
        top, hem = np.array([np.cos(angle), 0, np.sin(angle)]), np.array([np.cos(angle), 0, np.sin(angle)])
        folds.append(tube(top * 0.93 + (0, 1.2, 0), hem * 1.08 + (0, 0.45, 0), 0.14, linen, 0.2))
    return [
        tube((0, 1.28, 0), (0, 1.2, 0), 1.04, linen, bevel=0.08),
        tube((0, 1.22, 0), (0, 0.45, 0), 1.0, linen, 1.1),
        *folds,
        tube((0, 0.5, 0), (0, 0.1, 0), 0.12, WALNUT),
        tube((0, 0.12, 0), (0, 0, 0), 0.5, WALNUT, 0.6),
        # a vase
        ellipsoid((0.1, 1.5, 0.1), (0.17, 0.22, 0.17), paint((0.25, 0.35, 0.62))),
        tube((0.1, 1.65, 0.1), (0.1, 1.85, 0.1), 0.07, paint((0.25, 0.35, 0.62)), 0.1),
    ]


def side_table():
    teak = wood((0.7, 0.42, 0.24), (0.55, 0.3, 0.16))
    legs = []
    for angle in np.deg2rad((20, 140, 260)):
        way = np.array([np.cos(angle), 0, np.sin(angle)])
        legs.append(tube(way * 0.5 + (0, 1.45, 0), way * 0.95, 0.075, teak, 0.045))
    return [
        ellipsoid((0, 1.5, 0), (1.0, 0.09, 1.0), teak),
        tube((0, 1.5, 0), (0, 1.57, 0), 0.96, paint((0.88, 0.82, 0.7)), bevel=0.03),
        tube((0, 0.6, 0), (0, 0.65, 0), 0.62, teak, bevel=0.03),
        *legs,
    ]


MAKERS = (
    dining_table,
    pedestal_table,
    coffee_table,
    desk,
    picnic_table,
    ping_pong_table,
    draped_table,
    side_table,
)
