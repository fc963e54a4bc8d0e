"""A target that is right once and wrong later, in other company or under load fails, and is said to fail for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.core.outcome import Recording, Repeat, RepeatKind
from pipeline.core.signature import Signature, Tensors, TensorSpec, batches, concatenated
from pipeline.core.target import Answers, RuntimeInfo
from pipeline.parity.compare import compare_recording
from pipeline.parity.comparison import Comparison, RepeatFigures, status_of
from pipeline.parity.findings import (
    DependsOnBatchMates,
    DependsOnBatchSize,
    DependsOnClients,
    NotRepeated,
    RepeatMalformed,
)
from pipeline.parity.record import load, record, save
from pipeline.parity.repeatability import repeatability
from pipeline.parity.status import Fail, Pass
from pipeline.parity.tolerances import Tolerance
from tests.unit.pipeline.parity.answers import PROPERTY

Batch = NDArray[np.float32]
SAMPLES = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
SIGNATURE = Signature(
    name="serving_default",
    inputs=(TensorSpec(name="x", dtype="float32", shape=(None, 2)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(None, 2)),),
)
TOLERANCES = {"y": Tolerance(atol=1e-3, rtol=0.0, reason="for the test", source="the test")}
WRONG = np.float32(0.5)


@dataclass(kw_only=True)
class Fake:
    """Doubles its input, then lets a fault at the batch: `fault(call number, batch, answer)`."""

    fault: Callable[[int, Batch, Batch], Any] = lambda _call, _batch, answer: answer
    calls: int = 0
    info: RuntimeInfo = field(default_factory=lambda: RuntimeInfo(runtime="fake", version="1"))

    def run(self, samples: Tensors, *, batch_size: int) -> Answers:
        parts = []
        for batch in batches(samples, batch_size):
            self.calls += 1
            parts.append({"y": self.fault(self.calls, batch["x"], batch["x"] * 2)})
        return Answers(outputs=concatenated(parts), call_seconds=np.full(len(parts), 1e-3))


@dataclass(kw_only=True)
class FakeServer(Fake):
    """The same, for several clients; wrong whenever two of them are inside at once when `races`."""

    races: bool = False
    meet: threading.Barrier = field(default_factory=lambda: threading.Barrier(4))

    @contextmanager
    def another_client(self) -> Iterator[Fake]:
        self.meet.wait(timeout=60)
        yield Fake(fault=lambda _call, _batch, answer: answer + WRONG if self.races else answer)


def compared(runner: Fake, sizes: tuple[int, ...] = (1, 4)) -> Comparison:
    recording = record(runner, {"x": SAMPLES}, batch_sizes=sizes)
    return compare_recording({"y": SAMPLES * 2}, recording, signature=SIGNATURE, tolerances=TOLERANCES)


def found(comparison: Comparison) -> list[type[Any]]:
    status = status_of(comparison)
    return [type(one.finding) for one in status.findings] if isinstance(status, Fail) else []


@pytest.mark.parametrize("runner", [Fake(), FakeServer()])
def test_a_target_that_repeats_itself_passes_with_a_noise_floor_of_zero(runner: Fake) -> None:
    """Otherwise every clean run would be doubted."""
    comparison = compared(runner)
    assert isinstance(status_of(comparison), Pass)
    assert comparison.noise_floor == 0.0
    small, large = comparison.repeats
    assert (small.noise, small.mixed, large.noise, large.mixed) == (0, None, 0, 0)
    assert {small.together, large.together} == ({0.0} if isinstance(runner, FakeServer) else {None})


def test_right_at_first_and_wrong_later_is_a_failure_of_its_own_kind() -> None:
    """Otherwise a target that was validated once would be garbage in use."""
    comparison = compared(Fake(fault=lambda call, _batch, answer: answer + WRONG * (call > 25)))
    status = status_of(comparison)
    assert isinstance(status, Fail)
    assert found(comparison) == [NotRepeated]
    assert status.findings[0].sentence == (
        "y: not repeatable: 12 of 12 answers to the same batch changed, right at first and wrong later; "
        "at (3, 0): -1.38461542, then -0.884615421, expected -1.38461542 [batch size 1; less so at 4]"
    )


def test_wrong_at_first_and_right_later_is_found_too() -> None:
    """Otherwise a cold start that answers nonsense would be called a difference of values only."""
    comparison = compared(Fake(fault=lambda call, _batch, answer: answer + WRONG * (call <= 2)))
    assert NotRepeated in found(comparison)
    (finding,) = [one for line in comparison.repeats for one in line.findings]
    assert isinstance(finding, NotRepeated)
    assert not finding.right_first


def test_an_answer_that_depends_on_its_batch_mates_is_named_as_that() -> None:
    """Otherwise a layer left in training mode would pass as long as the batches stay the same."""
    comparison = compared(Fake(fault=lambda _call, batch, answer: answer + WRONG * (batch.max() - batch.min() > 1)))
    assert found(comparison) == [DependsOnBatchMates]
    assert "depends on the other samples in the batch" in comparison.repeats[1].findings[0].sentence


def test_wrong_at_one_batch_size_only_is_named_as_that() -> None:
    """Otherwise one would look for the fault in the values."""
    comparison = compared(Fake(fault=lambda _call, batch, answer: answer + WRONG * (len(batch) == 4)), sizes=(1, 4, 5))
    assert DependsOnBatchSize in found(comparison)
    assert comparison.findings[0].sentence.startswith(
        "y: depends on the batch size: right at 1, 5, wrong at 4; largest difference between batch sizes 0.5"
    )


def test_wrong_while_other_clients_ask_is_named_as_that() -> None:
    """Otherwise a server would pass that mixes up its clients."""
    comparison = compared(FakeServer(races=True))
    assert found(comparison) == [DependsOnClients]


def test_answers_of_another_form_later_fail() -> None:
    """Otherwise they would end the comparison, or be left out of it."""
    comparison = compared(
        Fake(fault=lambda call, _batch, answer: answer.astype(np.int32) if call > 25 else answer), sizes=(1, 4)
    )
    assert found(comparison) == [RepeatMalformed]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_later_is_wrong_later(value: float) -> None:
    """Otherwise a NaN would be within any tolerance."""
    comparison = compared(Fake(fault=lambda call, _batch, answer: answer * np.float32(value if call > 25 else 1)))
    assert found(comparison) == [NotRepeated]
    assert comparison.noise_floor == np.inf


def test_asking_again_takes_few_calls() -> None:
    """Otherwise a slow target would take twice as long."""
    runner = Fake()
    record(runner, {"x": SAMPLES}, batch_sizes=(1, 4))
    assert runner.calls == 20 + 5 + 12 + 2


@pytest.mark.parametrize("sizes", [(64,), (20,), (7, 64), (1,)])
def test_any_batch_sizes_can_be_asked_again(sizes: tuple[int, ...]) -> None:
    """Otherwise a configuration without a batch size of 1, or with few samples, would break."""
    comparison = compared(FakeServer(), sizes=sizes)
    assert isinstance(status_of(comparison), Pass)
    assert {line.batch_size for line in comparison.repeats} == set(sizes)


ROWS = st.lists(st.integers(0, len(SAMPLES) - 1), min_size=1, max_size=6).map(np.array)
KINDS: st.SearchStrategy[RepeatKind] = st.sampled_from(["again", "mixed", "together"])


def figures(first: NDArray[Any], *repeats: tuple[RepeatKind, NDArray[np.int64], NDArray[Any]]) -> RepeatFigures:
    """What repeats of answers are found to be, asked at a batch size of 4; the reference is what the model says."""
    recording = Recording(
        info=RuntimeInfo(runtime="fake", version="1"),
        outputs={4: {"y": first}},
        milliseconds_per_sample={4: 1.0},
        repeats=tuple(Repeat(kind=kind, batch_size=4, rows=rows, outputs={"y": y}) for kind, rows, y in repeats),
    )
    (line,) = repeatability({"y": SAMPLES * 2}, recording, tolerances=TOLERANCES)
    return line


@PROPERTY
@given(rows=ROWS, kind=KINDS, anything=st.floats(width=32))
def test_what_is_repeated_to_the_bit_is_never_noise_however_wrong(
    rows: NDArray[np.int64], kind: RepeatKind, anything: float
) -> None:
    """Otherwise a target that is always wrong in one way would be called moody."""
    first = np.full_like(SAMPLES, anything)
    line = figures(first, (kind, rows, first[rows]))
    assert line.findings == ()
    assert {line.noise, line.mixed, line.together} - {None} == {0.0}
    assert line.asked == rows.size


@PROPERTY
@given(parts=st.lists(st.tuples(KINDS, ROWS, st.floats(-1, 1)), min_size=1, max_size=5), data=st.data())
def test_the_order_of_the_repeats_and_how_they_are_split_changes_no_figure(
    parts: list[tuple[RepeatKind, NDArray[np.int64], float]], data: st.DataObject
) -> None:
    """Otherwise interleaving the targets in another way could change a verdict."""
    first = SAMPLES * 2
    repeats = [(kind, rows, first[rows] + np.float32(off)) for kind, rows, off in parts]
    whole = figures(first, *repeats)
    mixed = figures(first, *data.draw(st.permutations(repeats)))
    split = figures(first, *((kind, rows[[at]], y[[at]]) for kind, rows, y in repeats for at in range(rows.size)))
    for other in (mixed, split):
        assert (other.noise, other.mixed, other.together, other.asked) == (
            whole.noise, whole.mixed, whole.together, whole.asked,
        )  # fmt: skip
        assert [type(one) for one in other.findings] == [type(one) for one in whole.findings]


@PROPERTY
@given(rows=ROWS, kind=KINDS, error=st.floats(0, 10), more=st.floats(1, 10))
def test_more_noise_is_never_less_and_just_a_change_of_verdict_is_a_finding(
    rows: NDArray[np.int64], kind: RepeatKind, error: float, more: float
) -> None:
    """Otherwise a noisier target could look calmer, or harmless noise fail."""
    first = SAMPLES * 2
    less, greater = (figures(first, (kind, rows, first[rows] + np.float64(size))) for size in (error, error * more))

    def noise(line: RepeatFigures) -> float:
        (only,) = {line.noise, line.mixed, line.together} - {None}
        assert only is not None
        return only

    assert noise(less) <= noise(greater)
    assert noise(less) == pytest.approx(error)
    for line in (less, greater):
        # The answers are right at first; rounding may decide within a hair of the bound.
        if abs(noise(line) - TOLERANCES["y"].atol) > 1e-9:
            assert bool(line.findings) == (noise(line) > TOLERANCES["y"].atol)


@PROPERTY
@given(rows=ROWS, kind=KINDS, value=st.sampled_from([np.nan, np.inf, -np.inf]), at=st.integers(0, 5))
def test_no_repeat_passes_in_which_a_value_is_not_finite_any_more(
    rows: NDArray[np.int64], kind: RepeatKind, value: float, at: int
) -> None:
    """Otherwise a target could be right at first and answer NaN in use."""
    first = SAMPLES * 2
    later = first[rows]
    later[at % rows.size, at % 2] = value
    line = figures(first, (kind, rows, later))
    assert len(line.findings) == 1
    assert {line.noise, line.mixed, line.together} - {None} == {np.inf}


def test_the_place_of_a_change_is_that_of_the_sample_and_the_counts_are_over_all_repeats() -> None:
    """Otherwise one would look at another sample than the one that changed."""
    first = SAMPLES * 2
    rows = np.array([7, 11, 4])
    later = first[rows]
    later[2, 1] += WRONG
    line = figures(first, ("again", rows, later), ("again", rows[:1], first[rows[:1]] + WRONG / 2))
    (finding,) = line.findings
    assert finding == NotRepeated(
        output="y", changed=2, asked=4, place=(4, 1), right_first=True,
        want=float(first[4, 1]), first=float(first[4, 1]), later=float(later[2, 1]),
    )  # fmt: skip


def test_two_outputs_that_are_not_repeated_are_two_findings() -> None:
    """Otherwise a user would mend one and learn of the other in the next run."""
    first = SAMPLES * 2
    line = figures(first, ("again", np.array([0]), first[:1] + WRONG))
    (finding,) = line.findings
    assert isinstance(finding, NotRepeated)
    other = msgspec.structs.replace(line, output="z", findings=(msgspec.structs.replace(finding, output="z"),))
    whole = compared(Fake())
    status = status_of(msgspec.structs.replace(whole, repeats=(line, other)))
    assert isinstance(status, Fail)
    assert [one.finding.output for one in status.findings if isinstance(one.finding, NotRepeated)] == ["y", "z"]


def test_repeats_are_kept_with_the_recording(tmp_path: Path) -> None:
    """Otherwise judging again would know less than judging at once."""
    recording = record(FakeServer(), {"x": SAMPLES}, batch_sizes=(1, 4))
    again = load(tmp_path, save(recording, tmp_path))
    assert [(one.kind, one.batch_size) for one in again.repeats] == [
        (one.kind, one.batch_size) for one in recording.repeats
    ]
    for one, other in zip(again.repeats, recording.repeats, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.outputs["y"], other.outputs["y"])


def later_was(
    want: NDArray[Any],
    later: NDArray[Any] | None,
    *,
    first: NDArray[Any] | None = None,
    kind: RepeatKind = "again",
    atol: float = 0.5,
    rtol: float = 0.0,
) -> RepeatFigures:
    """The line of one output whose answers, right at first unless told otherwise, were `later` when asked again."""
    recording = Recording(
        info=RuntimeInfo(runtime="fake", version="1"),
        outputs={4: {"y": want if first is None else first}},
        milliseconds_per_sample={4: 1.0},
        repeats=(
            Repeat(kind=kind, batch_size=4, rows=np.arange(len(want)), outputs={} if later is None else {"y": later}),
        ),
    )
    tolerance = Tolerance(atol=atol, rtol=rtol, reason="for the test", source="the test")
    (line,) = repeatability({"y": want}, recording, tolerances={"y": tolerance})
    return line


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_whole_numbers_have_to_be_equal_again(dtype: str) -> None:
    """Otherwise a class that changes would be within a tolerance that is for scores."""
    want = np.array([[1, 0], [0, 1]], dtype)
    line = later_was(want, np.array([[1, 0], [0, 0]], dtype), atol=10.0)
    assert (line.output, line.batch_size, line.asked, line.noise) == ("y", 4, 2, 1.0)
    (finding,) = line.findings
    assert isinstance(finding, NotRepeated)
    assert (finding.output, finding.place, finding.changed, finding.asked) == ("y", (1, 1), 1, 2)


def test_text_that_changes_is_found_where_it_does() -> None:
    """Otherwise a label would be right once, and the report would point elsewhere."""
    want = np.array([["cat", "dog"], ["hen", "cow"]], object)
    line = later_was(want, np.array([["cat", "dog"], ["hen", "pig"]], object))
    assert line.noise is None
    (finding,) = line.findings
    assert isinstance(finding, NotRepeated)
    assert (finding.place, finding.want, finding.later) == ((1, 1), "cow", "pig")


def test_complex_answers_are_compared_in_both_parts() -> None:
    """Otherwise an imaginary part could be anything the second time."""
    want = np.array([[1 + 1j], [2 + 2j]], np.complex64)
    line = later_was(want, np.array([[1 + 1j], [2 + 4j]], np.complex64))
    assert [type(finding) for finding in line.findings] == [NotRepeated]
    assert line.noise is None


def test_both_tolerances_count_up_to_their_edge() -> None:
    """Otherwise what passes the first time would not the second."""
    large = np.array([[100.0], [1.0]], np.float32)
    assert later_was(large, np.array([[105.0], [1.0]], np.float32), atol=0.0, rtol=0.1).findings == ()
    zeros = np.zeros((2, 1), np.float32)
    assert later_was(zeros, zeros + np.float32(0.5), atol=0.5).findings == ()


def test_a_nan_that_is_right_is_missed_when_it_goes() -> None:
    """Otherwise a value that was NaN as in the reference would be wrong both times, and so no change."""
    want = np.array([[np.nan], [1.0]], np.float32)
    line = later_was(want, np.array([[3.0], [1.0]], np.float32))
    assert [type(finding) for finding in line.findings] == [NotRepeated]
    assert later_was(want, want).findings == ()


@pytest.mark.parametrize(("kind", "finding"), [("mixed", DependsOnBatchMates), ("together", DependsOnClients)])
def test_what_others_change_is_said_of_the_output(kind: RepeatKind, finding: type[Any]) -> None:
    """Otherwise nobody would know which of several answers depends on them."""
    want = np.zeros((2, 1), np.float32)
    (one,) = later_was(want, want + 1, kind=kind).findings
    assert isinstance(one, finding)
    assert one.output == "y"


@pytest.mark.parametrize(
    ("later", "said"), [(None, "no such output"), (np.zeros((2, 2), np.int32), "int32 [2, 2]")], ids=["gone", "dtype"]
)
def test_a_repeat_that_does_not_fit_is_told_with_both_forms(later: NDArray[Any] | None, said: str) -> None:
    """Otherwise a target that answers something else the second time would end the run."""
    line = later_was(np.zeros((2, 2), np.float32), later)
    assert line == RepeatFigures(
        output="y",
        batch_size=4,
        asked=2,
        noise=None,
        mixed=None,
        together=None,
        findings=(RepeatMalformed(output="y", first="float32 [2, 2]", later=said),),
    )


def test_what_is_malformed_at_first_is_left_to_the_comparison() -> None:
    """Otherwise an output that is not there would end the run here, before it is reported."""
    want = np.zeros((2, 1), np.float32)
    tolerance = {"y": Tolerance(atol=0.5, rtol=0.0, reason="for the test", source="the test")}
    shapes: list[Tensors] = [{}, {"y": np.zeros((2, 3), np.float32)}, {"y": np.zeros((), np.float32)}]
    for outputs in shapes:
        recording = Recording(
            info=RuntimeInfo(runtime="fake", version="1"),
            outputs={4: outputs},
            milliseconds_per_sample={4: 1.0},
            repeats=(Repeat(kind="again", batch_size=4, rows=np.arange(2), outputs={"y": want}),),
        )
        assert repeatability({"y": want}, recording, tolerances=tolerance) == ()
