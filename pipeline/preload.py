"""Imported once, by the process that the workers are forked from: TensorFlow's import is most of a short run's time.

The import prints lines about CUDA and log levels on the process's own stderr, before any log level applies; they are
kept from the terminal. An import that fails still raises as usual.
"""

import gc
import os
import signal

# Ctrl-C goes to the whole terminal group; this process ends when the one that started it does.
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import keras  # noqa: F401  # imported for the processes to come
    import tensorflow as tf  # noqa: F401  # imported for the processes to come
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
# TensorFlow's half a million objects are never garbage. Frozen, no collection walks over them again: the TFLite
# converter starts one for each file, which took a quarter of a second; and forked pages stay shared.
gc.collect()
gc.freeze()
