"""Floats of 8 bits, which Keras's `quantize("float8")` casts to: only TensorFlow itself has them."""

NO_SMALL_FLOATS = (
    'floats of 8 bits, as `quantize("float8")` puts into a model, are known to TensorFlow only: '
    "ship the model as it was before"
)
IN_TFLITE = "element type 'f8"
"""How TFLite's converter names such a type when it refuses it."""
