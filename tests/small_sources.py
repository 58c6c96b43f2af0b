"""The three sources of real recordings in small: files of the same formats, made up."""

import hashlib
import io
import zipfile

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

from itneurons.recordings import schema
from itneurons.recordings.sources import brainscore, v4


def zipped(images, kind, names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, image in zip(names, images, strict=True):
            encoded = io.BytesIO()
            Image.fromarray(image).save(encoded, kind)
            archive.writestr(name, encoded.getvalue())
    return content.getvalue()


def saved(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def random_images(n_images, size=48):
    return np.random.default_rng(0).integers(0, 256, (n_images, size, size, 3), dtype=np.uint8)


def course_file(folder, change=None):
    """The bytes of a file in the course's layout: no attributes, no rates of the test images."""
    path = folder / "made.h5"
    rng = np.random.default_rng(1)
    sizes = {"train": 30, "val": 6, "test": 4}
    schema.write(
        path,
        images={split: random_images(n) for split, n in sizes.items()},
        rates={split: rng.random((sizes[split], 5)) for split in ("train", "val")},
        objects={split: ["car1", "bear"] * (n // 2) for split, n in sizes.items()},
        source="",
        seed=0,
        citation="",
    )
    with h5py.File(path, "a") as file:
        for name in list(file.attrs):
            del file.attrs[name]
        if change:
            change(file)
    content = path.read_bytes()
    path.unlink()
    return content


OBJECTS = [("Faces", "face0001"), ("Animals", "ELEPHANT_M"), ("Cars", "alfa155"), ("Boats", "cargo")]
NAMES = {"face0001": "face0001", "ELEPHANT_M": "ELEPHANT_M", "alfa155": "car_alfa155", "cargo": "ship_c_a_r_g_o"}


def release(folder, change=None, identifier="stimulus_id", dims=("neuroid", "presentation", "time_bin"), members=None):
    """The release's three files as bytes by name, and the true rates by image (n_images, n_sites)."""
    rng = np.random.default_rng(2)
    n_images, n_sites, n_repeats = 40, 6, 4
    ids = [f"{index:02d}" + hashlib.sha1(bytes([index])).hexdigest()[:8] for index in range(n_images)]
    objects = [OBJECTS[index % len(OBJECTS)] for index in range(n_images)]
    table = pd.DataFrame(objects, columns=["category_name", "object_name"])
    table[identifier], table["filename"] = ids, [f"{image_id}.png" for image_id in ids]
    shown = rng.permutation(np.repeat(np.arange(n_images), n_repeats))
    # one image was shown once less
    shown = np.delete(shown, np.flatnonzero(shown == 7)[0])
    # sites in V4 lie between those in IT
    region = np.array(["IT", "V4"] * n_sites)[: 2 * n_sites - 1]
    values = rng.random((len(region), len(shown)))
    if change:
        change(values, region, shown)
    rates = xr.DataArray(
        values[:, :, None],
        dims=("neuroid", "presentation", "time_bin"),
        coords={
            "neuroid_id": ("neuroid", [f"site{index}" for index in range(len(region))]),
            "region": ("neuroid", region),
            identifier: ("presentation", np.array(ids)[shown]),
            "repetition": ("presentation", np.zeros(len(shown), dtype=int)),
            "time_bin_start": ("time_bin", [70]),
        },
    )
    rates = rates.transpose(*dims) if "time_bin" in dims else rates.isel(time_bin=0).transpose(*dims)
    path = folder / "made.nc"
    rates.to_netcdf(path, engine="h5netcdf")
    rows = table.sample(frac=1, random_state=0)
    contents = {
        "rates": path.read_bytes(),
        "table": rows.to_csv(index=False).encode(),
        "images": members or zipped(random_images(n_images), "PNG", table["filename"]),
    }
    path.unlink()
    in_it = values[region == "IT"]
    with np.errstate(invalid="ignore"):
        means = np.array([nan_mean(in_it[:, shown == index]) for index in range(n_images)])
    return contents, means


def nan_mean(values):
    recorded = np.isfinite(values)
    return values.sum(axis=1, where=recorded) / recorded.sum(axis=1)


def publish(server, monkeypatch, contents):
    """Put a release on the server, and its checksums into the source."""
    for kind, (name, _) in dict(brainscore.FILES).items():
        monkeypatch.setitem(brainscore.FILES, kind, (name, hashlib.sha1(contents[kind]).hexdigest()))
        server.files[f"/{name}"] = contents[kind]


def v4_files(change=None, entry="image{:04d}.jpg"):
    """A session's files as bytes by kind, its averaged and raw responses."""
    rng = np.random.default_rng(3)
    raw = rng.poisson(3, (5, 40, 6)).astype(float)
    raw[:, ::3, 4:] = np.nan
    if change:
        change(raw)
    averaged = raw.mean(axis=2, where=np.isfinite(raw))
    names = [entry.format(number) for number in range(1, 41)]
    contents = {"images": zipped(random_images(40), "JPEG", names), "averaged": saved(averaged), "raw": saved(raw)}
    return contents, averaged, raw


def publish_v4(server, contents, session="201025"):
    for kind, (remote, _) in v4.FILES.items():
        if kind in contents:
            server.files[f"/{remote.format(session)}"] = contents[kind]


def evil_zip(name="../evil.png"):
    return zipped(random_images(2), "PNG", [name, "image.png"])
