"""The diagnosis of one failing row: first by its answers, then by its files and by running the trained model."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.artifact import Artifact, Format
from pipeline.core.signature import Tensors
from pipeline.diagnosis import artifact_files
from pipeline.diagnosis.by_answers import diagnosed_by_answers
from pipeline.diagnosis.by_file import exchanged_shards
from pipeline.diagnosis.by_model import Surroundings, diagnosed_by_model
from pipeline.diagnosis.case import Case
from pipeline.diagnosis.graph import Graph, has_layers
from pipeline.foreign_keras import kept_model
from pipeline.parity.diagnosis import UNKNOWN, Diagnosis

_MAY_HAVE_ANOTHER_CAUSE = frozenset(
    {
        UNKNOWN,
        "input_ignored",
        "non_finite_weights",
        "overflow",
        "output_affine",
        "output_offset",
        "output_saturated",
        "output_scaled",
        "relu_added",
    }
)
"""What answers alone can show and what something inside the model can bring about, too."""


_SAID_BY_RUNTIMES = (
    (
        "lost its WebGL context",
        "context_lost",
        "the browser lost its WebGL context: the GPU was reset or out of memory",
    ),
    ("out of memory", "out_of_memory", "the runtime ran out of memory"),
    ("killed by SIGKILL", "killed", "the runtime was killed from outside, usually for memory"),
    ("no progress for", "hangs", "the runtime stopped answering"),
    ("page crashed", "crashed", "the browser's page crashed"),
)


def diagnosed(case: Case, surroundings: Surroundings) -> Diagnosis:
    """The probable cause of a recording that failed. Needs TensorFlow when the answers alone do not settle it."""
    by_answers = diagnosed_by_answers(case)
    return by_answers if is_settled(by_answers) else diagnosed_further(by_answers, case, surroundings)


def is_settled(by_answers: Diagnosis) -> bool:
    """Whether the answers alone tell the cause, and nothing inside the model could bring the same about."""
    return by_answers.cause not in _MAY_HAVE_ANOTHER_CAUSE


def diagnosed_further(by_answers: Diagnosis, case: Case, surroundings: Surroundings) -> Diagnosis:
    """The cause once the model was run, too; that of the answers where running it tells nothing. Needs TensorFlow."""
    by_model = diagnosed_by_model(case, surroundings)
    return by_answers if by_model.cause == UNKNOWN and by_answers.cause != UNKNOWN else _together(by_answers, by_model)


def diagnosed_error(problem: str, artifact: Artifact, trained: Path | None, inputs: Tensors) -> Diagnosis:
    """The probable cause of an artifact that did not run at all, by its files and by what the runtime said.

    `trained` is the Keras model and `inputs` are samples for it. Needs TensorFlow.
    """
    found = artifact_files.fact(artifact)
    if found is None and trained is not None and artifact.format is Format.TFJS:
        model = kept_model(trained)
        if has_layers(model):
            one = {name: array[:1] for name, array in inputs.items()}
            found = exchanged_shards(artifact, Graph(model, artifact.signature.output_names, one))
    if found is not None:
        return found
    for words, cause, sentence in _SAID_BY_RUNTIMES:
        if words in problem:
            return Diagnosis(cause=cause, sentence=f"the files are whole; {sentence}", tried=3)
    return Diagnosis(cause=UNKNOWN, sentence="the artifact's files are whole and have the right signature", tried=3)


def _together(by_answers: Diagnosis, by_model: Diagnosis) -> Diagnosis:
    return Diagnosis(
        cause=by_model.cause,
        sentence=by_model.sentence,
        error_before=by_model.error_before,
        error_after=by_model.error_after,
        tried=by_answers.tried + by_model.tried,
    )
