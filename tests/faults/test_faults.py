"""A few faults of every group in real runtimes: each is caught, and named; `make faults` has all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault, Workbench
from tests.faults.materials import Material, composed, digits, pictures
from tests.faults.results import Result, enough, rendered, result_of
from tests.faults.rig import Rig, rig
from web_demo.runtime import Browser

QUICK = [fault for fault in FAULTS if fault.quick]
# The first test trains two small models, on a machine that may have much else to do.
WITHIN_SECONDS = 900
# Keras, TensorFlow and the converters warn of one another; here they run in the tests' own process.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory, require: Callable[[str | None], None]) -> Iterator[Rig]:
    require(Browser().missing())
    with rig(tmp_path_factory.mktemp("runtimes")) as found:
        yield found


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Material, Material, Material]:
    folder = tmp_path_factory.mktemp("materials")
    return digits(folder / "digits"), pictures(folder / "scene"), composed(folder / "blocks")


@pytest.mark.timeout(WITHIN_SECONDS)
@pytest.mark.parametrize("fault", QUICK, ids=[fault.name for fault in QUICK])
def test_the_fault_is_caught_and_named(
    fault: Fault, booted: Rig, materials: tuple[Material, Material, Material], tmp_path: Path
) -> None:
    numbers, scene, blocks = materials
    bench = Workbench(rig=booted, digits=numbers, scene=scene, blocks=blocks, folder=tmp_path / "fault")
    result = result_of(fault, fault.inflict(bench), seconds=0.0)
    assert result.caught, result.line
    assert result.named_rightly, result.line


def test_every_group_has_faults_and_every_fault_a_name_of_its_own() -> None:
    assert len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {fault.group for fault in QUICK} == {fault.group for fault in FAULTS}
    assert all(fault.causes and "unknown" not in fault.causes for fault in FAULTS)


def result(*, caught: bool = True, named: bool = True) -> Result:
    return Result(
        fault="a fault",
        group="weights",
        target="edge/litert float32",
        status="FAIL" if caught else "PASS",
        caught=caught,
        cause="weights_zeroed",
        named_rightly=named,
        sentence="",
        evidence="",
        seconds=1.0,
    )


def test_the_bench_is_content_only_when_all_are_caught_and_nine_of_ten_named() -> None:
    right = [result() for _ in range(9)]
    assert enough([*right, result(named=False)])
    assert not enough([*right, result(named=False), result(named=False)])
    assert not enough([*right, result(caught=False)])
    assert not enough([])


def test_the_table_shows_what_was_missed() -> None:
    table = rendered([result(), result(caught=False, named=False)])
    assert "| weights | a fault | edge/litert float32 | NO | NO |" in table
    assert "1 of 2 faults caught, 1 of 2 named rightly." in table
