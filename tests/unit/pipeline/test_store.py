"""The store: a user would lose hours, or ship a damaged artifact, if it believed what it should not."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import DiskProblem
from pipeline.store import Broken, Entry, Recipe, Store, disk_problems_named

RECIPE = Recipe(model="digits", stage="train", ingredients={"epochs": 3})


def make(store: Store, recipe: Recipe = RECIPE, text: str = "weights") -> Entry:
    with store.making(recipe) as making:
        (making.folder / "model.keras").write_text(text)
        (making.folder / "deep").mkdir()
        (making.folder / "deep" / "part").write_bytes(b"\0\1")
        making.facts["accuracy"] = 0.99
    entry = store.find(recipe)
    assert isinstance(entry, Entry)
    return entry


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_was_made_is_found_with_its_facts(tmp_path: Path) -> None:
    """Without it nothing would ever be reused."""
    store = Store(root=tmp_path)
    assert store.find(RECIPE) is None
    entry = make(store)
    assert entry.facts == {"accuracy": 0.99}
    assert entry.size_bytes == len("weights") + 2
    assert set(entry.files) == {"model.keras", "deep/part"}


def test_a_changed_recipe_finds_nothing(tmp_path: Path) -> None:
    """An artifact of other settings would pass for the one asked for."""
    store = Store(root=tmp_path)
    make(store)
    assert store.find(Recipe(model="digits", stage="train", ingredients={"epochs": 4})) is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "add", "manifest", "no manifest"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    """A corrupted artifact would be served, and its wrong answers blamed on a runtime."""
    store = Store(root=tmp_path)
    entry = make(store)
    match damage:
        case "flip":
            (entry.path / "model.keras").write_text("weighty")
        case "truncate":
            (entry.path / "deep" / "part").write_bytes(b"\0")
        case "remove":
            (entry.path / "deep" / "part").unlink()
        case "add":
            (entry.path / "extra").write_text("")
        case "manifest":
            (entry.path / "made.json").write_text("{")
        case "no manifest":
            (entry.path / "made.json").unlink()
        case _:
            raise AssertionError(damage)
    assert isinstance(store.find(RECIPE), Broken)
    assert make(store).digest == entry.digest


def test_a_failed_stage_leaves_nothing(tmp_path: Path) -> None:
    """A half-written artifact would be taken for a whole one."""
    store = Store(root=tmp_path)
    with pytest.raises(KeyboardInterrupt), store.making(RECIPE) as making:
        (making.folder / "half").write_text("…")
        raise KeyboardInterrupt
    assert store.find(RECIPE) is None
    assert everything_below(tmp_path) == ["digits", "digits/train"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """A user would read a traceback from inside a converter."""
    store = Store(root=tmp_path)
    with pytest.raises(DiskProblem, match="disk is full") as caught, store.making(RECIPE):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.tflite")
    assert "tripoint.toml" in caught.value.hint
    assert everything_below(tmp_path) == ["digits", "digits/train"]


def test_a_full_disk_inside_tensorflow_is_named(tmp_path: Path) -> None:
    """TensorFlow raises errors of its own for it."""
    store = Store(root=tmp_path)
    with pytest.raises(DiskProblem, match="disk is full"), store.making(RECIPE):
        raise RuntimeError("ResourceExhausted: a/b; No space left on device [Op:SaveV2]")


def test_a_full_disk_while_a_folder_is_copied_is_named(tmp_path: Path) -> None:
    """Python lists what it met, and its error has no number: a disk that filled at the very end was a fault of ours."""
    with pytest.raises(DiskProblem, match="disk is full"), disk_problems_named(tmp_path):
        raise shutil.Error([("a", "b", str(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a")))])


def test_only_the_last_used_entries_are_kept(tmp_path: Path) -> None:
    """A store would fill the disk in a week of work."""
    store = Store(root=tmp_path)
    recipes = [Recipe(model="digits", stage="train", ingredients={"epochs": n}) for n in range(4)]
    for age, recipe in enumerate(recipes):
        entry = make(store, recipe)
        os.utime(entry.path / "made.json", (age, age))
    being_made = tmp_path / "another" / "train" / "aside-by-another-run"
    being_made.mkdir(parents=True)
    (tmp_path / "digits" / "train" / "aside-left-by-a-killed-process").mkdir()
    store.sweep("digits", keep=2)
    assert [isinstance(store.find(recipe), Entry) for recipe in recipes] == [False, False, True, True]
    assert not list(tmp_path.rglob("digits/**/aside-*"))
    assert being_made.is_dir()


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_the_key_does_not_depend_on_the_order_of_ingredients(ingredients: dict[str, int | str | None]) -> None:
    """Everything would be made again at random."""
    turned = dict(reversed(list(ingredients.items())))
    one = Recipe(model="m", stage="s", ingredients=ingredients)
    assert one.key == Recipe(model="m", stage="s", ingredients=turned).key
    assert json.loads(one.canonical())["ingredients"] == ingredients
