"""The process that runs TFLite files on an edge CPU: `python -m edge.runner litert`, driven over stdin and stdout.

It needs NumPy, safetensors and one of the two runtimes, and this folder; nothing else of the project. It ends when its
stdin closes, and so with whoever drives it, however that ends.
"""

from __future__ import annotations

import argparse
import os
import platform
import select
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from edge.interpreter import LIBRARIES, Library, LoadedModel, Refused
from edge.wire import Frame, encoded, read_frame

PROTOCOL = 2
_SIGN_OF_LIFE_SECONDS = 1.0
# What XNNPACK chooses its kernels by. The names are those of /proc/cpuinfo, on x86 and on Arm.
_CPU_FEATURES = (
    *("sse4_1", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve"),
)


def main() -> None:
    """Answer frames until stdin ends or somebody says `quit`."""
    parser = argparse.ArgumentParser(prog="python -m edge.runner", description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    arguments = parser.parse_args()
    # Runtimes print where they like. Frames get the real stdout to themselves; what is printed goes to stderr.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    questions = sys.stdin.buffer
    threading.Thread(target=_end_with, args=(questions.fileno(),), name="stdin-watch", daemon=True).start()
    _serve(Library(arguments.library), questions, answers)


def _serve(library: Library, questions: BinaryIO, answers: BinaryIO) -> None:
    def send(frame: Frame) -> None:
        answers.writelines(encoded(frame))
        answers.flush()

    model: LoadedModel | None = None
    while (question := read_frame(questions.read)) is not None:
        try:
            match question.header["do"]:
                case "hello":
                    send(Frame({"protocol": PROTOCOL, "version": library.version, **_here()}))
                case "load":
                    # The old one goes first: two large models at once may be too much for a device.
                    model = None
                    model = library.load(
                        question.arrays["model"].tobytes(),
                        signature=question.header["signature"],
                        threads=question.header["threads"],
                        in_integers=question.header["in_integers"],
                    )
                    send(
                        Frame(
                            {
                                "signature": model.signature(),
                                "delegate": model.delegate(),
                                "integers": model.integers(),
                            }
                        )
                    )
                case "run":
                    send(_run(model, question, send))
                case "unload":
                    model = None
                    send(Frame({}))
                case "quit":
                    return
                case unknown:
                    send(Frame({"refused": f"protocol {PROTOCOL} does not know `{unknown}`"}))
        except Refused as refusal:
            send(Frame({"refused": str(refusal)}))


def _run(model: LoadedModel | None, question: Frame, send: Callable[[Frame], None]) -> Frame:
    if model is None:
        raise Refused("nothing is loaded")
    last_sign = time.monotonic()

    def sign_of_life() -> None:
        nonlocal last_sign
        if time.monotonic() - last_sign > _SIGN_OF_LIFE_SECONDS:
            send(Frame({"running": True}))
            last_sign = time.monotonic()

    outputs, seconds = model.run(
        question.arrays, batch_size=question.header["batch_size"], after_each_batch=sign_of_life
    )
    return Frame({"call_seconds": seconds.tolist(), "delegate": model.delegate()}, outputs)


def _end_with(descriptor: int) -> None:
    """End this process when the other end of the pipe is closed, even in the middle of a long call."""
    watch = select.poll()
    # For a socket, which sshd uses, the closed end shows as POLLRDHUP; hanging up is always reported.
    watch.register(descriptor, getattr(select, "POLLRDHUP", 0))
    watch.poll()
    os._exit(0)


def _here() -> dict[str, str]:
    return {
        "machine": platform.machine(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    """The instruction sets of this CPU that matter here, or nothing where the system does not list them."""
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return ""
    words = set(listing.read_text().split())
    return " ".join(feature for feature in _CPU_FEATURES if feature in words)


if __name__ == "__main__":
    main()
