"""The command ``itneurons``: get recordings, run the notebooks, score networks, show pictures to neurons."""

import argparse
import sys
import warnings

from itneurons import notebooks
from itneurons.recordings.schema import RecordingError
from itneurons.recordings.sources import SOURCES, load_source
from itneurons.scoring import command as scoring
from itneurons.storage.files import written_whole


def main(arguments=None):
    """Parse the command line and do what it asks for."""
    parser = argparse.ArgumentParser(prog="itneurons", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (add_arguments, _, text) in COMMANDS.items():
        # what a source needs is known when it is chosen: its module may take long to import
        add_arguments(commands.add_parser(name, help=text, description=text, add_help=name != "get"))
    given, rest = parser.parse_known_args(arguments)
    if rest and given.command != "get":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        COMMANDS[given.command][1](given, rest)
    except (OSError, RecordingError) as error:
        sys.exit(f"{given.command}: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted; nothing half-made was left. Run the same command to go on")


def _add_get(parser):
    parser.add_argument("source", nargs="?", choices=SOURCES, metavar="SOURCE", help=", ".join(SOURCES))


def _get(given, rest):
    parser = argparse.ArgumentParser(prog=f"itneurons get {given.source or 'SOURCE'}")
    if given.source is None:
        parser.usage = f"itneurons get [-h] {{{','.join(SOURCES)}}} ...\n\neach source says with -h what it takes"
        parser.parse_args(rest)
        parser.error(f"choose a source: {', '.join(SOURCES)}")
    source = load_source(given.source)
    parser.description = source.__doc__.partition("\n")[0]
    parser.add_argument("--folder", default=".", help="where the HDF5 file goes (default: here)")
    source.add_arguments(parser)
    made = source.make(**vars(parser.parse_args(rest)))
    for path in made if isinstance(made, list) else [made]:
        print(path)


def _add_predict(parser):
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a file, or a folder of them")
    parser.add_argument(
        "--checkpoint",
        nargs="+",
        default=["res_cnn_layer3.pth"],
        metavar="FILE",
        help="of week9.ipynb; several members of a committee give their mean (default: %(default)s)",
    )
    parser.add_argument("--neurons", default="all", metavar="WHICH", help="all, best:10, or numbers such as 0,5,7")
    parser.add_argument("--out", metavar="FILE", help="a CSV file (default: on the screen)")


def _predict(given, rest):
    # torch takes seconds to import
    from itneurons.neuron_model import load_neurons

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
            neurons = load_neurons(given.checkpoint if len(given.checkpoint) > 1 else given.checkpoint[0])
            chosen = neurons.chosen(given.neurons)
            rates = neurons.predict(given.pictures)
    except ValueError as error:
        sys.exit(f"predict: {error}")
    if rates.empty:
        sys.exit("predict: none of these can be shown")
    rates = rates[chosen]
    if given.out is None:
        print(rates.to_csv(), end="")
    else:
        with written_whole(given.out) as temporary:
            rates.to_csv(temporary)
    where = f"{given.out}: " if given.out else ""
    print(
        f"{where}{len(rates)} pictures, {len(chosen)} neurons of {neurons.source}, unit: {neurons.unit}",
        file=sys.stderr,
    )


COMMANDS = {
    "get": (_add_get, _get, "get a recording, whatever the source"),
    "run": (notebooks.add_arguments, lambda given, rest: notebooks.run(given), "execute the notebooks top to bottom"),
    "score": (
        scoring.add_arguments,
        lambda given, rest: scoring.run(given),
        "how well the layers of networks predict neurons",
    ),
    "predict": (_add_predict, _predict, "firing rates that pictures would evoke"),
}


if __name__ == "__main__":
    main()
