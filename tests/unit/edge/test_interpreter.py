"""What surrounds a TFLite runtime: names, dtypes, shapes, batches and the delegate, against a stand-in interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.interpreter import LoadedModel, Refused

IMAGES = np.arange(20, dtype=np.float32).reshape(10, 2)


class StandIn:
    """`image` [None, 2] float32 and `count` [None] int32 to `double` and `count`; operations as given."""

    def __init__(
        self, operations: Sequence[dict[str, Any]] = (), *, rows_lost: int = 0, rows_at_once: int = -1
    ) -> None:
        self._operations = operations
        self._rows_lost = rows_lost
        self._rows_at_once = rows_at_once
        self.calls: list[int] = []

    def get_signature_runner(self, name: str) -> StandIn:
        assert name == "serving_default"
        return self

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        return {
            "image": {"index": 0, "dtype": np.float32, "shape_signature": np.array([self._rows_at_once, 2])},
            "count": {"index": 1, "dtype": np.int32, "shape_signature": np.array([self._rows_at_once])},
        }

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        return {
            "double": {"index": 8, "dtype": np.float32, "shape_signature": np.array([-1, 2])},
            "count": {"index": 9, "dtype": np.int32, "shape_signature": np.array([-1])},
        }

    def _get_ops_details(self) -> Sequence[dict[str, Any]]:
        return self._operations

    def __call__(self, *, image: NDArray[Any], count: NDArray[Any]) -> dict[str, NDArray[Any]]:
        self.calls.append(len(image))
        return {"count": count[self._rows_lost :], "double": image * 2}


def operation(index: int, name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"index": index, "op_name": name, "inputs": np.array(inputs), "outputs": np.array(outputs)}


def samples(**changed: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {"image": IMAGES, "count": np.arange(10, dtype=np.int32), **changed}


def run(model: LoadedModel, given: dict[str, NDArray[Any]], batch_size: int = 4) -> Any:
    return model.run(given, batch_size=batch_size, after_each_batch=lambda: None)


def loaded(stand_in: StandIn) -> LoadedModel:
    return LoadedModel(stand_in, "serving_default")


@pytest.mark.parametrize(("batch_size", "calls"), [(1, [1] * 10), (4, [4, 4, 2]), (10, [10]), (64, [10])])
def test_every_sample_is_answered_once_and_in_order(batch_size: int, calls: list[int]) -> None:
    """Else the last, shorter batch would be lost, or rows compared with those of other samples."""
    stand_in = StandIn()
    outputs, seconds = run(loaded(stand_in), samples(), batch_size)
    np.testing.assert_array_equal(outputs["double"], IMAGES * 2)
    np.testing.assert_array_equal(outputs["count"], np.arange(10))
    assert stand_in.calls == calls
    assert seconds.shape == (len(calls),)


def test_each_batch_is_a_sign_of_life() -> None:
    """Otherwise a slow device with many samples could not be told from one that hangs."""
    signs: list[int] = []
    loaded(StandIn()).run(samples(), batch_size=4, after_each_batch=lambda: signs.append(1))
    assert len(signs) == 3


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"image": IMAGES}, r"the inputs are \['count', 'image'\], given were \['image'\]"),
        (samples(extra=IMAGES), r"given were \['count', 'extra', 'image'\]"),
        (samples(image=IMAGES.astype(np.float64)), "input `image` is float32, given was float64"),
        (samples(count=np.arange(10)), "input `count` is int32, given was int64"),
        (samples(image=IMAGES[:, :1]), r"input `image` is of shape \[None, 2\], given was \[4, 1\]"),
        (samples(image=IMAGES[..., None]), r"input `image` is of shape \[None, 2\], given was \[4, 2, 1\]"),
        (samples(image=IMAGES[:9]), r"not the same number of them: \[9, 10\]"),
        ({name: array[:0] for name, array in samples().items()}, "hold no samples"),
        (samples(count=np.array(1, np.int32)), r"not the same number of them: \[0, 10\]"),
    ],
    ids=["missing", "extra", "float64", "int64", "size", "rank", "counts", "none", "scalar"],
)
def test_wrong_inputs_never_reach_the_runtime(given: dict[str, NDArray[Any]], complaint: str) -> None:
    """A runtime resizes itself to whatever it is given and answers nonsense, or ends the process."""
    stand_in = StandIn()
    with pytest.raises(Refused, match=complaint):
        run(loaded(stand_in), given)
    assert stand_in.calls == []


def test_an_answer_with_other_rows_is_refused() -> None:
    """Joined to the other batches, it would shift every row after it."""
    with pytest.raises(Refused, match=r"output `count` is of shape \[3\] for a batch of 4"):
        run(loaded(StandIn(rows_lost=1)), samples())


def test_the_signature_says_which_dimension_varies() -> None:
    """The driver checks it against the model's own, so that a mixed-up file is not compared under the wrong names."""
    assert loaded(StandIn()).signature() == {
        "inputs": {"image": {"dtype": "float32", "shape": [None, 2]}, "count": {"dtype": "int32", "shape": [None]}},
        "outputs": {"double": {"dtype": "float32", "shape": [None, 2]}, "count": {"dtype": "int32", "shape": [None]}},
    }


