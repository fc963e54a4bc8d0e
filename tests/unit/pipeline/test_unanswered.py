"""What TensorFlow raises becomes one line that says what happened, and what helps."""

from __future__ import annotations

import pytest

from pipeline.core.signature import TensorSpec
from pipeline.unanswered import hint_on, reason_of

TEXT = (TensorSpec(name="inputs", dtype="string", shape=(None,)),)
RECORDS = """Graph execution error:

Detected at node ParseExample/ParseExampleV2 defined at (most recent call last):
  File "<string>", line 1, in <module>

  File "/somewhere/forkserver.py", line 274, in main

Could not parse example input, value: 'x'
\t [[{{node ParseExample/ParseExampleV2}}]] [Op:__inference_pruned_26]"""


def test_the_reason_is_without_the_calls_that_led_there() -> None:
    """A stack of Python calls took all the room, and the reason behind it was cut off."""
    assert reason_of(ValueError(RECORDS)) == "Could not parse example input, value: 'x'"


def test_the_reason_is_without_the_functions_that_tensorflow_wrapped_it_in() -> None:
    text = "{{function_node __wrapped__AddV2_device_/job:localhost}} OOM when allocating [Op:AddV2] name: "
    assert reason_of(ValueError(text)) == "OOM when allocating"


def test_the_reason_is_without_keras_colours_and_arguments() -> None:
    text = "Exception when calling F.\n\n\x1b[1mexpected 4, got 3\x1b[0m\n\nArguments received by F.call():\n  x=1"
    assert reason_of(ValueError(text)) == "Exception when calling F. expected 4, got 3"


def test_memory_that_is_not_there_is_no_matter_of_values() -> None:
    assert "needs more memory" in hint_on(MemoryError(), TEXT)


@pytest.mark.parametrize(
    ("raised", "helps"),
    [
        (RECORDS, "serialized tf.train.Example records"),
        ("'日本 語' is not a valid root scope name. A root scope name has to", "no layer name like `日本 語`"),
        ("too large", "its inputs are `inputs` string []"),
    ],
)
def test_what_helps_follows_from_what_was_raised(raised: str, helps: str) -> None:
    """Other values were asked for where no value would do."""
    assert helps in hint_on(ValueError(raised), TEXT)
