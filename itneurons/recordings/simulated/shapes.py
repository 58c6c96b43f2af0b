"""Solids made of clipped quadrics.

A part is the set of points q of its own frame, inside the cube [-1, 1]^3, with

    q0^2 + q1^2 + s q2^2 + 2 l q2 + f <= 0    and    n . q <= c for each of its planes,

which covers ellipsoids, cylinders, truncated cones, paraboloids, boxes and convex prisms. The frame of a solid has x to
its front, y up and z to its right.
"""

from typing import NamedTuple

import numpy as np

ELLIPSOID = (1.0, 0.0, -1.0)
CAPS = np.array([[0, 0, 1, 1], [0, 0, -1, 1]], dtype=float)
CUBE = np.concatenate([np.c_[sign * np.eye(3), np.ones(3)] for sign in (1, -1)])


class Material(NamedTuple):
    """How a surface looks; colours are sRGB in 0..1, frequencies are in radians a unit of the solid's frame."""

    colour: tuple
    second: tuple | None = None  # the pattern mixes this colour in
    wave: tuple = (0.0, 0.0, 0.0)  # the pattern is a wave of this frequency ...
    warp: float = 0.0  # ... whose phase is shifted by this times smooth noise
    patch: float = 0.19  # of about this wavelength,
    threshold: float = 0.0  # ... cut at this level,
    sharpness: float = 3.0  # ... with edges this sharp
    grain: float = 0.05  # contrast of fine noise
    bump: float = 0.0  # how far fine noise bends the normals
    gloss: float = 0.1  # strength of the highlight
    shine: float = 20.0  # its exponent
    metal: float = 0.0  # share of light that mirrors the surroundings
    soft: bool = False  # parts melt into each other: normals are blurred on the screen


class Part(NamedTuple):
    """One convex piece of a solid: see the module's docstring."""

    frame: np.ndarray  # (3, 3) from the part's frame to the solid's
    centre: np.ndarray  # (3,)
    quadric: tuple | None  # s, l, f of the module's docstring
    planes: np.ndarray  # (n_planes, 4) n and c
    bevel: float  # width over which normals turn at an edge, in units of the solid
    material: Material

    def extent(self, rotation):
        """Centre and half-widths, of shape (3,) each, of the bounding box after a rotation."""
        columns = rotation @ self.frame
        if self.quadric == ELLIPSOID:
            half = np.linalg.norm(columns, axis=1)
        elif self.quadric is None or self.quadric[0] > 0:
            half = np.abs(columns).sum(axis=1)
        else:
            half = np.linalg.norm(columns[:, :2], axis=1) + np.abs(columns[:, 2])
        return rotation @ self.centre, half

    def moved(self, frame=None, shift=(0, 0, 0)):
        """The part after the linear map ``frame`` of the solid's space and then a shift."""
        frame = np.eye(3) if frame is None else np.asarray(frame, dtype=float)
        return self._replace(frame=frame @ self.frame, centre=frame @ self.centre + shift)


def turn(axis, degrees):
    """Rotation matrix about the axis "x", "y" or "z"."""
    angle = np.deg2rad(degrees)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -matrix[j, i]
    return matrix


def _part(frame, centre, quadric, planes, bevel, material):
    planes = np.asarray(planes, dtype=float).reshape(-1, 4)
    return Part(np.asarray(frame, dtype=float), np.asarray(centre, dtype=float), quadric, planes, bevel, material)


def ellipsoid(centre, radii, material, rotation=None, planes=()):
    """An ellipsoid, clipped by planes (n0, n1, n2, c) of its own unit sphere where some are given."""
    rotation = np.eye(3) if rotation is None else rotation
    return _part(rotation @ np.diag(np.broadcast_to(radii, 3)), centre, ELLIPSOID, planes, 0.03, material)


def box(centre, half, material, rotation=None, bevel=0.04, planes=()):
    """A box of the half-widths ``half``; planes cut its own unit cube further."""
    rotation = np.eye(3) if rotation is None else rotation
    planes = np.concatenate([CUBE, np.reshape(planes, (-1, 4))])
    return _part(rotation @ np.diag(half), centre, None, planes, bevel, material)


def pillow(centre, half, material, rotation=None, fullness=1.25, bevel=0.08):
    """A box whose corners are rounded off by an ellipsoid ``fullness`` times as large."""
    solid = box(centre, half, material, rotation, bevel)
    return solid._replace(quadric=(1.0, 0.0, -(fullness**2)))


