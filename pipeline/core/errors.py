"""Every error that is meant for a person, and the exit status that each one ends the program with."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What the `tripoint` process tells its caller. Documented in docs/cli.md; CI gates rely on the numbers."""

    AGREES = 0
    CRASHED = 1
    USAGE = 2
    ENVIRONMENT = 3
    DISAGREES = 10
    INTERRUPTED = 130


class TripointError(Exception):
    """Something went wrong that a person can mend.

    `problem` says what happened, in which artifact or target, with the observed values; `hint` is the mend, if
    possible a command that can be pasted.
    """

    exit_status = ExitStatus.CRASHED

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # The default rebuilds an exception from its positional arguments alone, and stages raise across processes.
        return (_rebuilt, (type(self), self.problem, self.hint))


def _rebuilt(kind: type[TripointError], problem: str, hint: str) -> TripointError:
    return kind(problem, hint=hint)


class UsageError(TripointError):
    """What the user asked for cannot be: an unknown name, a wrong option, a file that is not a model."""

    exit_status = ExitStatus.USAGE


class EnvironmentProblem(TripointError):
    """Something outside the project is missing or failed: Docker, a browser, a port, disk space."""

    exit_status = ExitStatus.ENVIRONMENT


class DiskProblem(EnvironmentProblem):
    """The disk is full, or cannot be written: whatever comes next would fail as well."""


class TargetFailed(EnvironmentProblem):
    """A runtime that had started broke: a browser that crashed, a server that was killed."""


class WorkerDied(EnvironmentProblem):
    """The process that did a step ended amid it, again and alone: its native code is at fault, or memory ran out."""


class ConversionFailed(TripointError):
    """A converter refused a model, or wrote something that it should not have written."""

    exit_status = ExitStatus.USAGE


class ModelFailed(TripointError):
    """The model file itself raised, or made something that cannot be used."""

    exit_status = ExitStatus.USAGE
