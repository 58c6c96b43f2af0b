"""``python -m recordings SOURCE --folder .`` gets a recording, whatever the source."""

import argparse
import sys

from recordings import brainscore, course, schema, simulated, v4


def main(arguments=None):
    """Parse the command line, make the recording, print its path."""
    parser = argparse.ArgumentParser(prog="python -m recordings", description=__doc__)
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    options = {
        "simulated": sources.add_parser("simulated", help="rendered objects and simulated sites; needs no download"),
        "course": sources.add_parser("course", help="IT_data.h5 of the course, from Google Drive (384 MB)"),
        "brainscore": sources.add_parser("brainscore", help="the public Brain-Score release of the same recordings"),
        "v4": sources.add_parser(
            "v4",
            help="small recordings of area V4",
            epilog=_sessions(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        ),
    }
    for parser_of_source in options.values():
        parser_of_source.add_argument("--folder", default=".", help="where the HDF5 file goes (default: here)")
    for name in ("course", "brainscore", "v4"):
        options[name].add_argument("--url", help="a mirror to fetch from instead of the public address")
    for name in ("simulated", "brainscore", "v4"):
        options[name].add_argument("--seed", type=int, default=0)

    simulate = options["simulated"]
    simulate.add_argument(
        "--sizes",
        type=int,
        nargs=3,
        default=simulated.SIZES,
        metavar=("TRAIN", "VAL", "TEST"),
        help="numbers of images",
    )
    simulate.add_argument("--image-size", type=int, default=schema.IMAGE_SIZE, help="height and width in pixels")
    simulate.add_argument("--neurons", type=int, default=168)
    simulate.add_argument("--trials", type=int, default=simulated.N_TRIALS, help="presentations of each image")
    options["v4"].add_argument("--session", nargs="+", default=["201025"], choices=sorted(v4.SESSIONS))
    options["v4"].add_argument("--from", dest="source_folder", help="a folder that holds the files already")

    given = parser.parse_args(arguments)
    try:
        for path in _make(given):
            print(path)
    except (OSError, schema.RecordingError) as error:
        sys.exit(f"{given.source}: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted; nothing half-made was left. Run the same command to go on")


def _sessions():
    lines = ["session  neurons  images  repeats  kind of images"]
    for name, session in v4.SESSIONS.items():
        neurons, images, repeats, kind = ("" if value is None else value for value in session)
        lines.append(f"{name:7s}  {neurons:7}  {images:6}  {repeats:7}  {kind}")
    return "\n".join(lines)


def _make(given):
    if given.source == "simulated":
        yield simulated.make(
            given.folder, tuple(given.sizes), given.image_size, given.neurons, given.trials, given.seed
        )
    elif given.source == "course":
        yield course.make(given.folder, url=given.url)
    elif given.source == "brainscore":
        yield brainscore.make(given.folder, url=given.url, seed=given.seed)
    else:
        for session in given.session:
            yield v4.make(
                given.folder, session=session, url=given.url, source_folder=given.source_folder, seed=given.seed
            )


if __name__ == "__main__":
    main()
