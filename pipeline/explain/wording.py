"""What an explanation says in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from pipeline.explain.explanation import Difference, Line
from pipeline.explain.naming import Named


def sentence_of(
    culprit: Named | None, first: Line | None, lines: Sequence[Line], outputs: Mapping[str, Difference]
) -> str:
    """The finding for a person: the layer, how much it is off by itself, and what it is taken for."""
    if not lines:
        return "No tensor of the artifact could be paired with a layer of the trained model."
    if culprit is not None and first is None:
        return (
            f"The first layer that diverges is `{culprit.layer}`: the output is what the trained model has before its "
            "last operation. All that the artifact does until there is right."
        )
    if culprit is None or first is None:
        worst = max(lines, key=lambda line: line.isolated.relative or 0.0)
        off = [name for name, each in outputs.items() if each.problem is not None]
        odd = f" But {'; '.join(f'output `{name}`: {outputs[name].problem}' for name in off)}." if off else ""
        return (
            f"No layer is out of line: fed with the trained model's values, the most wrong is `{worst.layer}`: "
            f"{error_of(worst.isolated)}, which may be {worst.limit:.1e}.{odd}"
        )
    fused = [layer for layer in first.layers if layer != culprit.layer]
    with_others = f" (the converter fused it with {', '.join(f'`{name}`' for name in fused)})" if fused else ""
    return (
        f"The first layer that diverges is `{culprit.layer}`{with_others}: fed with the trained model's values, "
        f"{error_of(first.isolated)}, which may be {first.limit:.1e}. {manner_of(culprit)}"
    )


def error_of(difference: Difference) -> str:
    if difference.problem is not None or difference.relative is None:
        return difference.problem or "it has no value"
    return f"its error is {difference.relative:.1e} of its values"


def manner_of(culprit: Named) -> str:
    """What is known of how the layer differs."""
    match culprit.manner:
        case "branch" | "reordered" | "replaced":
            return f"Its values are those of the trained model when {culprit.how}."
        case "cut off":
            return f"A branch is cut off: {culprit.how}."
        case "missing" | "training" | "affine" | "broken" | "shape" | "values":
            return _SENTENCES[culprit.manner]
        case _:
            assert_never(culprit.manner)


_SENTENCES = {
    "missing": "Its values are those of the trained model without it: its operation is missing.",
    "training": "It runs as in training: the model was exported with training=True.",
    "affine": "Its values are scaled or moved channel by channel: its statistics, scale or offset are others.",
    "broken": "It does not run by itself either.",
    "shape": "Its shape is another: an operation was changed, or its attributes or axes.",
    "values": "No changed layer explains it: its weights or its operation's attributes are others.",
}
