"""What is stored is used while it fits, and otherwise made anew with a line that says why."""

import numpy as np
import pytest

from itneurons.storage import stored
from tests.small import DAMAGES, flipped

MADE_OF = {"stimuli": "abc", "version": 2}


def make_counted(calls):
    def make():
        calls.append(1)
        return {"values": np.arange(6.0).reshape(2, 3), "seconds": 1.5}

    return make


def test_it_is_made_once(tmp_path, capsys):
    path, calls = tmp_path / "new folder" / "stored.h5", []
    for _ in range(2):
        arrays = stored.load_or_make(path, MADE_OF, make_counted(calls))
        np.testing.assert_array_equal(arrays["values"], np.arange(6.0).reshape(2, 3))
        assert arrays["seconds"] == [1.5]
    assert len(calls) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("change", [{"version": 3}, {"penalties": [1.0]}])
def test_what_was_made_of_something_else_is_made_anew_with_a_reason(tmp_path, capsys, change):
    path, calls = tmp_path / "stored.h5", []
    stored.load_or_make(path, MADE_OF, make_counted(calls))
    stored.load_or_make(path, {**MADE_OF, **change}, make_counted(calls))
    assert len(calls) == 2
    assert f"{path} is made anew: it was made with other {next(iter(change))}" in capsys.readouterr().out


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_made_anew(tmp_path, capsys, damage):
    path, calls = tmp_path / "stored.h5", []
    stored.load_or_make(path, MADE_OF, make_counted(calls))
    path.write_bytes(damage(path.read_bytes()))
    arrays = stored.load_or_make(path, MADE_OF, make_counted(calls))
    assert len(calls) == 2
    assert arrays["values"].shape == (2, 3)
    assert "is made anew: it is damaged" in capsys.readouterr().out


def test_a_flipped_byte_is_found_or_changes_nothing(tmp_path):
    path = tmp_path / "stored.h5"
    stored.store(path, MADE_OF, {"values": np.arange(100.0)})
    content = path.read_bytes()
    for position in range(0, len(content), 61):
        path.write_bytes(flipped(content, position))
        try:
            arrays = stored.load(path, MADE_OF)
        except stored.UnusableError:
            continue
        np.testing.assert_array_equal(arrays["values"], np.arange(100.0))


def test_what_an_interrupted_make_leaves_is_nothing(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored.load_or_make(tmp_path / "stored.h5", MADE_OF, interrupted)
    assert list(tmp_path.iterdir()) == []
