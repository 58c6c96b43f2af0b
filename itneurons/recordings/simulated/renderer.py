"""A small orthographic ray caster for the solids of ``shapes``.

The camera's rays all have one direction, so that a part costs a handful of array operations in its own bounding box.
Depth decides what is visible; colour is computed afterwards, once for each visible point. On the screen x points right,
y up and z to the viewer.
"""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

# cells a side of the table of noise
NOISE_SIZE = 64
# of the map that the light sees, relative to the screen
SHADOW_RESOLUTION = 0.5


def cast(solid, rotation, scale, offset, size):
    """Cast one ray a pixel at a solid.

    Parameters
    ----------
    solid : Solid
    rotation : array of shape (3, 3)
        From the solid's frame to the screen.
    scale : float
        Pixels a unit of the solid.
    offset : (float, float)
        Where the solid's origin lies, in pixels right of and above the middle of the screen.
    size : int
        Width and height of the screen in pixels.

    Returns
    -------
    depth : array of shape (size, size), float32
        Depth of the nearest surface, in pixels towards the viewer; -inf where there is none.
    owner : array of shape (size, size), int16
        The part it belongs to, -1 where there is none.
    """
    depth = np.full((size, size), -np.inf, dtype=np.float32)
    owner = np.full((size, size), -1, dtype=np.int16)
    right = np.arange(size, dtype=np.float32) - (size - 1) / 2 - np.float32(offset[0])
    up = (size - 1) / 2 - np.arange(size, dtype=np.float32) - np.float32(offset[1])
    for index, (part, inverse) in enumerate(zip(solid.parts, solid.inverses, strict=True)):
        centre, half = part.extent(rotation)
        centre, half = centre * scale, half * scale + 1
        columns = slice(*np.searchsorted(right, (centre[0] - half[0], centre[0] + half[0])))
        rows = slice(*np.searchsorted(-up, (-centre[1] - half[1], -centre[1] + half[1])))
        x, y = right[columns] - np.float32(centre[0]), up[rows, None] - np.float32(centre[1])
        if not x.size or not y.size:
            continue
        near = _nearest(part, inverse @ rotation.T / scale, x, y)
        near += np.float32(centre[2])
        seen = near > depth[rows, columns]
        np.copyto(depth[rows, columns], near, where=seen)
        np.copyto(owner[rows, columns], np.int16(index), where=seen)
    return depth, owner


def _nearest(part, ray, x, y):
    """Largest z on the part over the grid x, y (relative to its centre), -inf where the ray misses it.

    ``ray`` (3, 3) takes screen coordinates to the part's frame.
    """
    right, up, towards = ray.T
    near, far, hit = np.float32(np.inf), np.float32(-np.inf), True
    length = np.sqrt(towards @ towards)
    # a plane cuts the ray at an edge that is linear in x and y
    for across, rise, slope, level in np.c_[part.planes[:, :3] @ ray, part.planes[:, 3]].tolist():
        slope = _not_zero(slope, 1e-5 * length)
        edge = (level / slope - across / slope * x).astype(np.float32) - (rise / slope * y).astype(np.float32)
        if slope > 0:
            near = np.minimum(near, edge)
        else:
            far = np.maximum(far, edge)
    if part.quadric is not None:
        s, linear, f = part.quadric
        shape = np.array([1, 1, s])
        # a z^2 + 2 b z + c = 0 with b linear and c quadratic in x and y; all divided by a
        a = _not_zero((shape * towards**2).sum(), 1e-4 * length**2)
        bx, by, b0 = (shape * towards * right).sum() / a, (shape * towards * up).sum() / a, linear * towards[2] / a
        cxx, cyy, cxy = (shape * right**2).sum() / a, (shape * up**2).sum() / a, (shape * right * up).sum() / a
        cx, cy = linear * right[2] / a, linear * up[2] / a
        row = (bx**2 - cxx) * x**2 + 2 * (bx * b0 - cx) * x + (b0**2 - f / a)
        column = (by**2 - cyy) * y**2 + 2 * (by * b0 - cy) * y
        square = (y * (2 * (bx * by - cxy) * x).astype(np.float32) + row.astype(np.float32)) + column.astype(np.float32)
        hit = square > 0
        root = np.sqrt(np.maximum(square, 0, out=square), out=square)
        b = (bx * x + b0).astype(np.float32) + (by * y).astype(np.float32)
        if a > 0:
            near, far = np.minimum(near, root - b), np.maximum(far, -root - b)
        elif linear * towards[2] > 0:
            # the ray runs inside a cone that narrows towards the viewer
            near = np.minimum(near, -root - b)
        else:
            far = np.maximum(far, root - b)
    return np.where(hit & (near > far), near, np.float32(-np.inf))


def _not_zero(value, least):
    return value if abs(value) > least else np.copysign(least, value)


