"""The THINGS recordings in small: files of the same formats, made up."""

import io
import struct
import zipfile
import zlib
from itertools import combinations

import h5py
import numpy as np
from PIL import Image

from itneurons.recordings.sources.things_files import N_ELECTRODES

# in the order of THINGS, which is not that of the characters
OBJECTS = (
    "aardvark", "airplane", "apple", "bat1", "camera_lens", "camera1", "car", "hot_chocolate", "hot-air_balloon",
    "ice_cream", "t-shirt", "zucchini",
)  # fmt: skip
CATEGORIES = {
    "aardvark": "animal",
    "apple": "fruit",
    "camera1": "electronic device",
    "hot_chocolate": "drink",
    "ice_cream": "dessert",
    "t-shirt": "clothing",
    "zucchini": "food",
}
# of monkey F, the first and last of each area among them; what is not listed recorded nothing
RELIABLE = {"V1": [0, 1, 511], "IT": [*range(512, 519), 831], "V4": [832, 833, 900, 1023]}
UNRELIABLE = range(520, 523)
REMOTE = {"order": "monkeyF/_logs/things_imgs.mat", "activity": "monkeyF/THINGS_normMUA.mat"}


class Things:
    """Pictures, and the activity that they evoked in monkey F.

    Attributes
    ----------
    names : dict of "train" and "test" to list of str
    pictures : dict of name to bytes
    activity : dict of the datasets of THINGS_normMUA.mat
    """

    def __init__(self, objects=OBJECTS, n_each=5, n_test=6, n_trials=8, size=48, noise=0.5):
        rng = np.random.default_rng(5)
        files = [f"{name}/{name}_{number:02d}b.jpg" for name in objects for number in range(1, n_each + 2)]
        # the last picture of some objects is a test image
        kept = {f"{name}/{name}_{n_each + 1:02d}b.jpg" for name in rng.permutation(objects)[:n_test]}
        train = [name for name in files if not name.endswith(f"_{n_each + 1:02d}b.jpg")]
        self.names = {
            "train": [train[index] for index in rng.permutation(len(train))],
            "test": [str(name) for name in rng.permutation(sorted(kept))],
        }
        colours = {name: rng.integers(20, 236, 3) for names in self.names.values() for name in names}
        self.pictures = {name: jpeg(colour, size, rng) for name, colour in colours.items()}
        tuning = rng.standard_normal((3, N_ELECTRODES)) / 75
        drive = {part: (np.array([colours[n] for n in names]) - 128) @ tuning for part, names in self.names.items()}
        live = np.zeros(N_ELECTRODES, dtype=bool)
        for electrodes in (*RELIABLE.values(), UNRELIABLE):
            live[list(electrodes)] = True
        for values in drive.values():
            values[:, list(UNRELIABLE)] = 0
            values[:, ~live] = np.nan
        trials = drive["test"] + noise * rng.standard_normal((n_trials, *drive["test"].shape))
        train = drive["train"] + noise * rng.standard_normal(drive["train"].shape)
        self.activity = {
            "train_MUA": train,
            "test_MUA": trials.mean(axis=0),
            "test_MUA_reps": trials,
            "reliab": pairwise_correlations(trials),
            "oracle": np.zeros((N_ELECTRODES, 1)),
            "SNR_max": np.ones((N_ELECTRODES, 1)),
            "SNR": np.ones((4, N_ELECTRODES)),
            "lats": np.ones((4, N_ELECTRODES)),
            "tb": np.arange(-100.0, 200.0)[:, None],
        }

    def files(self, order=None, **changed):
        """The two files of MATLAB as bytes; a dataset given as None is left out."""
        activity = {name: values for name, values in {**self.activity, **changed}.items() if values is not None}
        return {"order": order_file(order or self.names), "activity": matlab(activity)}

    def folder(self, path):
        """Write the pictures below a folder."""
        for name, content in self.pictures.items():
            place = path / "object_images" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return path

    def archive(self, path, password=None, front="object_images/", **options):
        """Write the pictures into an archive, with the files that lie beside them there."""
        entries = {front + name: content for name, content in self.pictures.items()}
        beside = {"password_images.txt": b"", "README.txt": b"1", "other/README.txt": b"2"}
        path.write_bytes(zipped({**entries, **beside}, password, **options))
        return path


