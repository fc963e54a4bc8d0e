"""What is known not to work: by model, patterns of cells with a regular expression that their reasons have to match.

A cell that is not named here has to pass; one that is named must not, and for that reason. So a runtime that loses
something shows, and one that gains something does, too. docs/corpus.md says more of each cause, and which models have
not been through the whole run yet.
"""

from __future__ import annotations

from collections.abc import Mapping

# Of TensorFlow 2.21's quantizer.
_LOOP = "quantizer ends its process with SIGSEGV on a model with a loop"
_NOISE = "SQNR .* dB, at least"
# Of tflite-runtime 2.14: with XNNPACK, loops and branches do not survive another batch size.
_RESIZED = "depends on the batch size: right at 1, wrong at 7"
# By design of the model.
_RANDOM = "answers otherwise when it is asked the same again"

_IN_A_LOOP = {"edge/* int8": _LOOP}

LIMITS: Mapping[str, Mapping[str, str]] = {
    "cond": {
        # It says no more; LiteRT runs the same file.
        "edge/tflite-runtime *": r"the runtime failed on inputs of shape \{'x': \(7, 4\)\}",
        "edge/litert int8": _NOISE,
        # A sine, which graphics hardware computes to about 14 bits.
        "browser/webgl float32": _NOISE,
    },
    "cond-constants": {"edge/* int8": _NOISE},
    "while-loop": {
        "edge/tflite-runtime float*": _RESIZED,
        "edge/tflite-runtime dynamic": _RESIZED,
        **_IN_A_LOOP,
    },
    "map-fn": _IN_A_LOOP,
    "tensor-array": _IN_A_LOOP,
    "lstm": _IN_A_LOOP,
    "gru-any-length": _IN_A_LOOP,
    "gru-reset-before": _IN_A_LOOP,
    "rnn-stacked": _IN_A_LOOP,
    "rnn-unrolled": {"edge/* int8": _NOISE},
    "rnn-masked": _IN_A_LOOP,
    "rnn-stateful": {
        "saved_model *": _RANDOM,
        "server/*": _RANDOM,
        "edge/* float*": _RANDOM,
        "edge/* dynamic": _RANDOM,
        "browser/*": "AssignVariableOp",
        **_IN_A_LOOP,
    },
    "int64-wide": {"browser/*": "TF.js has only int32, and .* values do not fit"},
    # TFLite has kernels for products and convolutions in float32 and integers only.
    "float16-throughout": {"edge/*": r"'tf\.MatMul' op is neither"},
    "mixed-float16": {"edge/*": r"'tf\.Conv2D' op is neither"},
    "mixed-bfloat16": {
        "edge/*": r"'tf\.Conv2D' op is neither",
        "browser/*": "TF.js has no bfloat16",
    },
    "string-input": {
        "edge/*": r"'tf\.StringToHashBucketFast' op is neither",
        # TF.js answers, and wrongly; which operation is at fault has not been found out.
        "browser/*": "values differ",
    },
    # Ranges from half of the samples saturate on the other half.
    "nested-outputs": {"edge/* int8": _NOISE},
    "float64-throughout": {
        "edge/*": r"'tf\.MatMul' op is neither",
        "browser/*": "TF.js has only float32, and .* values do not fit",
    },
}
