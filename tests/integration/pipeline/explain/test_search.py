"""The search for the worst inputs on a real model and a real runtime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.core.artifact import Artifact, Precision
from pipeline.core.target import Session
from pipeline.explain.search import search
from pipeline.explain.sensitivity import Reference
from tests.integration.exported import Exported

_LOOK_FOR_SECONDS = 5.0


def _reference(exported: Exported) -> Reference:
    signature = exported.saved_model.signature
    return Reference(model=exported.model, output_names=signature.output_names, inputs=signature.inputs)


def test_the_gradient_leads_towards_a_tie(small: Exported) -> None:
    """Scores near a tie are where a small error changes the answer."""
    reference = _reference(small)
    before = reference.answers(small.samples)["probabilities"]
    (step,) = reference.towards_a_tie(small.samples).values()
    image = small.samples["image"] + 0.05 * np.sign(step)
    after = reference.answers({"image": image.astype(np.float32)})["probabilities"]
    margins = [np.diff(np.sort(scores, axis=1)[:, -2:], axis=1).mean() for scores in (before, after)]
    assert margins[1] < 0.9 * margins[0]


def test_worse_inputs_than_the_test_split_has_are_found(
    small: Exported, small_tflite: Mapping[Precision, Artifact], edge: Session
) -> None:
    """The error on the test split would pass for the error."""
    reference = _reference(small)
    with edge.load(small_tflite[Precision.INT8], "") as runner:
        found = search(runner, reference, small.samples, seconds=_LOOK_FOR_SECONDS, seed=0)
    assert found.on_samples > 0
    assert found.on_found >= found.on_samples
    image = found.inputs["image"]
    assert (image.min(), image.max()) >= (0.0, 0.0)
    assert image.max() <= 1.0
    gap = np.abs(found.got["probabilities"].astype(np.float64) - found.expected["probabilities"])
    assert float(gap.max()) == found.on_found
