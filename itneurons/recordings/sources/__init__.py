"""Where recordings come from. A new source is one new module and one line here.

Each module has ``make(folder, **options)``, which gives the path of an HDF5 file in the layout of
``itneurons.recordings.schema``; ``add_arguments(parser)``, which adds the same options to a command line; and
``CITATION``. It is imported when it is asked for, because some need libraries that take long to import.
"""

import importlib

SOURCES = {
    "simulated": "itneurons.recordings.simulated",
    "course": "itneurons.recordings.sources.course",
    "brainscore": "itneurons.recordings.sources.brainscore",
    "v4": "itneurons.recordings.sources.v4",
    "things": "itneurons.recordings.sources.things",
}


def load_source(name):
    """The module of a source.

    Raises
    ------
    ValueError
        If there is no such source.
    """
    if name not in SOURCES:
        raise ValueError(f"There is no source {name!r}; choose one of auto, {', '.join(SOURCES)}")
    return importlib.import_module(SOURCES[name])
