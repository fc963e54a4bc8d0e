"""What is known not to work: by model, patterns of cells with a regular expression that their reasons have to match.

A cell that is not named here has to pass; one that is named must not, and for that reason. So a runtime that loses
something shows, and one that gains something does, too. docs/corpus.md says more of each cause.
"""

from __future__ import annotations

from collections.abc import Mapping

# More noise than the precision is allowed, or single values beyond it: mostly ranges from 16 samples that others leave.
_NOISE = "SQNR .* dB, at least"
_DIFFERS = "values differ|values are not equal"
# Of runtimes that do not survive another batch size: tflite-runtime 2.14 with XNNPACK, TF.js with an empty tensor.
_RESIZED = "depends on the batch size: right at 1, wrong at 7"
_WIDE = "TF.js has only (int32|float32), and .* values do not fit"
# By design of the model.
_RANDOM = "answers otherwise when it is asked the same again"
_VACUOUS = "hardly vary|same answer to every sample"

LIMITS: Mapping[str, Mapping[str, str]] = {
    "cond": {
        "edge/tflite-runtime *": r"the runtime failed on inputs of shape",
        "edge/litert int8": _NOISE,
        "browser/webgl float32": _NOISE,
    },
    "cond-constants": {
        "edge/* int8": _NOISE,
    },
    "while-loop": {
        "edge/tflite-runtime float32": _RESIZED,
        "edge/tflite-runtime float16": _RESIZED,
        "edge/tflite-runtime dynamic": _RESIZED,
        "edge/tflite-runtime int8": r"Div only supports",
    },
    "map-fn": {
        "edge/* int8": _NOISE,
    },
    "lstm": {
        "edge/* int8": _NOISE,
    },
    "rnn-unrolled": {
        "edge/* int8": _NOISE,
    },
    "rnn-stacked": {
        "edge/* int8": _NOISE,
    },
    "rnn-own-cell": {
        "edge/* int8": _NOISE,
    },
    "rnn-stateful": {
        "saved_model *": _RANDOM,
        "server/* *": _RANDOM,
        "edge/* float32": _RANDOM,
        "edge/* float16": _RANDOM,
        "edge/* dynamic": _RANDOM,
        "edge/* int8": _RANDOM,
        "browser/* *": r"AssignVariableOp",
    },
    "scalars": {
        "edge/* int8": _NOISE,
    },
    "every-rank": {
        "edge/* int8": _NOISE,
    },
    "any-size": {
        "edge/* int8": _DIFFERS,
    },
    "nothing-inside": {
        "edge/* int8": _NOISE,
        "browser/wasm *": _RESIZED,
        "browser/webgl *": r"The new shape .* has NaN elements",
    },
    "int32-input": {
        "edge/* int8": _DIFFERS,
    },
    "int64-input": {
        "edge/* int8": _DIFFERS,
    },
    "int8-input": {
        "edge/* int8": _DIFFERS,
    },
    "int64-wide": {
        "browser/* *": _WIDE,
    },
    "float16-input": {
        "server/rest *": r"Conversion of JSON Value",
        "edge/tflite-runtime *": r"the runtime failed on inputs of shape",
    },
    "float16-throughout": {
        "server/rest *": r"Conversion of JSON Value",
        "edge/tflite-runtime *": r"the runtime failed on inputs of shape",
    },
    "mixed-float16": {
        "edge/* int8": _DIFFERS,
    },
    "nested-shared": {
        "edge/* dynamic": _DIFFERS,
        "edge/* int8": _NOISE,
    },
    "nested-outputs": {
        "edge/* int8": _NOISE,
    },
    "four-alike": {
        "edge/* int8": _NOISE,
    },
    "input-as-output": {
        "edge/* int8": _NOISE,
    },
    "same-twice": {
        "edge/* int8": _NOISE,
    },
    "constant-output": {
        "saved_model *": _VACUOUS,
        "server/* *": _VACUOUS,
        "edge/* float32": _VACUOUS,
        "edge/* float16": _VACUOUS,
        "edge/* dynamic": _VACUOUS,
        "edge/* int8": _NOISE,
        "browser/* *": _VACUOUS,
    },
    "unused-input": {
        "edge/* int8": _NOISE,
    },
    "subclassed": {
        "edge/* int8": _NOISE,
    },
    "dictionary-keys": {
        "edge/* int8": _NOISE,
    },
    "convolutions": {
        "edge/* int8": _DIFFERS,
    },
    "one-dimension": {
        "edge/* int8": _DIFFERS,
    },
    "three-dimensions": {
        "edge/tflite-runtime float16": _RESIZED,
        "edge/* int8": _NOISE,
    },
    "normalizations": {
        "edge/* int8": _DIFFERS,
        "browser/* uint8": _DIFFERS,
    },
    "attention": {
        "edge/* int8": _DIFFERS,
    },
    "activations": {
        "edge/tflite-runtime int8": r"does not load",
        "edge/litert int8": _NOISE,
    },
    "embeddings": {
        "edge/tflite-runtime float16": _RESIZED,
        "edge/* int8": _NOISE,
    },
    "tf-image": {
        "saved_model *": _VACUOUS,
        "server/* *": _VACUOUS,
        # One output hardly varies; in another, bilinear weights come out otherwise in the fifth digit.
        "edge/* float32": f"{_VACUOUS}|{_DIFFERS}",
        "edge/tflite-runtime int8": r"Div only supports",
        "edge/litert int8": _DIFFERS,
        "browser/* float32": f"{_VACUOUS}|{_DIFFERS}",
        "browser/* float16": _VACUOUS,
    },
    "einsum": {
        "edge/* float16": _DIFFERS,
        "edge/* int8": _DIFFERS,
    },
    "normalization-bins": {
        "edge/* int8": _NOISE,
    },
    "categories": {
        "edge/* *": r"'tf\.LookupTableFindV2' op is neither",
    },
    "string-input": {
        "edge/* *": r"'tf\.StringToHashBucketFast' op is neither",
    },
    "text": {
        "edge/* *": r"'tf\.StringLower' op is neither",
        "browser/* *": r"StringLower",
    },
    "fft": {
        "edge/* *": r"'tf\.IRFFT' op is neither",
        "browser/wasm *": r"Kernel 'Complex' not registered",
        "browser/webgl float32": _NOISE,
        "browser/webgl float16": _DIFFERS,
        "browser/webgl uint8": _DIFFERS,
        "browser/cpu *": _RESIZED,
    },
    "complex-output": {
        "server/rest *": r"Failed to write JSON value for tensor type: complex64",
        "server/grpc *": r"DT_COMPLEX64 are not read",
        "edge/* float32": r"does not load",
        "edge/* float16": r"does not load",
        "edge/* dynamic": r"does not load",
        "edge/* int8": r"RESHAPE",
        "browser/wasm *": r"complex64",
        "browser/webgl *": r"cannot carry",
        "browser/cpu *": r"cannot carry",
    },
    "sparse-inside": {
        "edge/* int8": _DIFFERS,
    },
    "ragged-inside": {
        "edge/* int8": _DIFFERS,
        "browser/wasm *": r"Must have updates",
        "browser/webgl *": r"Must have updates",
        "browser/cpu *": r"Must have updates",
    },
    "ordering": {
        "edge/* int8": _DIFFERS,
    },
    "unique-inside": {
        "edge/* int8": _DIFFERS,
        "browser/* *": r"TF\.js has no UniqueWithCounts",
    },
    "indexing": {
        "edge/* int8": _NOISE,
    },
    "functions": {
        # Lgamma by Lanczos's approximation, whose coefficients halves round.
        "edge/* float32": r"gamma: SQNR 11.* dB",
        "edge/* float16": r"gamma: SQNR 4.* dB",
        "edge/tflite-runtime int8": r"builtin opcode 'LOG'",
        "edge/litert int8": r"DIV\) failed to invoke",
        "browser/wasm float32": r"gamma: SQNR 11.* dB",
        "browser/cpu float32": r"gamma: SQNR 11.* dB",
        "browser/wasm float16": r"gamma: SQNR 4.* dB",
        "browser/cpu float16": r"gamma: SQNR 4.* dB",
        "browser/wasm uint8": _DIFFERS,
        "browser/cpu uint8": _DIFFERS,
        "browser/webgl *": r"angles: .*values differ",
    },
    "linear-algebra": {
        "edge/* *": r"'tf\.Cholesky' op is neither",
        "browser/* *": r"TF\.js has no Cholesky, MatrixDeterminant",
    },
    "huge": {
        "edge/* float16": _NOISE,
        "edge/* int8": _NOISE,
        "browser/* float16": r"NaN in .* values where the reference has none",
    },
    "tiny": {
        "edge/* float16": _NOISE,
        "edge/* int8": _NOISE,
        "browser/* float16": _NOISE,
    },
    "large-weights": {
        "edge/* float16": _NOISE,
        "edge/* int8": _NOISE,
        "browser/wasm float16": _NOISE,
        "browser/webgl float16": r"NaN in .* values where the reference has none",
        "browser/cpu float16": r"NaN in .* values where the reference has none",
    },
    "nan-output": {
        "edge/tflite-runtime int8": r"does not load",
        "edge/litert int8": r"the runtime failed on inputs of shape",
    },
    "nan-input": {
        "adopt": r"NaN or infinite",
    },
    "random-noise": {
        "saved_model *": _RANDOM,
        "server/* *": _RANDOM,
        "edge/* *": _RANDOM,
        "browser/* *": _RANDOM,
    },
    "random-dropout": {
        "saved_model *": _RANDOM,
        "server/* *": _RANDOM,
        "edge/* *": r"'tf\.StatelessRandomGetKeyCounter' op is neither",
        "browser/* *": r"AssignVariableOp",
    },
    "tf1-saved-model": {
        "edge/* int8": _NOISE,
    },
    "tf-module": {
        "edge/* *": r"'tf\.LookupTableImportV2' op is neither",
    },
    "keras2-h5": {
        "edge/* int8": _NOISE,
    },
    "keras2-saved-model": {
        "edge/* int8": _NOISE,
    },
    "lambda": {
        "edge/* int8": _VACUOUS,
    },
    "awkward-names": {
        "adopt": r"is not a valid scope name",
    },
    "unnamed": {
        "edge/* int8": _NOISE,
    },
    "mlperf-kws": {
        "edge/tflite-runtime int8": r"the best class changed",
        "edge/litert int8": r"the best class changed",
        "browser/* uint8": r"the best class changed",
        # Of another training: the last layer's weights, float32 in both, correlate by 0.01.
        "edge/tflite-runtime kws_ref_model_float32.tflite *": _NOISE,
        "edge/tflite-runtime kws_ref_model.tflite *": _NOISE,
        "edge/litert kws_ref_model_float32.tflite *": _NOISE,
        "edge/litert kws_ref_model.tflite *": _NOISE,
    },
    "mlperf-resnet8": {
        "edge/litert pretrainedResnet_quant.tflite *": r"the best class changed",
    },
    "keras-efficientnetb0": {
        "edge/* int8": _VACUOUS,
    },
    "keras-efficientnetv2b0": {
        "edge/* int8": _VACUOUS,
    },
    "keras-mobilenetv2": {
        "edge/* int8": _VACUOUS,
    },
    "keras-vgg16": {
        "edge/* int8": _DIFFERS,
    },
}
