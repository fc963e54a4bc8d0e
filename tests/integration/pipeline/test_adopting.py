"""A model that was made elsewhere goes the whole way, once, and is known by its name ever after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline import config as configuration
from pipeline import main_job, model_files
from pipeline.adopting import Asked, adopt
from pipeline.adoption import Adopted
from pipeline.config import Config
from pipeline.core.errors import UsageError
from pipeline.core.progress import nobody
from pipeline.main_job import Finished

ONLY = ("saved_model", "edge/litert")

BUILDER = """
import keras
from keras import layers


def small():
    pixels = keras.Input((6, 6, 1), name="pixels")
    features = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(pixels))
    return keras.Model(pixels, {"scores": layers.Dense(4)(features), "total": layers.Dense(1)(features)})
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project in which the model was adopted, and what became of it."""

    config: Config
    finished: Finished


def bring(source: str, config: Config, **asked: object) -> Finished:
    return adopt(source, Asked(**asked), config, only=ONLY)  # type: ignore[arg-type]  # as the test gives them


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("adopting")
    (folder / "made.py").write_text(BUILDER)
    text = '[convert]\ntflite = ["float32"]\ntfjs = []\n[parity]\nbatch_sizes = [1, 5]\n'
    config = configuration.parse(text, folder=folder)
    return Place(config=config, finished=bring(f"{folder}/made.py:small", config, count=20))


def test_it_is_deployed_and_agrees_on_samples_that_are_said_to_be_made_up(place: Place) -> None:
    report = place.finished.report
    assert report.verdict.agrees, report.verdict.headline
    assert [row.label for row in report.rows] == ["saved_model float32", "edge/litert float32"]
    assert "synthetic inputs, made up from the signature, no real data" in report.samples.description
    assert report.reference.runtime == "Keras"


def test_adopting_the_same_again_does_nothing(place: Place) -> None:
    again = bring(f"{place.config.folder}/made.py:small", place.config, count=20)
    assert again.made == ()
    assert again.report.verdict == place.finished.report.verdict


def test_its_name_works_like_that_of_any_model(place: Place) -> None:
    known = model_files.known("small", place.config)
    assert isinstance(known, Adopted)
    assert "small" in model_files.names(place.config)
    ran = main_job.run(main_job.job(known, place.config, only=ONLY), observer=nobody)
    assert ran.made == ()
    with pytest.raises(UsageError, match="was adopted, and is not trained here"):
        main_job.job(known, place.config, epochs=3)


def test_a_model_whose_source_is_gone_stays_as_it_was(place: Place) -> None:
    file = Path(place.config.folder, "made.py")
    known = model_files.known("small", place.config)
    aside = file.rename(file.with_suffix(".away"))
    try:
        assert model_files.known("small", place.config) == known
    finally:
        aside.rename(file)


def test_a_published_file_is_a_line_of_its_own_and_another_models_is_found_out(place: Place) -> None:
    """The file that we converted stands for one that its authors did; doubled scores for one of other weights."""
    published = Path(place.config.folder, "published.tflite")
    own = next(Path(place.finished.release, "tflite").glob("*.tflite"))
    published.write_bytes(own.read_bytes())
    foreign = Path(place.config.folder, "foreign.tflite")
    foreign.write_bytes(_with_other_weights(own.read_bytes()))
    done = bring(f"{place.config.folder}/made.py:small", place.config, count=20, beside=(published, foreign))
    by_label = {row.label: row.status for row in done.report.rows}
    assert type(by_label["edge/litert published.tflite float32"]).__name__ == "Pass"
    assert type(by_label["edge/litert foreign.tflite float32"]).__name__ == "Fail"
    assert "published.tflite: its names are those of its own signature." in done.report.notes
    assert len(done.made) == 4


def _with_other_weights(content: bytes) -> bytes:
    from export.published_tflite import _read
    from export.tflite_edited import packed

    model = _read(content, Path("own"))
    largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    values = np.frombuffer(bytes(largest.data), np.float32) * 2
    largest.data = list(values.tobytes())
    return packed(model)
