"""The command line is TensorFlow Serving's; what is not supported is refused by its name."""

from __future__ import annotations

from dataclasses import fields

import pytest

from serving.embedded.flags import REFUSED, WITHOUT_EFFECT, Flags, parse_flags, usage
from serving.embedded.status import ServingError

BASE = "--model_base_path=/models/m"


@pytest.mark.parametrize("given", [["--port=9"], ["--port", "9"], ["-port=9"], ["-port", "9"]])
def test_every_spelling_of_a_flag_is_understood(given: list[str]) -> None:
    """Scripts written for tensorflow_model_server use all of these."""
    assert parse_flags([*given, BASE]).port == 9


def test_a_bare_truth_flag_is_true_and_does_not_swallow_the_next() -> None:
    """`--enable_batching --port=9` would lose its port."""
    flags = parse_flags(["--enable_batching", "--port=9", "--rest_api_enable_cors_support", "false", BASE])
    assert (flags.enable_batching, flags.port, flags.rest_api_enable_cors_support) == (True, 9, False)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--prot=9"], "unknown flag: --prot (did you mean --port?)"),
        (["--port=x"], "--port is a whole number"),
        (["--port"], "--port needs a value"),
        (["--enable_batching=maybe"], "--enable_batching is a truth value"),
        (["--prefer_tflite_model=true"], "--prefer_tflite_model=true is not supported"),
        (["--platform_config_file=x"], "--platform_config_file is not supported"),
        (["stray"], "unknown argument: stray"),
        (["--port=8501", "--rest_api_port=8501"], "--rest_api_port cannot be same as --port"),
        (["--batching_parameters_file=x"], "without setting --enable_batching"),
        (["--port=70000"], "must lie between 0 and 65535"),
    ],
)
def test_a_flag_that_cannot_be_followed_is_refused_by_name(given: list[str], part: str) -> None:
    """An ignored flag would leave the user with a server other than the one asked for."""
    with pytest.raises(ServingError, match=part.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        parse_flags([*given, BASE])


def test_a_server_without_a_model_is_refused() -> None:
    """It would wait for ever."""
    with pytest.raises(ServingError, match="model_base_path"):
        parse_flags([])


def test_harmless_flags_of_the_original_are_taken() -> None:
    """Command lines in the wild carry them."""
    parse_flags(["--flush_filesystem_caches=true", "--num_load_threads=4", "--enable_profiler", BASE])


def test_no_flag_stands_in_two_tables_and_all_are_explained() -> None:
    """`--help` and the refusals come from the same tables."""
    served = {spec.name for spec in fields(Flags)}
    assert not served & WITHOUT_EFFECT.keys()
    assert not (served | WITHOUT_EFFECT.keys()) & REFUSED.keys()
    assert all(f"--{name}=" in usage() for name in served)
