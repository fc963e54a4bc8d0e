"""The experiments on a server, in the order in which they are made. None of them changes anything on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import TargetFailed
from pipeline.core.signature import Signature, Tensors, TensorSpec
from pipeline.core.wording import quoted
from pipeline.diagnosis import inputs
from pipeline.diagnosis.distance import distance
from pipeline.inquiry.inquiry import Experiment
from pipeline.inquiry.served import Served

_FEW = 16
_DECIMALS = range(1, 7)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tried:
    """An experiment and what it would mean: `cause` and `meaning` are said when it is the one that settles it.

    `got` is what came. `settles` says whether it may: an agreement that was expected says nothing. What is
    `conspicuous` is a fault even where the values agree.
    """

    experiment: Experiment
    cause: str = ""
    meaning: str = ""
    got: Tensors | None = None
    settles: bool = False
    conspicuous: bool = False


def versions(served: Served) -> Tried:
    """Which versions the server knows, beside the one that it should serve."""
    try:
        states = served.door.states(served.name)
    except TargetFailed as error:
        return Tried(experiment=Experiment(name="its versions", showed=error.problem))
    said = ", ".join(f"{number} {state}" for number, state in sorted(states.items())) or "none"
    if states.get(served.version) == "AVAILABLE":
        return Tried(experiment=Experiment(name="its versions", showed=f"{said}; the export is {served.version}"))
    return Tried(
        experiment=Experiment(name="its versions", showed=f"{said}; the export, {served.version}, is not served"),
        cause="other_version",
        meaning=f"the server does not serve the export's version {served.version}, but {said}",
        settles=True,
    )


def signature(served: Served) -> tuple[Tried, Mapping[str, Signature]]:
    """The signature that the server serves by default, held against the export's."""
    try:
        version, found = served.door.signatures(served.name, None)
    except TargetFailed as error:
        return Tried(experiment=Experiment(name="its signature", showed=error.problem)), {}
    given = found.get(served.expected.name)
    if given is None:
        off = [f"it has no signature `{served.expected.name}`, but {_listed(sorted(found))}"]
        cause = "other_signature"
    else:
        off = [*_differences("input", served.expected.inputs, given.inputs)]
        off += _differences("output", served.expected.outputs, given.outputs)
        cause = "dtype_changed" if off and all(" is " in each and " instead of " in each for each in off) else ""
        cause = cause or "other_signature"
    if not off:
        return Tried(experiment=Experiment(name="its signature", showed=f"as exported (version {version})")), found
    said = "; ".join(off)
    return Tried(
        experiment=Experiment(name="its signature", showed=f"version {version}: {said}"),
        cause=cause,
        meaning=f"the signature that it serves is not the export's: {said}",
        settles=True,
        conspicuous=True,
    ), found


def asked(served: Served) -> Tried:
    """The question as an app puts it: no version named, the export's signature."""
    return _predicted(served, f"asked over {served.door.name}", served.expected, None)


def asked_by_version(served: Served) -> Iterator[Tried]:
    """Each version that is available, by its number."""
    try:
        states = served.door.states(served.name)
    except TargetFailed:
        # `versions` has said it.
        return
    for version in sorted(number for number, state in states.items() if state == "AVAILABLE"):
        yield _predicted(
            served,
            f"version {version} by number",
            served.expected,
            version,
            cause="other_version",
            meaning=f"asked for version {version} by its number it agrees: by default it answers with another version",
        )


def asked_by_signature(served: Served, found: Mapping[str, Signature]) -> Iterator[Tried]:
    """Each other signature that takes such inputs, its outputs taken in their order where the names differ."""
    for name, given in found.items():
        if name == served.expected.name and given == served.expected:
            continue
        names = _by_kind(served.expected.inputs, given.inputs)
        outputs = _by_kind(served.expected.outputs, given.outputs)
        if names is None:
            yield Tried(experiment=Experiment(name=f"signature `{name}`", showed="it takes other inputs"))
            continue
        yield _predicted(
            served,
            f"signature `{name}`",
            given,
            None,
            samples={theirs: served.inputs[ours].astype(_spec(given, theirs).dtype) for ours, theirs in names.items()},
            renamed=outputs or {},
            cause="other_signature",
            meaning=f"asked by its signature `{name}`{_renaming({**names, **(outputs or {})})} it agrees",
        )


