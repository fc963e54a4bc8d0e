"""What looking into a server gives: a line for each experiment, and what they come to."""

from __future__ import annotations

import math

from pipeline.parity.values import Value

SCHEMA = "tripoint.inquiry/1"
NOTHING = "none"
"""The cause where the server answers as it should."""


class Experiment(Value, frozen=True):
    """One thing that was tried: what was done, and what it showed.

    `error` is that of the worst output, as a share of how much the reference varies over the samples, infinite where
    the two cannot be compared; `agrees` whether that is within the tolerance. Both None where nothing was compared.
    """

    name: str
    showed: str
    error: float | None = None
    agrees: bool | None = None


class Inquiry(Value, frozen=True):
    """Why a server differs, by experiment. `cause` is a name of docs/diagnosis.md, `none`, or `unknown`.

    `decisive` is the name of the experiment that makes the server agree, or that shows the cause.
    """

    schema: str
    model: str
    target: str
    addresses: dict[str, str]
    samples: int
    experiments: tuple[Experiment, ...]
    cause: str
    decisive: str | None
    sentence: str


def as_text(inquiry: Inquiry) -> str:
    """A line for each experiment, in the order in which they were made, then the finding."""
    widest = max(len(each.name) for each in inquiry.experiments)
    lines = [
        f"{mark_of(each):8}  {each.name.ljust(widest)}  {error_of(each):>8}  {each.showed}"
        for each in inquiry.experiments
    ]
    where = ", ".join(f"{door} {address}" for door, address in inquiry.addresses.items())
    head = f"{inquiry.model} on {inquiry.target}, {where}: {inquiry.samples} samples"
    return "\n".join([head, "", *lines, "", inquiry.sentence])


def mark_of(experiment: Experiment) -> str:
    match experiment.agrees:
        case None:
            return "-"
        case True:
            return "agrees"
        case False:
            return "differs"


def error_of(experiment: Experiment) -> str:
    if experiment.error is None:
        return ""
    return "-" if math.isinf(experiment.error) else f"{experiment.error:.1e}"