def jpeg(colour, size, rng):
    content = io.BytesIO()
    image = np.clip(colour + rng.integers(-20, 20, (size, size, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(image).save(content, "JPEG", quality=90)
    return content.getvalue()


def pairwise_correlations(trials):
    """``1 - pdist(x, 'correlation')`` for each electrode, (n_pairs, n_electrodes)."""
    centred = trials - trials.mean(axis=1, keepdims=True)
    unit = centred / np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.array([(unit[i] * unit[j]).sum(axis=0) for i, j in combinations(range(len(trials)), 2)])


def matlab(datasets):
    """A file of MATLAB 7.3, as bytes: HDF5 behind 512 bytes of its own."""
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=512) as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values, chunks=True, compression="gzip")
            file[name].attrs["MATLAB_class"] = np.bytes_(b"double")
    return content.getvalue()


def order_file(names):
    """``things_imgs.mat`` as bytes: arrays of structs, whose fields are references to texts of 16 bits a character."""
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        for part, paths in names.items():
            paths = [path.replace("/", "\\") for path in paths]
            columns = {
                "class": [path.partition("\\")[0] for path in paths],
                "things_path": paths,
                "local_path": [rf"C:\images\{part}\{number:05d}.bmp" for number in range(len(paths))],
            }
            group = file.create_group(f"{part}_imgs")
            for field, texts in columns.items():
                references = group.create_dataset(field, (len(texts), 1), dtype=h5py.ref_dtype)
                for number, text in enumerate(texts):
                    codes = np.frombuffer(text.encode("utf-16-le"), dtype=np.uint16)[:, None]
                    refs[f"{part}{field}{number}"] = codes
                    references[number, 0] = refs[f"{part}{field}{number}"].ref
    return content.getvalue()


def zipped(entries, password=None, method=zipfile.ZIP_STORED):
    """An archive as bytes, with the traditional encryption of ZIP if there is a password, which Python only reads.

    ``method=99`` claims that AES was used.
    """
    content, directory = io.BytesIO(), b""
    for name, data in entries.items():
        crc, size, flags = zlib.crc32(data), len(data), 1 if password else 0
        if password:
            # eleven random bytes, and one that tells a right password from most wrong ones
            data = encrypted(bytes(range(11)) + bytes([crc >> 24]) + data, password)
        about = struct.pack("<5H3L2H", 20, flags, method, 0, 0, crc, len(data), size, len(name), 0)
        place = content.tell()
        content.write(b"PK\x03\x04" + about + name.encode() + data)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + about + struct.pack("<3H2L", 0, 0, 0, 0, place)
        directory += name.encode()
    end = struct.pack("<4H2LH", 0, 0, len(entries), len(entries), len(directory), content.tell(), 0)
    return content.getvalue() + directory + b"PK\x05\x06" + end


def encrypted(data, password):
    """Bytes under the traditional PKWARE encryption (APPNOTE.TXT, section 6.1)."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte):
        keys[0] = zlib.crc32(bytes([byte]), keys[0] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = zlib.crc32(bytes([keys[1] >> 24]), keys[2] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    for byte in password.encode():
        update(byte)
    found = bytearray()
    for byte in data:
        key = keys[2] | 2
        found.append(byte ^ ((key * (key ^ 1) >> 8) & 0xFF))
        update(byte)
    return bytes(found)


def publish_things(server, files):
    """Put the two files of monkey F on the server."""
    for kind, remote in REMOTE.items():
        server.files[f"/{remote}"] = files[kind]