def other_door(served: Served, here: Tried) -> Iterator[Tried]:
    """The same question through the other door, and the two answers side by side."""
    if served.other is None:
        return
    there = _predicted(
        served,
        f"asked over {served.other.name}",
        served.expected,
        None,
        other=True,
        cause="transport",
        meaning=f"over {served.other.name} it agrees: what differs happens on the way of {served.door.name}",
    )
    yield there
    if here.got is None or there.got is None:
        return
    apart = served.error(here.got, there.got)
    same = served.agrees(here.got, there.got)
    lost = _lost_on_the_way(here.got, there.got)
    name = f"{served.door.name} beside {served.other.name}"
    showed = "the same" if same and not lost else lost[1] if lost else "they differ, and in no known way"
    yield Tried(
        experiment=Experiment(name=name, showed=showed, error=apart, agrees=same and not lost),
        cause=lost[0] if lost else "",
        meaning=f"over {served.other.name} it agrees, and over {served.door.name} {lost[1]}" if lost else "",
        settles=bool(lost) and served.agrees(there.got),
        conspicuous=True,
    )


def in_process(served: Served, here: Tried) -> Iterator[Tried]:
    """The export itself, beside the reference and beside the server."""
    own = served.in_process(served.inputs)
    agrees = served.agrees(own)
    yield Tried(
        experiment=Experiment(
            name="the SavedModel in process",
            showed="the export is right" if agrees else "the export itself is wrong: `tripoint explain saved_model`",
            error=served.error(own),
            agrees=agrees,
        ),
        got=own,
    )
    if here.got is not None:
        same = served.agrees(here.got, own)
        yield Tried(
            experiment=Experiment(
                name="the server beside that",
                showed="it answers as the export does" if same else "it does not answer as the export does",
                error=served.error(here.got, own),
                agrees=same,
            ),
            cause="export",
            meaning="the server answers just as the SavedModel does in process: the export is at fault, not the server",
            settles=same and not agrees,
        )


def inputs_changed(served: Served) -> Iterator[Tried]:
    """Inputs prepared otherwise and sent: only the best is told, and that it agrees."""
    few, want = _first(served.inputs), _first(served.want)
    best: Tried | None = None
    count = 0
    for changed in inputs.changes(few):
        try:
            got = served.door.predict(served.name, changed.samples, served.expected, None)
        except TargetFailed:
            continue
        count += 1
        error = served.error(got, want)
        if best is None or error < (best.experiment.error or float("inf")):
            best = Tried(
                experiment=Experiment(
                    name="other inputs sent", showed=changed.sentence, error=error, agrees=served.agrees(got, want)
                ),
                cause=changed.cause,
                meaning=f"it agrees when it is sent other inputs ({changed.sentence}): it prepares them otherwise",
                settles=served.agrees(got, want),
            )
    if best is None:
        yield Tried(experiment=Experiment(name="other inputs sent", showed="it takes none"))
    elif best.settles:
        yield best
    else:
        showed = f"none of {count} preparations; the nearest: {best.experiment.showed}"
        yield Tried(
            experiment=Experiment(name=best.experiment.name, showed=showed, error=best.experiment.error, agrees=False)
        )


def inputs_as_it_sees_them(served: Served, here: Tried) -> Iterator[Tried]:
    """The export asked with other inputs: which of them give what the server answers to the right ones."""
    if here.got is None:
        return
    few, got = _first(served.inputs), _first(here.got)
    best: tuple[float, inputs.Changed, bool] | None = None
    count = 0
    for changed in inputs.changes(few):
        count += 1
        answers = served.in_process(changed.samples)
        error = served.error(got, answers)
        if best is None or error < best[0]:
            best = (error, changed, served.agrees(got, answers))
    if best is None:
        return
    error, changed, same = best
    showed = changed.sentence if same else f"none of {count} changes; the nearest: {changed.sentence}"
    yield Tried(
        experiment=Experiment(name="inputs as it sees them", showed=showed, error=error, agrees=same),
        cause=changed.cause,
        meaning=f"the export gives the server's answers when {changed.sentence}: that happens before the model",
        settles=same,
    )