def tube(start, end, radius, material, end_radius=None, squash=1.0, bevel=0.03):
    """A cylinder or truncated cone between two points; ``squash`` flattens its section."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    end_radius = radius if end_radius is None else end_radius
    if end_radius > radius:
        start, end, radius, end_radius = end, start, end_radius, radius
    axis = (end - start) / 2
    along = axis / np.linalg.norm(axis)
    side = np.cross(along, (0, 1, 0) if abs(along[1]) < 0.9 else (1, 0, 0))
    side /= np.linalg.norm(side)
    frame = np.stack([side * radius, np.cross(along, side) * radius * squash, axis], axis=1)
    ratio = end_radius / radius
    middle, slope = (1 + ratio) / 2, (ratio - 1) / 2
    quadric = (-(slope**2), -middle * slope, -(middle**2))
    return _part(frame, (start + end) / 2, quadric, CAPS, bevel, material)


def limb(start, end, radius, material, end_radius=None):
    """A tube with round ends, as a list of three parts."""
    end_radius = radius if end_radius is None else end_radius
    shaft = tube(start, end, radius, material, end_radius)
    return [shaft, ellipsoid(start, radius, material), ellipsoid(end, end_radius, material)]


def bowl(base, tip, radius, material):
    """A paraboloid that narrows from a disc of the given radius at ``base`` to a point at ``tip``."""
    return tube(base, tip, radius, material)._replace(quadric=(0.0, 0.25, -0.5))


def prism(outline, half_width, material, lean=0.0, bevel=0.04, axis="z", centre=(0, 0, 0)):
    """A convex outline, swept along an axis.

    Parameters
    ----------
    outline : sequence of (float, float)
        Convex polygon, anticlockwise, in (x, y) for the axis z, and in (x, -z) for the axis y.
    half_width : float
        Half of its extent along the axis.
    lean : float
        How far the ends come inwards at the top of the outline, as a fraction of the half-width (axis z); or how far
        the outline shrinks towards the lower end (axis y), as the hull of a ship does.
    """
    outline = np.asarray(outline, dtype=float)
    low, high = outline.min(axis=0), outline.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    points = (outline - middle) / half
    edges = np.roll(points, -1, axis=0) - points
    # a corner given twice makes no edge
    points, edges = points[edges.any(axis=1)], edges[edges.any(axis=1)]
    normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    offsets = (normals * points).sum(axis=1)
    sides = np.c_[normals, np.zeros(len(normals)), offsets]
    if axis == "z":
        # |q2| <= 1 - lean (1 + q1) / 2
        ends = np.array([[0, lean / 2, sign, 1 - lean / 2] for sign in (1, -1)])
        frame = np.diag([*half, half_width])
        position = (*middle, 0)
    else:
        # q2 points up: at its lower end the polygon has (1 - lean) of its size
        sides[:, 2], sides[:, 3] = -offsets * lean / 2, offsets * (1 - lean / 2)
        ends = CAPS
        frame = np.diag([*half, half_width])[[0, 2, 1]] * np.array([[1], [1], [-1]])
        position = (middle[0], 0, -middle[1])
    return _part(frame, np.add(position, centre), None, np.concatenate([sides, ends]), bevel, material)


def both_sides(parts):
    """The parts and their mirror images on the solid's other side."""
    return [*parts, *(part.moved(np.diag([1, 1, -1])) for part in parts)]


class Solid:
    """Parts, centred and scaled for the canonical view, and ready to be drawn.

    Parameters
    ----------
    parts : sequence of Part
    view : array of shape (3, 3)
        Rotation of the canonical view. The solid is centred in it, and scaled so that the geometric mean of its
        longer side and of the square root of its bounding box's area is one.
    """

    def __init__(self, parts, view):
        corners = np.array([part.extent(view) for part in parts])
        low, high = (corners[:, 0] - corners[:, 1]).min(axis=0), (corners[:, 0] + corners[:, 1]).max(axis=0)
        size = (high - low)[:2]
        scale = 1 / np.sqrt(size.max() * np.sqrt(size.prod()))
        middle = view.T @ ((low + high) / 2)
        self.parts = [
            part._replace(frame=part.frame * scale, centre=(part.centre - middle) * scale, bevel=part.bevel * scale)
            for part in parts
        ]
        self.inverses = [np.linalg.inv(part.frame) for part in self.parts]
