"""The ids that the web app's tests are held against are those that Keras gives, on real sentences and awkward ones.

`python -m tests.integration.web_demo.test_text_vectorization` writes them anew, after a change of the cases here;
`npm run format` in web_demo/ then lays them out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.pipeline.text_models import sentences

FILE = Path(__file__).parents[3] / "web_demo/src/text-vectorization.by-keras.json"
AWKWARD = [
    "",
    " \t leading, trailing \n\r\v\f ",
    "Großvater GROSSVATER ÉCOLE École İstanbul ŁÓDŹ łódź ΣΊΣΥΦΟΣ",
    "no\u00a0break thin\u2009space line\u2028end next\u0085line zero\u200bwidth",
    "\u201ccurly\u201d \u2018quotes\u2019 — dash … ¿qué? ¡no! 100 € 5 %",
    "東京タワー 猫 🙂👩‍👩‍👧 e\u0301 \ufeff",
    "don't isn't it's e-mail a_b c/d [UNK] <tag> {x} ~y `z` ^w \\v",
    "the THE The tHe",
]
CASES: dict[str, dict[str, Any]] = {
    "as it is by default": {"output_sequence_length": 12},
    "of any length": {},
    "pairs of words, lower case": {"standardize": "lower", "ngrams": 2, "output_sequence_length": 20},
    "triples alone": {"ngrams": (3,)},
    "characters, without punctuation": {"standardize": "strip_punctuation", "split": "character"},
    "words as they are": {"standardize": None, "max_tokens": 60},
}


def by_keras() -> list[dict[str, Any]]:
    """Every case: what front.json would say of the layer, and texts with their ids."""
    import keras
    import tensorflow as tf

    from export.front_part import described

    real = sentences()[::40]
    found = []
    for what, settings in CASES.items():
        # The awkward words are known: an id says that they came out alike, 1 would say little.
        layer = keras.layers.TextVectorization(name="vectorize", **settings)
        layer.adapt(tf.constant([*real[::2], *AWKWARD]))
        examples = [{"text": text, "ids": layer(tf.constant([text])).numpy()[0].tolist()} for text in [*real, *AWKWARD]]
        found.append({"what": what, "layer": described("vectorize", ("text",), layer), "examples": examples})
    return found


@pytest.mark.filterwarnings("ignore")
def test_what_the_web_app_is_held_against_is_what_keras_gives() -> None:
    """Otherwise a browser would give a model other words than it was trained on, and no test would notice."""
    assert json.loads(FILE.read_text()) == by_keras()


if __name__ == "__main__":
    FILE.write_text(json.dumps(by_keras(), ensure_ascii=False) + "\n", encoding="utf-8")
