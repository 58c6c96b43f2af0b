"""How much memory there is, for what must choose between keeping something in it and reading it as it is needed."""

import os
from pathlib import Path

import psutil

# bytes; for whoever wants less to be taken than there is
VARIABLE = "ITNEURONS_MEMORY"
# version 2 and version 1 of Linux' control groups, as a container sees its own
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_size():
    """Bytes of memory that this process may count on.

    Those of the machine, or of the container if it has fewer; the environment variable ``ITNEURONS_MEMORY`` (in bytes,
    ``8e9`` for instance) takes their place. What other programs use at the moment is left aside, so that the answer is
    the same every time.

    Raises
    ------
    ValueError
        If the variable holds no positive number.
    """
    if wanted := os.environ.get(VARIABLE):
        try:
            size = float(wanted)
        except ValueError:
            size = 0.0
        # written so that NaN fails too
        if not size > 0:
            raise ValueError(f"{VARIABLE} is {wanted!r}, expected a number of bytes such as 8e9")
        return size
    return min([psutil.virtual_memory().total, *_limits()])


def _limits():
    for path in _LIMITS:
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        # version 2 says "max" where there is none, version 1 a number larger than any memory
        if text.isdigit():
            yield int(text)
