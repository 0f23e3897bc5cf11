"""What every member of a workshop must keep; one section per workshop, members found by name."""

from __future__ import annotations

import numpy as np
import pytest

from videograph.encoders import Encoded, Encoder, available_encoders, load_encoder
from videograph.errors import UsageError
from videograph.records import OBJECT_KINDS

# -- encoders --------------------------------------------------------------------------------------

ENCODED_FIELDS = tuple(Encoded.__dataclass_fields__)


def drawn_frames(n: int = 6, height: int = 144, width: int = 256, seed: int = 0) -> np.ndarray:
    """A disc that crosses a textured wall, (n, height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (9, 16, 3)).astype(np.uint8)
    wall = np.kron(coarse, np.ones((height // 9 + 1, width // 16 + 1, 1), np.uint8))
    frames = np.repeat(wall[None, :height, :width], n, axis=0).copy()
    y, x = np.mgrid[:height, :width]
    for step, frame in enumerate(frames):
        centre = width * (step + 1) / (n + 1)
        frame[(x - centre) ** 2 + (y - height / 2) ** 2 < (height / 6) ** 2] = (230, 20, 30)
    return frames


@pytest.fixture(scope="module", params=available_encoders())
def encoder_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def encoder(encoder_name: str) -> Encoder:
    return load_encoder(encoder_name)


class TestEveryEncoder:
    def test_shapes_and_types(self, encoder: Encoder) -> None:
        n, slots = 6, encoder.n_objects
        seen = encoder.encode(drawn_frames(n))
        expected = {
            "features": ((n, encoder.dim), np.float32),
            "object_features": ((n, slots, encoder.object_dim), np.float32),
            "object_mask": ((n, slots), np.bool_),
            "object_boxes": ((n, slots, 4), np.float32),
            "object_kinds": ((n, slots), np.int8),
        }
        assert {
            field: (getattr(seen, field).shape, getattr(seen, field).dtype.type)
            for field in ENCODED_FIELDS
        } == expected

    def test_has_a_name_with_a_version_and_a_sensible_size(
        self, encoder_name: str, encoder: Encoder
    ) -> None:
        assert encoder.name.startswith(encoder_name) and encoder.name != encoder_name
        assert 32 <= encoder.frame_side <= 2048

    def test_values_are_finite_and_of_moderate_length(self, encoder: Encoder) -> None:
        seen = encoder.encode(drawn_frames())
        lengths = np.linalg.norm(seen.features, axis=1)
        assert np.isfinite(seen.features).all() and np.isfinite(seen.object_features).all()
        assert (lengths > 0).all() and (lengths < 100).all()

    def test_boxes_lie_inside_and_have_an_area(self, encoder: Encoder) -> None:
        seen = encoder.encode(drawn_frames())
        boxes = seen.object_boxes[seen.object_mask]
        assert len(boxes) > 0
        assert boxes.min() >= 0 and boxes.max() <= 1
        assert (boxes[:, 2:] > boxes[:, :2]).all()

    def test_masked_slots_are_empty_and_the_others_have_a_kind(self, encoder: Encoder) -> None:
        seen = encoder.encode(drawn_frames())
        empty = ~seen.object_mask
        assert not seen.object_features[empty].any() and not seen.object_boxes[empty].any()
        assert (seen.object_kinds[empty] == OBJECT_KINDS.index("none")).all()
        kinds = seen.object_kinds[seen.object_mask]
        assert (kinds > 0).all() and (kinds < len(OBJECT_KINDS)).all()

    def test_same_frames_same_features(self, encoder_name: str, encoder: Encoder) -> None:
        once = encoder.encode(drawn_frames())
        again = load_encoder(encoder_name).encode(drawn_frames())
        for field in ENCODED_FIELDS:
            np.testing.assert_array_equal(getattr(once, field), getattr(again, field), field)

    @pytest.mark.parametrize("batch", [1, 4])
    def test_batches_of_any_size_agree(self, encoder: Encoder, batch: int) -> None:
        frames = drawn_frames()
        whole = encoder.encode(frames)
        parts = [
            encoder.encode(frames[start : start + batch], frames[start - 1] if start else None)
            for start in range(0, len(frames), batch)
        ]
        for field in ENCODED_FIELDS:
            joined = np.concatenate([getattr(part, field) for part in parts])
            np.testing.assert_allclose(
                joined, getattr(whole, field), rtol=1e-5, atol=1e-5, err_msg=field
            )

    def test_frames_are_left_alone(self, encoder: Encoder) -> None:
        frames = drawn_frames()
        encoder.encode(frames[1:], frames[0])
        np.testing.assert_array_equal(frames, drawn_frames())

    def test_no_frames(self, encoder: Encoder) -> None:
        assert encoder.encode(drawn_frames()[:0]).features.shape == (0, encoder.dim)


def test_an_unknown_encoder_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match=r'no encoder named "nothing"\. Available: .*builtin'):
        load_encoder("nothing")


# -- exporters -------------------------------------------------------------------------------------
