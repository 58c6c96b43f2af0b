"""Time and peak memory of turning the Brain-Score release into IT_data.h5, at full size.

Makes three files of the release's format and size (3200 images of 256 px, 160,000 presentations, 168 sites in IT and 88
in V4), puts them where they would be downloaded to, and converts them in a process of its own. The aim: at most 5
minutes on two cores and 4 GB.

    python -m benchmarks.brainscore_conversion [FOLDER]
"""

import hashlib
import io
import multiprocessing
import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

from itneurons.recordings.sources import brainscore

N_IMAGES, N_PRESENTATIONS = 3200, 160_000
OBJECTS = {
    "Animals": ["bear", "cow", "dog", "elephant", "gorilla", "hedgehog", "lioness", "turtle"],
    "Fruits": ["apple", "apricot", "peach", "pear", "raspberry", "strawberry", "walnut", "watermelon"],
    "Boats": [f"ship{number}" for number in range(8)],
    "Cars": [f"car{number}" for number in range(8)],
    "Chairs": [f"chair{number}" for number in range(8)],
    "Faces": [f"face{number}" for number in range(8)],
    "Planes": [f"airplane{number}" for number in range(8)],
    "Tables": [f"table{number}" for number in range(8)],
}


def make_release(folder):
    """Write the three files into a folder."""
    rng = np.random.default_rng(0)
    objects = [(category, name) for category, names in OBJECTS.items() for name in names]
    objects = [objects[index % len(objects)] for index in range(N_IMAGES)]
    ids = np.array([hashlib.sha1(str(index).encode()).hexdigest() for index in range(N_IMAGES)])
    table = pd.DataFrame(objects, columns=["category_name", "object_name"])
    table["stimulus_id"], table["filename"] = ids, [f"{image_id}.png" for image_id in ids]
    table.to_csv(folder / brainscore.FILES["table"][0], index=False)

    with zipfile.ZipFile(folder / brainscore.FILES["images"][0], "w") as archive:
        for name in table["filename"]:
            # smooth with some grain, which compresses about as a photograph does
            coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((256, 256))
            grain = rng.integers(0, 16, (256, 256, 3), dtype=np.uint8)
            content = io.BytesIO()
            Image.fromarray(np.asarray(coarse) // 16 * 15 + grain).save(content, "PNG", compress_level=1)
            archive.writestr(name, content.getvalue())

    shown = rng.permutation(np.resize(np.arange(N_IMAGES), N_PRESENTATIONS))
    region = ["IT"] * brainscore.N_SITES + ["V4"] * 88
    rates = xr.DataArray(
        rng.standard_normal((len(region), N_PRESENTATIONS, 1)),
        dims=("neuroid", "presentation", "time_bin"),
        coords={
            "neuroid_id": ("neuroid", [f"site{index}" for index in range(len(region))]),
            "region": ("neuroid", region),
            "stimulus_id": ("presentation", ids[shown]),
            "object_name": ("presentation", table["object_name"].to_numpy()[shown].astype(str)),
            "time_bin_start": ("time_bin", [70]),
        },
    )
    rates.to_netcdf(folder / brainscore.FILES["rates"][0], engine="h5netcdf")


def convert(folder, files, queue):
    """Convert the files below a folder, and report seconds, peak memory and size of the result in bytes."""
    # the checksums of the made-up files stand in for the published ones
    brainscore.FILES.update(files)
    start = time.perf_counter()
    path = brainscore.make(folder)
    seconds = time.perf_counter() - start
    # Linux counts it in kilobytes
    queue.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, path.stat().st_size))


def main(folder):
    downloads = Path(folder) / brainscore.DOWNLOADS
    downloads.mkdir(parents=True)
    make_release(downloads)
    files = {
        kind: (name, hashlib.sha1((downloads / name).read_bytes()).hexdigest())
        for kind, (name, _) in brainscore.FILES.items()
    }
    sizes = {name: (downloads / name).stat().st_size / 1e6 for name, _ in files.values()}
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=convert, args=(folder, files, queue))
    process.start()
    process.join()
    seconds, memory, size = queue.get()
    print(", ".join(f"{name}: {megabytes:.0f} MB" for name, megabytes in sizes.items()))
    print(f"{seconds:.0f} s, peak memory {memory / 1e9:.2f} GB, IT_data.h5 {size / 1e6:.0f} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(temporary)
