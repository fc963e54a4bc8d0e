"""The conversation between Python and one parity page: one instruction at a time, and an answer or a failure to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.errors import TargetFailed


@dataclass(kw_only=True)
class _Pending:
    number: int
    instruction: Mapping[str, Any]
    inputs: bytes
    handed_out: bool = False
    answer: bytes | None = None
    failure: str | None = None


@dataclass(kw_only=True)
class ParityChannel:
    """Thread-safe. `ask` is called by whoever runs the model, the other methods on behalf of the page."""

    _changed: threading.Condition = field(default_factory=threading.Condition)
    _count: int = 0
    _pending: _Pending | None = None
    _seen: bool = False
    _broken: str | None = None

    @property
    def broken(self) -> bool:
        """True when the conversation is over: every further `ask` would raise."""
        return self._broken is not None

    def wait_for_page(self, *, within_seconds: float) -> None:
        """Return once a page has asked for its first instruction; raises TargetFailed when none does."""
        with self._changed:
            self._changed.wait_for(lambda: self._seen or self._broken is not None, timeout=within_seconds)
            if self._broken is not None:
                raise TargetFailed(self._broken, hint=_AGAIN)
            if not self._seen:
                raise TargetFailed(f"the browser did not open the parity page in {within_seconds:g} s", hint=_AGAIN)

    def ask(self, instruction: Mapping[str, Any], *, inputs: bytes = b"", within_seconds: float) -> bytes:
        """The page's answer; raises TargetFailed when the page refuses, breaks or shows no progress for that long."""
        with self._changed:
            self._count += 1
            pending = _Pending(number=self._count, instruction=instruction, inputs=inputs)
            self._pending = pending
            self._changed.notify_all()
            try:
                while self._still_waiting(pending):
                    # Every change counts as a sign of life: only the page and the watch over it make any.
                    if not self._changed.wait(timeout=within_seconds):
                        # Too late is never: the page would take its next instruction for one that nobody waits for.
                        self.break_off(f"the browser showed no progress for {within_seconds:g} s")
            finally:
                self._pending = None
            if pending.answer is not None:
                return pending.answer
            if pending.failure is not None:
                raise TargetFailed(f"the browser could not {_words(instruction)}: {pending.failure}", hint=_REFUSED)
            slow = self._broken is not None and "no progress" in self._broken
            raise TargetFailed(f"asked to {_words(instruction)}: {self._broken}", hint=_SLOW if slow else _AGAIN)

    def _still_waiting(self, pending: _Pending) -> bool:
        return pending.answer is None and pending.failure is None and self._broken is None

    def next_instruction(self, *, wait_seconds: float) -> Mapping[str, Any] | None:
        """The instruction to carry out, with its `id`, or None when there is none in that time."""
        with self._changed:
            self._seen = True
            self._changed.notify_all()
            deadline = time.monotonic() + wait_seconds
            while self._broken is None:
                pending = self._pending
                if pending is not None and not pending.handed_out:
                    pending.handed_out = True
                    return {"id": pending.number, **pending.instruction}
                if not self._changed.wait(timeout=max(0.0, deadline - time.monotonic())):
                    return None
            return None

    def inputs_of(self, number: int) -> bytes | None:
        """What the instruction is to be run on, or None when nobody waits for that instruction."""
        with self._changed:
            pending = self._waiting(number)
            return None if pending is None else pending.inputs

    def answer(self, number: int, body: bytes) -> bool:
        """Take the answer; False when nobody waits for it any more."""
        with self._changed:
            pending = self._waiting(number)
            if pending is None:
                return False
            pending.answer = body
            self._changed.notify_all()
            return True

    def fail(self, number: int, problem: str) -> bool:
        """Take the reason why the page cannot; False when nobody waits for it any more."""
        with self._changed:
            pending = self._waiting(number)
            if pending is None:
                return False
            pending.failure = problem
            self._changed.notify_all()
            return True

    def note_progress(self, number: int) -> bool:
        """Take it that the page is at work on the instruction; False when nobody waits for it any more."""
        with self._changed:
            pending = self._waiting(number)
            if pending is None:
                return False
            self._changed.notify_all()
            return True

    def break_off(self, problem: str) -> None:
        """End the conversation: whoever waits, and whoever asks later, gets TargetFailed with the first problem."""
        with self._changed:
            if self._broken is None:
                self._broken = problem
            self._changed.notify_all()

    def _waiting(self, number: int) -> _Pending | None:
        pending = self._pending
        if pending is None or pending.number != number or not self._still_waiting(pending):
            return None
        return pending


_AGAIN = "run it again; if it happens again, leave the backend out: `browser.backends` in tripoint.toml"
_SLOW = "give it more time, `browser.answer_within_seconds` in tripoint.toml, or leave the backend out"
_REFUSED = "try another backend or precision; `tripoint targets` lists them"


def _words(instruction: Mapping[str, Any]) -> str:
    match instruction["kind"]:
        case "load":
            return f"load the model on {instruction['backend']}"
        case "run":
            return f"run the model at batch size {instruction['batchSize']}"
        case other:
            return f"{other} the model"