def shade(solid, rotation, scale, offset, depth, owner, materials, light, rng):
    """Colour every visible point: Lambert and Blinn-Phong shading, procedural patterns, darkened creases.

    Parameters
    ----------
    solid, rotation, scale, offset, depth, owner
        As given to and returned by ``cast``.
    materials : sequence of Material
        One for each part.
    light : array of shape (3,)
        Unit vector to the light, in screen coordinates.
    rng : numpy.random.Generator
        Draws where in the noise the solid lies.

    Returns
    -------
    colours : array of shape (n_visible, 3), float32
        Linear light, 0 or more.
    pixels : array of shape (n_visible,), int
        The flat index of each.
    """
    size = len(depth)
    pixels = np.flatnonzero(owner >= 0)
    owners = owner.ravel()[pixels]
    order = np.argsort(owners, kind="stable")
    pixels, owners = pixels[order], owners[order]
    counts = np.bincount(owners, minlength=len(solid.parts))
    rows, columns = np.divmod(pixels, size)
    points = np.empty((3, len(pixels)), dtype=np.float32)
    points[0] = columns - ((size - 1) / 2 + offset[0])
    points[1] = (size - 1) / 2 - offset[1] - rows
    points[2] = depth.ravel()[pixels]

    normals = np.empty_like(points)
    stop = np.cumsum(counts)
    for index in np.flatnonzero(counts):
        these = slice(stop[index] - counts[index], stop[index])
        part, inverse = solid.parts[index], solid.inverses[index]
        ray = (inverse @ rotation.T / scale).astype(np.float32)
        local = ray @ (points[:, these] - (rotation @ part.centre * scale).astype(np.float32)[:, None])
        normals[:, these] = (rotation @ inverse.T).astype(np.float32) @ _local_normals(part, inverse, local)

    normals /= np.sqrt((normals**2).sum(axis=0))

    def each(field):
        table = np.array([getattr(material, field) for material in materials], dtype=np.float32)
        return np.repeat(table, counts, axis=0)

    _melt(normals, each("soft"), rows, columns, 0.02 * scale)
    position = (rotation.T / scale).astype(np.float32) @ points
    phases = rng.uniform(0, 2 * np.pi, (8, 1))
    warped = np.flatnonzero(each("warp"))
    smooth = np.zeros(len(pixels), dtype=np.float32)
    smooth[warped] = _smooth_noise(position[:, warped] / each("patch")[warped], phases)
    fine = _fine_noise(position, rng.integers(0, NOISE_SIZE, (3, 1)))

    normals += (0.5 * each("bump")) * fine
    normals /= np.sqrt((normals**2).sum(axis=0))

    phase = (each("wave").T * position).sum(axis=0) + each("warp") * smooth
    pattern = np.clip((np.sin(phase) - each("threshold")) * each("sharpness") * 0.5 + 0.5, 0, 1)
    base = each("colour") ** 2
    second = np.array([m.colour if m.second is None else m.second for m in materials], dtype=np.float32) ** 2
    base += pattern[:, None] * (np.repeat(second, counts, axis=0) - base)
    base *= (1 + each("grain") * fine[0])[:, None]

    crease = _creases(depth[::4, ::4], scale / 4)[rows // 4, columns // 4]
    lit = 1 - _shadowed(solid, rotation, scale, points, light)
    lambert = np.maximum(light.astype(np.float32) @ normals, 0) * lit
    # the sky lights more than the ground
    ambient = 0.34 + 0.16 * normals[1] + 0.06 * normals[2]
    halfway = light + (0, 0, 1)
    halfway = (halfway / np.linalg.norm(halfway)).astype(np.float32)
    highlight = lit * each("gloss") * np.maximum(halfway @ normals, 0) ** each("shine")
    metal = each("metal")
    # the y coordinate of the mirrored view: a horizon between a bright sky and a dark ground
    mirrored = 2 * normals[2] * normals[1]
    surroundings = 0.75 + 0.55 * np.tanh(5 * mirrored) + 0.35 * np.maximum(mirrored, 0)
    diffuse = (ambient + 0.85 * lambert) * (1 - 0.75 * metal) + 0.75 * metal * surroundings
    colours = base * (diffuse * crease)[:, None]
    colours += (highlight * crease)[:, None] * (1 - 0.5 * metal[:, None] * (1 - base))
    # glossy paint mirrors a little of the sky where it is seen at a slant
    colours += (0.12 * each("gloss") * (1 - np.abs(normals[2])) ** 2 * np.maximum(normals[1] + 0.3, 0))[:, None]
    return colours, pixels


def _local_normals(part, inverse, local):
    """Gradients, in the part's frame, of the constraints that are active at points (3, n) of its surface."""
    if part.quadric is not None:
        s, linear, f = part.quadric
        gradient = local * np.array([[1], [1], [s]], dtype=np.float32)
        value = (gradient * local).sum(axis=0) + 2 * linear * local[2] + f
        gradient[2] += linear
        if not len(part.planes):
            return gradient
    # distance to each constraint in units of the solid; the gradients scaled to unit length there
    lengths = np.linalg.norm(part.planes[:, :3] @ inverse, axis=1)
    planes = (part.planes / lengths[:, None]).astype(np.float32)
    slack = planes[:, 3:] - planes[:, :3] @ local
    if part.quadric is not None:
        length = np.sqrt(((inverse.T.astype(np.float32) @ gradient) ** 2).sum(axis=0))
        slack = np.concatenate([slack, (-0.5 * value / length)[None]])
    # near an edge the normal turns from one face to the other, as on a rounded edge
    weight = np.maximum(1 - (slack - slack.min(axis=0)) / np.float32(max(part.bevel, 1e-3)), 0) ** 2
    normals = planes[:, :3].T @ weight[: len(planes)]
    if part.quadric is not None:
        normals += gradient * (weight[-1] / length)
    return normals


def _melt(normals, soft, rows, columns, sigma):
    """Blur the normals (3, n) of soft points on the screen, in place, so that the seams between parts vanish."""
    chosen = np.flatnonzero(soft)
    if not len(chosen):
        return
    # at half the resolution, and only where there are soft points
    rows, columns = rows[chosen] // 2, columns[chosen] // 2
    rows, columns = rows - rows.min(), columns - columns.min()
    grid = np.zeros((3, rows.max() + 1, columns.max() + 1), dtype=np.float32)
    grid[:, rows, columns] = normals[:, chosen]
    blurred = gaussian_filter(grid, (0, sigma / 2, sigma / 2), truncate=2, mode="constant")[:, rows, columns]
    blurred /= np.sqrt((blurred**2).sum(axis=0)) + np.float32(1e-6)
    normals[:, chosen] = 0.2 * normals[:, chosen] + 0.8 * blurred


def _shadowed(solid, rotation, scale, points, light):
    """How much of the light other parts take from points (3, n): 0..1, from the solid as the light sees it."""
    scale = scale * SHADOW_RESOLUTION
    right = np.cross((0, 1, 0), light)
    right /= np.linalg.norm(right)
    to_light = np.stack([right, np.cross(light, right), light])
    size = int(2 * scale)
    seen, _ = cast(solid, to_light @ rotation, scale, (0, 0), size)
    x, y, z = (to_light * SHADOW_RESOLUTION).astype(np.float32) @ points
    x, y = x + np.float32((size - 1) / 2), np.float32((size - 1) / 2) - y
    z += np.float32(0.03 * scale)
    shadow = np.zeros_like(z)
    # four looks a little beside each other soften the edge
    spread = np.float32(max(0.5, 0.006 * scale))
    for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        column = (x + (dx * spread + np.float32(0.5))).astype(np.int32).clip(0, size - 1)
        row = (y + (dy * spread + np.float32(0.5))).astype(np.int32).clip(0, size - 1)
        shadow += seen.ravel()[row * size + column] > z
    return shadow * np.float32(0.25)


def _creases(depth, scale):
    """Darken what lies behind its surroundings: 0..1 on the grid of the depths.

    Unsharp masking of the depth buffer after Luft, Colditz and Deussen 2006.
    """
    inside = np.isfinite(depth)
    flat = np.where(inside, depth, np.float32(0))
    both = np.stack([flat, inside.astype(np.float32)])
    blurred, share = gaussian_filter(both, (0, 0.035 * scale, 0.035 * scale), truncate=2)
    # depths of the full grid on a grid of a quarter: four times as many pixels a unit
    behind = np.clip((blurred / np.maximum(share, 1e-3) - flat) / (0.12 * 4 * scale), 0, 1)
    return 1 - 0.55 * behind * inside


@cache
def _noise():
    """Smooth periodic noise of unit variance, of shape (3, NOISE_SIZE ** 3)."""
    spectrum = np.fft.rfftn(np.random.default_rng(0).standard_normal((3, *[NOISE_SIZE] * 3)), axes=(1, 2, 3))
    f = np.fft.fftfreq(NOISE_SIZE)
    radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + np.fft.rfftfreq(NOISE_SIZE) ** 2)
    values = np.fft.irfftn(spectrum * np.exp(-0.5 * (radius / 0.06) ** 2), s=[NOISE_SIZE] * 3, axes=(1, 2, 3))
    return (values / values.std()).astype(np.float32).reshape(3, -1)


def _fine_noise(points, shift):
    """Grain (3, n) at points (3, n), from a table of 256 cells a unit."""
    # shifted to positive numbers, which integers truncate as floor does
    cell = (points * np.float32(256) + (shift + 1024).astype(np.float32)).astype(np.int32) & (NOISE_SIZE - 1)
    return _noise()[:, (cell[0] * NOISE_SIZE + cell[1]) * NOISE_SIZE + cell[2]]


@cache
def _directions():
    """Wave vectors (8, 3) of about one wave a unit, in all directions."""
    vectors = np.random.default_rng(1).standard_normal((8, 3))
    lengths = np.linspace(0.6, 1.3, 8)[:, None]
    return (2 * np.pi * lengths * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _smooth_noise(points, phases):
    """A sum of plane waves (n,) of unit variance, at points (3, n)."""
    return np.sin(_directions() @ points + phases.astype(np.float32)).sum(axis=0) * np.float32(0.5)
