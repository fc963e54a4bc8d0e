"""Palmer penguins: a table of numbers, names, years and yes or no, and three questions about each bird.

The inputs are as a form would ask for them, the island by its name: normalization and vocabulary are layers that know
the data, and so travel with the model. For some birds nobody knows the sex: there its answer carries no weight.
"""

from __future__ import annotations

import csv
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models._package_file import package_file
from pipeline.core.model import ClassScores, Dataset, ModelSpec, Split

SPECIES = ("Adelie", "Chinstrap", "Gentoo")
ISLANDS = ("Biscoe", "Dream", "Torgersen")
SEASONS = (2007, 2008, 2009)
MEASUREMENTS = {
    "culmen_length": "Culmen Length (mm)",
    "culmen_depth": "Culmen Depth (mm)",
    "flipper_length": "Flipper Length (mm)",
}
TEST_EVERY = 4


@keras.saving.register_keras_serializable("penguins")
class OneOf(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Whole numbers [batch, 1] as float32 [batch, count]: 1 in the column of `first`, `first` + 1 and so on.

    All columns are 0 for a number that has none.

    What CategoryEncoding does, without the operation that it does it by: TF.js's wasm backend and TFLite's int8 get
    OneHot wrong, and TFLite's converter makes one even of a comparison (docs/models.md).
    """

    def __init__(self, count: int, first: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.count, self.first = count, first

    def call(self, numbers: Any) -> Any:
        # In whole numbers, as far as they are large: TF.js keeps constants in float16, which has no 2007.
        places = keras.ops.cast(numbers - self.first, "float32")
        return keras.ops.relu(1.0 - keras.ops.abs(places - keras.ops.arange(self.count, dtype="float32")))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count, "first": self.first}


def build() -> Any:
    """Six inputs, each [batch, 1].

    Three measurements float32, in mm; `island` string, its name; `season` int64, its year; `clutch_complete` bool.
    To `species` float32 [batch, 3], `male` float32 [batch, 1], a probability, and `body_mass_kg` float32 [batch, 1].
    A measurement has an input of its own, so that quantization gives each a scale of its own.
    """
    layers = keras.layers
    measured = data().train.inputs
    inputs: dict[str, Any] = {}
    seen: list[Any] = []
    for name in MEASUREMENTS:
        inputs[name] = keras.Input((1,), name=name)
        # A whole number, which float16 keeps exactly: a mean of 200.9 would lose a tenth of a millimetre there.
        mean, variance = float(np.round(measured[name].mean())), float(measured[name].var())
        normalized = layers.Normalization(axis=None, mean=mean, variance=variance, name=f"{name}_normalized")
        seen.append(normalized(inputs[name]))
    inputs["island"] = keras.Input((1,), name="island", dtype="string")
    # From 1 on: 0 is for an island that is not among them.
    known = layers.StringLookup(vocabulary=ISLANDS, name="island_number")(inputs["island"])
    seen.append(OneOf(len(ISLANDS), first=1, name="island_encoded")(known))
    inputs["season"] = keras.Input((1,), name="season", dtype="int64")
    seen.append(OneOf(len(SEASONS), first=SEASONS[0], name="season_encoded")(inputs["season"]))
    inputs["clutch_complete"] = keras.Input((1,), name="clutch_complete", dtype="bool")
    seen.append(layers.Rescaling(1.0, name="clutch_complete_as_number")(inputs["clutch_complete"]))

    bird = layers.Concatenate(name="bird")(seen)
    # Nested, as a part that several models of a shop might share.
    body = keras.Sequential(
        [layers.Input((bird.shape[-1],)), layers.Dense(32, activation="relu"), layers.Dense(16, activation="relu")],
        name="body",
    )(bird)
    outputs = {
        "species": layers.Dense(len(SPECIES), activation="softmax", name="species")(body),
        "male": layers.Dense(1, activation="sigmoid", name="male")(body),
        "body_mass_kg": layers.Dense(1, name="body_mass_kg")(body),
    }
    model = keras.Model(inputs, outputs, name="penguins")
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss={"species": "sparse_categorical_crossentropy", "male": "binary_crossentropy", "body_mass_kg": "mse"},
        weighted_metrics={"species": ["accuracy"], "male": ["accuracy"], "body_mass_kg": ["mae"]},
    )
    return model


def data() -> Dataset:
    """The 342 birds that were measured; every fourth of those whose sex is known is to test with."""
    with package_file("palmerpenguins", "palmerpenguins/data/penguins-raw.csv").open(newline="") as file:
        birds = [bird for bird in csv.DictReader(file) if "NA" not in {bird[name] for name in MEASUREMENTS.values()}]
    known = [bird for bird in birds if bird["Sex"] in {"MALE", "FEMALE"}]
    test = known[::TEST_EVERY]
    tested = {id(bird) for bird in test}
    return Dataset(train=_split([bird for bird in birds if id(bird) not in tested]), test=_split(test))


def _split(birds: list[dict[str, str]]) -> Split:
    def column(values: list[Any], dtype: type[np.generic | object]) -> NDArray[Any]:
        return np.array(values, dtype)[:, np.newaxis]

    known = np.array([bird["Sex"] in {"MALE", "FEMALE"} for bird in birds], np.float32)
    everyone = np.ones(len(birds), np.float32)
    return Split(
        inputs={
            **{
                name: column([float(bird[title]) for bird in birds], np.float32) for name, title in MEASUREMENTS.items()
            },
            "island": column([bird["Island"].encode() for bird in birds], object),
            "season": column([int(bird["Date Egg"][:4]) for bird in birds], np.int64),
            "clutch_complete": column([bird["Clutch Completion"] == "Yes" for bird in birds], np.bool_),
        },
        targets={
            "species": np.array([SPECIES.index(bird["Species"].split()[0]) for bird in birds]),
            "male": column([bird["Sex"] == "MALE" for bird in birds], np.float32),
            "body_mass_kg": column([float(bird["Body Mass (g)"]) / 1000 for bird in birds], np.float32),
        },
        weights={"species": everyone, "male": known, "body_mass_kg": everyone},
    )


MODEL = ModelSpec(
    name="penguins",
    summary="Palmer penguins: species, sex and body mass from measurements, island, season and clutch",
    build=build,
    data=data,
    output_names=("species", "male", "body_mass_kg"),
    epochs=80,
    batch_size=32,
    scores=ClassScores(output="species", classes=SPECIES),
    accuracy_floor=0.95,
    error_ceilings={"male": 0.25, "body_mass_kg": 0.3},
)
