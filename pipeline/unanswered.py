"""Why a model did not answer, and what helps: from what TensorFlow or Keras raised, which says much beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.core.signature import TensorSpec
from pipeline.lambdas import hint_on_missing_name
from pipeline.samples.wanted import described

_REASON_CHARACTERS = 500
# TensorFlow puts the Python calls that made a node before what the node met, and the node's name behind it.
_WHERE_MADE = re.compile(
    r"(Graph execution error:\s*)?Detected at node [^\n]*(\n<stack traces unavailable>)?\n"
    r"|^\s*File \"[^\n]*\n",
    re.MULTILINE,
)
_NODE = re.compile(r"\[\[\{\{node [^}]*\}\}\]\]|\{\{function_node [^}]*\}\}|\[Op:\w+\](?: name:\s*$)?")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_SCOPE = re.compile(r"'(?P<name>[^']*)' is not a valid (?:root )?scope name")


def reason_of(error: BaseException) -> str:
    """What happened, in one line of at most 500 characters, without the calls that led there."""
    return plain(str(error))[:_REASON_CHARACTERS]


def plain(text: str) -> str:
    """What TensorFlow or Keras says in one line, without colours, the places of a graph, and what a call was given."""
    text = _COLOUR.sub("", text).partition("\n\nArguments received by ")[0]
    return " ".join(_NODE.sub("", _WHERE_MADE.sub("", text)).split())


def hint_on_memory(error: BaseException) -> str | None:
    """What helps where more memory was asked for than there is; None for any other error."""
    # TensorFlow's is known by its name, so that it need not be imported to ask.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "this needs more memory than there is: close other programs, use a machine with more, or a smaller model"
    return None


def hint_on(error: BaseException, inputs: Sequence[TensorSpec]) -> str:
    """What helps a model that takes `inputs` and raised `error` when it was asked."""
    scope = _SCOPE.search(str(error))
    if scope is not None:
        return (
            f"TensorFlow takes no layer name like `{scope['name']}` (`predict` fails alike): rename the layer, with "
            "letters of English, digits and _ . - / >, and save it again"
        )
    if "ParseExample" in str(error):
        return (
            "this signature takes serialized tf.train.Example records: give such with --samples, or choose a "
            "signature of arrays with --signature (of an estimator: export with build_raw_serving_input_receiver_fn)"
        )
    sizes = ", sizes with --shape input=size,size" if any(None in spec.shape[1:] for spec in inputs) else ""
    return (
        hint_on_missing_name(error)
        or hint_on_memory(error)
        or (
            f"its inputs are {described(inputs)}; give values that it can take with --range input=low:high or --samples"
            f"{sizes}"
        )
    )