def _predicted(
    served: Served,
    name: str,
    signature: Signature,
    version: int | None,
    *,
    other: bool = False,
    samples: Tensors | None = None,
    renamed: Mapping[str, str] | None = None,
    cause: str = "",
    meaning: str = "",
) -> Tried:
    """The answers to one way of asking; `renamed` gives the server's name of each output, by the export's."""
    door = served.other if other and served.other is not None else served.door
    try:
        given = door.predict(served.name, served.inputs if samples is None else samples, signature, version)
    except TargetFailed as error:
        return Tried(experiment=Experiment(name=name, showed=error.problem, error=float("inf"), agrees=False))
    got = {ours: given[theirs] for ours, theirs in (renamed or {}).items() if theirs in given} or given
    agrees = served.agrees(got)
    missing = [output for output in served.want if output not in got]
    showed = f"it answers {_listed(sorted(got))}" if missing else ", ".join(_said(got[name]) for name in served.want)
    return Tried(
        experiment=Experiment(name=name, showed=showed, error=served.error(got), agrees=agrees),
        cause=cause,
        meaning=meaning,
        got=got,
        settles=agrees and bool(cause),
    )


def _said(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape[1:])}"


def _lost_on_the_way(here: Tensors, there: Tensors) -> tuple[str, str] | None:
    """The cause and what it does, where the one answer is the other with something taken away."""
    for name, whole in there.items():
        given = here.get(name)
        if given is None or given.shape != whole.shape or whole.dtype.kind != "f":
            continue
        if given.dtype.kind in "iu" and not np.array_equal(whole, np.trunc(whole)):
            cut = "cut off" if distance(np.trunc(whole), given) < distance(np.rint(whole), given) else "rounded"
            return "dtype_changed", f"`{name}` comes as whole numbers: its fractions are {cut}"
        wide = whole.astype(np.float64)
        if np.array_equal(given.astype(np.float32), whole.astype(np.float32)):
            continue
        for decimals in _DECIMALS:
            # Half a unit, and what the decimal text of a float32 adds to it.
            if np.abs(np.round(wide, decimals) - given).max() <= 10.0**-decimals * 1e-3:
                return "rounded_decimals", f"`{name}` comes rounded to {decimals} decimals"
        half = whole.astype(np.float16).astype(np.float64)
        if np.abs(half - given).max() <= 1e-3 * np.abs(half - wide).max():
            return "precision_float16", f"`{name}` comes with the precision of float16"
    return None


def _differences(what: str, ours: tuple[TensorSpec, ...], theirs: tuple[TensorSpec, ...]) -> list[str]:
    given = {spec.name: spec for spec in theirs}
    wanted = {spec.name: spec for spec in ours}
    off = [f"{what} `{name}` is missing" for name in wanted if name not in given]
    off += [f"{what} `{name}` is new" for name in given if name not in wanted]
    for name, spec in wanted.items():
        theirs_now = given.get(name, spec)
        if theirs_now.dtype != spec.dtype:
            off.append(f"{what} `{name}` is {theirs_now.dtype} instead of {spec.dtype}")
        elif theirs_now.shape[1:] != spec.shape[1:]:
            off.append(f"{what} `{name}` has shape {theirs_now.shape}, not {spec.shape}")
    return off


def _by_kind(ours: tuple[TensorSpec, ...], theirs: tuple[TensorSpec, ...]) -> dict[str, str] | None:
    """Their name for each of ours: the same one, else the only one that is left with such a shape."""
    if len(ours) != len(theirs):
        return None
    names = {spec.name for spec in theirs}
    found = {spec.name: spec.name for spec in ours if spec.name in names}
    for spec in ours:
        if spec.name in found:
            continue
        left = [each.name for each in theirs if each.name not in found.values() and each.shape[1:] == spec.shape[1:]]
        if len(left) != 1:
            return None
        found[spec.name] = left[0]
    return found


def _spec(signature: Signature, name: str) -> TensorSpec:
    return next(spec for spec in signature.inputs if spec.name == name)


def _renaming(names: Mapping[str, str]) -> str:
    changed = [f"`{theirs}` for `{ours}`" for ours, theirs in names.items() if ours != theirs]
    return f" ({', '.join(changed)})" if changed else ""


def _first(tensors: Tensors) -> dict[str, NDArray[Any]]:
    return {name: array[:_FEW] for name, array in tensors.items()}


def _listed(names: list[str]) -> str:
    return quoted(names) or "nothing"
