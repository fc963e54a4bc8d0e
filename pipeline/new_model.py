"""`tripoint new`: a model file that runs as it is, to be made into one's own."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path

from pipeline import model_files
from pipeline.adoption import LONGEST_NAME
from pipeline.config import Config
from pipeline.core.errors import UsageError
from pipeline.store import disk_problems_named

TEMPLATE = '''"""Iris flowers: four lengths in centimetres, three species. Put your own in their place."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.model import ClassScores, Dataset, ModelSpec, Split


def build() -> Any:
    """A compiled model; what its inputs and outputs are called here, they are called on every target."""
    import keras
    from keras import layers

    lengths = keras.Input((4,), name="lengths")
    hidden = layers.Dense(16, activation="relu")(lengths)
    model = keras.Model(lengths, layers.Dense(3, activation="softmax", name="species")(hidden), name="NAME")
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data() -> Dataset:
    """Real samples, by the names of inputs and outputs: to train on, and to test every target with."""
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    lengths, species = load_iris(return_X_y=True)
    parts = train_test_split(lengths.astype(np.float32), species, test_size=60, random_state=0, stratify=species)
    return Dataset(
        train=Split(inputs={"lengths": parts[0]}, targets={"species": parts[2]}),
        test=Split(inputs={"lengths": parts[1]}, targets={"species": parts[3]}),
    )


MODEL = ModelSpec(
    name="NAME",
    summary="iris flowers, three species",
    build=build,
    data=data,
    output_names=("species",),
    epochs=40,
    batch_size=16,
    scores=ClassScores(output="species", classes=("setosa", "versicolor", "virginica")),
    accuracy_floor=0.9,
)
'''


def new_model(name: str, config: Config) -> Path:
    """Write `models/<name>.py` into the project's folder and return its path.

    Raises UsageError for a name that cannot be one or that there is already; nothing is ever written over.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UsageError(
            f"a model cannot be called {name!r}", hint="use small letters, digits and underscores, a letter first"
        )
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"a model cannot be called {name[:LONGEST_NAME]}...: that has {len(name)} characters",
            hint=f"use {LONGEST_NAME} at most",
        )
    file = Path(config.folder, model_files.FOLDER, f"{name}.py")
    if name in model_files.names(config) or file.exists():
        raise UsageError(f"there is a model called {name!r} already", hint="choose another name")
    with disk_problems_named(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{name}-{os.getpid()}.aside")
        try:
            aside.write_text(TEMPLATE.replace("NAME", name))
            aside.rename(file)
        finally:
            aside.unlink(missing_ok=True)
    return file


def as_text(file: Path, name: str) -> str:
    return f"wrote {file}\nrun it as it is: tripoint run {name}"
