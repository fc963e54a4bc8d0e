"""One instruction at a time, and always an end to the wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pipeline.core.errors import TargetFailed
from web_demo.parity_channel import ParityChannel

LOAD = {"kind": "load", "url": "m/model.json", "backend": "wasm"}
RUN = {"kind": "run", "batchSize": 7}


@contextmanager
def page(does: Callable[[], object]) -> Iterator[None]:
    """Do in another thread what a page would do."""
    thread = threading.Thread(target=does)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_an_instruction_reaches_the_page_and_its_answer_comes_back() -> None:
    """The whole conversation hangs on this."""
    channel = ParityChannel()

    def obey() -> None:
        instruction = channel.next_instruction(wait_seconds=5)
        assert instruction == {"id": 1, **RUN}
        assert channel.inputs_of(1) == b"samples"
        assert channel.answer(1, b"answers")

    with page(obey):
        assert channel.ask(RUN, inputs=b"samples", within_seconds=5) == b"answers"


def test_an_instruction_is_handed_out_once() -> None:
    """A poll that was answered twice would run every batch twice, and the second answer would meet nobody."""
    channel = ParityChannel()

    def obey() -> None:
        assert channel.next_instruction(wait_seconds=5) is not None
        assert channel.next_instruction(wait_seconds=0.05) is None
        channel.answer(1, b"")

    with page(obey):
        channel.ask(RUN, within_seconds=5)


def test_a_refusal_is_told_with_what_was_asked() -> None:
    """The error alone, that a kernel is missing, does not say on which backend."""
    channel = ParityChannel()

    def refuse() -> None:
        channel.next_instruction(wait_seconds=5)
        channel.fail(1, "no kernel")

    with page(refuse), pytest.raises(TargetFailed, match="could not load the model on wasm: no kernel"):
        channel.ask(LOAD, within_seconds=5)
    with page(lambda: channel.answer(2, b"") if channel.next_instruction(wait_seconds=5) else None):
        assert channel.ask(RUN, within_seconds=5) == b""


def test_silence_ends_the_conversation() -> None:
    """After it, a late answer must not be taken for that to the next question."""
    channel = ParityChannel()
    began = time.monotonic()
    with pytest.raises(TargetFailed, match=r"batch size 7: the browser showed no progress for 0.1 s") as slow:
        channel.ask(RUN, within_seconds=0.1)
    assert "answer_within_seconds" in slow.value.hint
    assert time.monotonic() - began < 1
    assert not channel.answer(1, b"late")
    with pytest.raises(TargetFailed, match="no progress"):
        channel.ask(RUN, within_seconds=5)


def test_progress_holds_the_deadline_off() -> None:
    """A large test set takes longer than any deadline that is good for one batch."""
    channel = ParityChannel()

    def work() -> None:
        channel.next_instruction(wait_seconds=5)
        for _ in range(5):
            time.sleep(0.1)
            channel.note_progress(1)
        channel.answer(1, b"done")

    with page(work):
        assert channel.ask(RUN, within_seconds=0.3) == b"done"


def test_a_crash_ends_every_wait_at_once_with_the_first_cause() -> None:
    """What follows a crash (connection lost, page closed) would hide why."""
    channel = ParityChannel()

    def crash() -> None:
        channel.next_instruction(wait_seconds=5)
        channel.break_off("the page crashed")
        channel.break_off("the browser is closed")

    with page(crash), pytest.raises(TargetFailed, match="the page crashed"):
        channel.ask(RUN, within_seconds=60)
    assert channel.next_instruction(wait_seconds=60) is None
    with pytest.raises(TargetFailed, match="the page crashed"):
        channel.wait_for_page(within_seconds=60)


def test_waiting_for_the_page_ends_when_it_asks() -> None:
    """The browser counts as booted from its first question on."""
    channel = ParityChannel()
    with pytest.raises(TargetFailed, match=r"did not open the parity page in 0.05 s"):
        channel.wait_for_page(within_seconds=0.05)
    with page(lambda: channel.next_instruction(wait_seconds=0.1)):
        channel.wait_for_page(within_seconds=5)


def test_what_nobody_waits_for_is_refused() -> None:
    """A page left open from an earlier run must not answer this one."""
    channel = ParityChannel()
    assert channel.inputs_of(9) is None
    assert not channel.answer(9, b"")
    assert not channel.fail(9, "")
    assert not channel.note_progress(9)
