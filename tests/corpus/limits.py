"""What is known not to work: by model, patterns of cells with a regular expression that their reasons have to match.

A cell that is not named here has to pass; one that is named must not, and for that reason. So a runtime that loses
something shows, and one that gains something does, too. docs/corpus.md says more of each cause.
"""

from __future__ import annotations

from collections.abc import Mapping

# More noise than the precision is allowed, or single values beyond it; docs/corpus.md says why of each.
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
        "browser/webgl float32": _NOISE,
    },
    "while-loop": {
        "edge/tflite-runtime float32": _RESIZED,
        "edge/tflite-runtime float16": _RESIZED,
        "edge/tflite-runtime dynamic": _RESIZED,
        "edge/tflite-runtime int8": r"Div only supports",
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
    "float64-throughout": {
        # The largest answer saturates: the file's range ends at 1.4036.
        "edge/* int8": r"^y: 1 of 48 values differ; worst at \(0, 2\): 1\.4035",
    },
    "nested-shared": {
        # The cosine of a short vector: 1 / |v| is beyond the range that the file has for it.
        "edge/* int8": r"^dot: 1 of 16 values differ; worst at \(5, 0\)",
    },
    "constant-output": {
        "saved_model *": _VACUOUS,
        "server/* *": _VACUOUS,
        "edge/* float32": _VACUOUS,
        "edge/* float16": _VACUOUS,
        "edge/* dynamic": _VACUOUS,
        "edge/* int8": _VACUOUS,
        "browser/* *": _VACUOUS,
    },
    "dictionary-keys": {
        # The largest answer is beyond all 200 that the range was taken from, and saturates.
        "edge/* int8": r"^y: 1 of 48 values differ; worst at \(10, 2\): 2\.92\d*, expected 3\.00",
    },
    "normalizations": {
        "browser/* uint8": _DIFFERS,
    },
    "activations": {
        # Made of an exponential, whose step of 0.03 is scaled by 1.76.
        "edge/* int8": r"^selu: \d+ of 192 values differ; [^|]*$",
    },
    "tf-image": {
        "saved_model *": _VACUOUS,
        "server/* *": _VACUOUS,
        # One output hardly varies; in another, bilinear weights come out otherwise in the fifth digit.
        "edge/* float32": f"{_VACUOUS}|{_DIFFERS}",
        "edge/* int8": _DIFFERS,
        "browser/* float32": f"{_VACUOUS}|{_DIFFERS}",
        "browser/* float16": _VACUOUS,
    },
    "string-input": {
        "edge/* *": r"'tf\.StringToHashBucketFast' op is neither",
    },
    "text": {
        "edge/* *": r"'tf\.StringLower' op is neither",
        "browser/* *": r"StringLower",
    },
    "fft": {
        # A magnitude is the root of a sum of squares, and the square of what is small is no step of int8.
        "edge/* int8": r"magnitude: \d+ of 144 values differ",
        # The matrices of sines and cosines, which are no weights of the model, are stored as narrowly as weights are.
        "browser/* float16": _DIFFERS,
        "browser/* uint8": _DIFFERS,
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
    "ragged-inside": {
        "browser/wasm *": r"Must have updates",
        "browser/webgl *": r"Must have updates",
        "browser/cpu *": r"Must have updates",
    },
    "unique-inside": {
        "browser/* *": r"TF\.js has no UniqueWithCounts",
    },
    "indexing": {
        # A factor of the running product is beyond the range of -3.64 to 3.29 that was seen of it.
        "edge/* int8": r"^product: \d+ of 96 values differ",
    },
    "functions": {
        # Lgamma by Lanczos's approximation, whose coefficients halves round.
        "edge/* float32": r"gamma: SQNR 11.* dB",
        "edge/* float16": r"gamma: SQNR 4.* dB",
        # A quotient of the approximation reaches 615, in steps of 2.4; two whole numbers are nearer to an edge than
        # half a step of the input.
        "edge/* int8": r"rounded: 2 of 96 values differ; .*\| gamma: \d+ of 96 values differ",
        "browser/wasm float32": r"gamma: SQNR 11.* dB",
        "browser/cpu float32": r"gamma: SQNR 11.* dB",
        "browser/wasm float16": r"gamma: SQNR 4.* dB",
        "browser/cpu float16": r"gamma: SQNR 4.* dB",
        "browser/wasm uint8": _DIFFERS,
        "browser/cpu uint8": _DIFFERS,
        "browser/webgl *": r"angles: .*values differ",
    },
    "linear-algebra": {
        # Each step of the elimination rounds to int8, where the bound knows an inverse as one operation.
        "edge/* int8": r"^inverse: \d+ of 144 values differ; [^|]*\| inverse: SQNR 20",
    },
    "huge": {
        # No scale of the quantizer's is below 4e-9, and so the factor of 1e-30 is zero.
        "edge/* int8": r"^back: \d+ of 128 values differ; worst at \S+ \d+\): 0, expected",
    },
    "tiny": {
        # As above: the smallest step is far larger than 1e-30.
        "edge/* int8": r"^y: 48 of 48 values differ; .*\| y: SQNR -4\d\d\.\d dB",
    },
    "nan-output": {
        # x / |x| of -0.0103: a step of x, 0.0155, by one of |x|, 0.0078, is -1.99, and five times that is allowed.
        "edge/* int8": r"^ratio: the reference's answers hardly vary",
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
        "browser/* *": r"StatelessRandom",
    },
    "awkward-names": {
        "adopt": r"is not a valid scope name",
    },
    "keras2-lstm-h5": {
        # Both are beyond the 0.8930 at which the file's range ends.
        "edge/* int8": r"^flatten: 2 of 160 values differ; worst at \(5, 9\): 0\.8929",
    },
    "string-output": {
        # Two scores are nearer to one another than a step of 256: 0.018 apart, over a range of 6.5.
        "edge/* int8": r"^name: 1 of 16 values are not equal; first at \(10\): 'Aarhus', expected 'Cádiz'",
        "browser/* uint8": r"^name: 1 of 16 values are not equal; first at \(10\): 'Aarhus', expected 'Cádiz'",
    },
    "mlperf-kws": {
        # Noise instead of speech, of whose class the model is unsure.
        "edge/* dynamic": r"the best class changed|hardly vary",
        "edge/* int8": r"the best class changed",
        "browser/* uint8": r"the best class changed",
        # Of another training: the last layer's weights, float32 in both, correlate by 0.01.
        "edge/tflite-runtime kws_ref_model_float32.tflite *": _NOISE,
        "edge/tflite-runtime kws_ref_model.tflite *": _NOISE,
        "edge/litert kws_ref_model_float32.tflite *": _NOISE,
        "edge/litert kws_ref_model.tflite *": _NOISE,
    },
    "mlperf-resnet8": {
        # Photographs of nothing that it was trained on.
        "edge/* int8": r"the best class changed",
        "edge/* pretrainedResnet_quant.tflite *": r"the best class changed",
        "browser/* uint8": r"the best class changed",
    },
    "keras-efficientnetb0": {
        "edge/* int8": _VACUOUS,
    },
    "keras-efficientnetv2b0": {
        "edge/* int8": _VACUOUS,
    },
    "keras-vgg16": {
        "edge/* int8": _DIFFERS,
    },
}
