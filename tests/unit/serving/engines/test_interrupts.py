"""Interrupts are held back, not lost."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from serving.engines.interrupts import interrupts_held


def test_ctrl_c_arrives_after_the_block() -> None:
    """Inside it, a container would be created that nobody knows of."""
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("the end")
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_are_let_through() -> None:
    """Only the main thread may set handlers, and servers are booted from worker threads, too."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with interrupts_held():
                pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the failure
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []
