"""Images moved a little."""

import numpy as np
import pytest
import torch

from itneurons.features import load_backbone
from itneurons.networks import layers_of
from itneurons.networks.views import MOST_VIEWS, moved
from tests.small import normalised


def test_images_are_moved_to_each_side_and_edges_repeated():
    images = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    assert moved(images, 0) is images
    right, left, down, up = (moved(images, view, farthest=2 / 8) for view in (1, 2, 3, 4))
    np.testing.assert_array_equal(right[..., 2:], images[..., :-2])
    np.testing.assert_array_equal(right[..., :2], np.repeat(images[..., :1], 2, axis=-1))
    np.testing.assert_array_equal(left[..., :-2], images[..., 2:])
    np.testing.assert_array_equal(down[..., 2:, :], images[..., :-2, :])
    np.testing.assert_array_equal(up[..., -2:, :], np.repeat(images[..., -1:, :], 2, axis=-2))
    np.testing.assert_array_equal(moved(images, 5, farthest=2 / 8)[..., 1:, 1:], images[..., :-1, :-1])
    for view in range(MOST_VIEWS):
        as_tensor = moved(torch.as_tensor(images), view, farthest=2 / 8)
        np.testing.assert_array_equal(as_tensor.numpy(), moved(images, view, farthest=2 / 8))
    assert len({moved(images, view, farthest=2 / 8).tobytes() for view in range(MOST_VIEWS)}) == MOST_VIEWS


def test_layers_come_view_after_view(monkeypatch):
    monkeypatch.setattr("itneurons.networks.others._AT_ONCE", 3)
    stimuli, model = normalised(5, size=32), load_backbone("simulated")
    model.input_size = 32
    maps = layers_of(model, stimuli, ["layer1", "layer2"], 4, views=3)
    expected = torch.cat([layers_of(model, moved(stimuli, view), ["layer1", "layer2"], 4) for view in range(3)])
    torch.testing.assert_close(maps, expected, rtol=2e-2, atol=2e-2)
    assert not torch.allclose(maps[:5], maps[5:10])
    with pytest.raises(ValueError, match="1 to 9 views"):
        layers_of(model, stimuli, ["layer1"], views=10)