@pytest.mark.parametrize(
    ("delegates", "said"),
    [
        ([], "none: plain kernels for all 3 operations"),
        ([operation(3, "DELEGATE", [0], [7])], "XNNPACK for 1 of 3 operations"),
        ([operation(3, "DELEGATE", [0, 1], [8, 9])], "XNNPACK for 3 of 3 operations"),
    ],
    ids=["none", "part", "all"],
)
def test_the_delegate_is_what_applied_not_what_was_created(delegates: list[dict[str, Any]], said: str) -> None:
    """The runtime logs that it created a delegate even when it then gives it nothing: its times would mislead."""
    plain = [operation(0, "CONV_2D", [0], [7]), operation(1, "MUL", [7], [8]), operation(2, "ADD", [1], [9])]
    assert loaded(StandIn([*plain, *delegates])).delegate() == said


def test_a_file_for_one_sample_is_asked_row_by_row() -> None:
    """Recurrent layers become such files, and published files mostly are: a larger batch would be refused."""
    stand_in = StandIn(rows_at_once=1)
    outputs, seconds = run(LoadedModel(stand_in, "serving_default"), samples(), batch_size=4)
    assert stand_in.calls == [1] * 10
    np.testing.assert_array_equal(outputs["double"], IMAGES * 2)
    assert len(seconds) == 3


def test_a_file_for_several_samples_takes_no_other_number() -> None:
    with pytest.raises(Refused, match=r"of shape \[4, 2\], given was \[2, 2\]"):
        run(LoadedModel(StandIn(rows_at_once=4), "serving_default"), samples(), batch_size=4)


class _Silent(StandIn):
    """Fails without a reason: always, or for any batch but one of the size that it was planned for, 4 to begin with."""

    def __init__(self, *, always: bool = False) -> None:
        super().__init__()
        self._always = always
        self._planned = {0: 4, 1: 4}

    def resize_tensor_input(self, index: int, shape: Sequence[int]) -> None:
        self._planned[index] = shape[0]

    def allocate_tensors(self) -> None:
        pass

    def __call__(self, *, image: NDArray[Any], count: NDArray[Any]) -> dict[str, NDArray[Any]]:
        if self._always or {len(image)} != set(self._planned.values()):
            raise RuntimeError
        return super().__call__(image=image, count=count)


@pytest.mark.parametrize(
    ("always", "said"),
    [
        (
            False,
            r"of shape .*\(2, 2\).*: it gives no reason, and answers where it is asked this first: this file keeps",
        ),
        (True, "it gives no reason, and fails where it is asked this first, too$"),
    ],
)
def test_a_runtime_that_gives_no_reason_is_asked_afresh(*, always: bool, said: str) -> None:
    """The message ended in a colon: XNNPACK of tflite-runtime 2.14 fails in silence when a loop's batch changes."""
    model = LoadedModel(_Silent(always=always), "serving_default", anew=lambda: _Silent(always=always))
    with pytest.raises(Refused, match=said):
        run(model, samples())
