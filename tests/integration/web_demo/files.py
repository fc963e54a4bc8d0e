"""The names under which `make_models.py` writes and the tests read; apart, because only the former needs TensorFlow."""

SAMPLES_FILE = "samples.safetensors"
ANSWERS_FILE = "answers.safetensors"
SIGNATURE_FILE = "signature.json"
LABELS_FILE = "labels.npy"
