"""Looking into a server: every experiment is made, and the first that settles the matter gives the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.core.wording import capitalized
from pipeline.inquiry import experiments
from pipeline.inquiry.experiments import Tried
from pipeline.inquiry.inquiry import NOTHING, SCHEMA, Experiment, Inquiry
from pipeline.inquiry.served import Served
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis


def inquired(served: Served, *, model: str, target: str, addresses: dict[str, str]) -> tuple[Inquiry, Tried]:
    """Make every experiment; also the plain question with its answers, for what else is made of them.

    Never raises for what the server does or refuses: that is what is looked for.
    """
    here = experiments.asked(served)
    tried = [here, *_experiments(served, here)]
    return _inquiry(tried, served, model=model, target=target, addresses=addresses), here


def with_diagnosis(inquiry: Inquiry, diagnosis: Diagnosis) -> Inquiry:
    """The same with what the answers, stored trainings and the trained model say, where no experiment settled it."""
    if inquiry.cause == NOTHING:
        return inquiry
    known = diagnosis.cause != UNKNOWN
    line = Experiment(
        name="known causes", showed=diagnosis.sentence, error=diagnosis.error_after, agrees=True if known else None
    )
    settled = inquiry.cause not in (UNKNOWN, "other_version")
    stale = known and inquiry.cause == "other_version"
    sentence = inquiry.sentence
    if not settled and known:
        sentence = f"{inquiry.sentence} And: {diagnosis.sentence}." if stale else f"{capitalized(diagnosis.sentence)}."
    return Inquiry(
        schema=inquiry.schema,
        model=inquiry.model,
        target=inquiry.target,
        addresses=inquiry.addresses,
        samples=inquiry.samples,
        experiments=(*inquiry.experiments, line),
        cause=inquiry.cause if settled or not known or stale else diagnosis.cause,
        decisive=inquiry.decisive if settled or not known or stale else line.name,
        sentence=sentence,
    )


def _experiments(served: Served, here: Tried) -> Iterator[Tried]:
    yield experiments.versions(served)
    described, found = experiments.signature(served)
    yield described
    yield from experiments.other_door(served, here)
    yield from experiments.in_process(served, here)
    if here.experiment.agrees:
        # Nothing to look for: what follows changes the question.
        return
    yield from experiments.asked_by_version(served)
    yield from experiments.asked_by_signature(served, found)
    yield from experiments.inputs_changed(served)
    yield from experiments.inputs_as_it_sees_them(served, here)


def _inquiry(tried: Sequence[Tried], served: Served, *, model: str, target: str, addresses: dict[str, str]) -> Inquiry:
    here = tried[0].experiment
    # The values may be right, and what an app gets is not: another dtype, digits lost on the way of one door.
    lost = next((each for each in tried if each.settles and each.conspicuous), None)
    decisive = lost if here.agrees else _decisive(tried)
    if here.agrees and decisive is None:
        cause, sentence = NOTHING, f"Asked over {served.door.name} as an app asks, it agrees with the trained model."
    elif decisive is None and tried[0].got is None:
        cause, sentence = UNKNOWN, f"Asked over {served.door.name} as an app asks, it does not answer: {here.showed}"
    elif decisive is None:
        alike = {each.experiment.name: each.experiment.agrees for each in tried}
        other = alike.get("the SavedModel in process") and alike.get("the server beside that") is False
        cause = UNKNOWN
        sentence = (
            "It serves something else than the export, which is right in process: no version, signature or preparation "
            "of the inputs makes it agree."
            if other
            else "It differs, and none of the experiments makes it agree."
        )
    else:
        cause, sentence = decisive.cause, f"{capitalized(decisive.meaning)}."
    return Inquiry(
        schema=SCHEMA,
        model=model,
        target=target,
        addresses=addresses,
        samples=len(next(iter(served.inputs.values()))),
        experiments=tuple(each.experiment for each in tried),
        cause=cause,
        decisive=None if decisive is None else decisive.experiment.name,
        sentence=sentence,
    )


def _decisive(tried: Sequence[Tried]) -> Tried | None:
    """What makes it agree comes before what is only conspicuous; a cause by name before `transport`."""
    settling = [each for each in tried if each.settles]
    agreeing = [each for each in settling if each.experiment.agrees is True]
    lossy = [each for each in settling if each.experiment.agrees is False]
    named = [each for each in agreeing if each.cause != "transport"]
    return next(iter([*lossy, *named, *settling]), None)
