"""Which folders count as versions, and which versions a policy wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.embedded.models import All, Latest, Policy, Specific, versions_on_disk, wanted_versions

ON_DISK = {1: Path("1"), 2: Path("2"), 10: Path("10")}


def test_only_numbers_are_versions(tmp_path: Path) -> None:
    """A half-written `.tmp-3` or a README in the base path must not be loaded."""
    for name in ("1", "0002", "abc", ".hidden", "-3", "1.5", "99999999999999999999"):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_text("")
    assert {version: path.name for version, path in versions_on_disk(tmp_path).items()} == {1: "1", 2: "0002", 9: "9"}


@pytest.mark.parametrize(
    ("policy", "live", "wanted"),
    [
        (Latest(), (), {10}),
        (Latest(count=2), (), {10, 2}),
        (Latest(count=9), (), {10, 2, 1}),
        (All(), (), {1, 2, 10}),
        (Specific(versions=frozenset({2, 7})), (), {2}),
        (Latest(once=True), (2,), {2}),
        (Latest(once=True), (), {10}),
    ],
)
def test_a_policy_wants_its_versions(policy: Policy, live: tuple[int, ...], wanted: set[int]) -> None:
    """The wrong version would be served."""
    assert set(wanted_versions(policy, ON_DISK, frozenset(live))) == wanted
