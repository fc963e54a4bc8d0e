"""From facts to findings: what is in the way is named with its layer, and nothing passes that was not tried."""

from __future__ import annotations

import pytest

from export.inventory import Inventory, Operation
from export.lowered_saved_model import Used
from pipeline.core.artifact import Format
from pipeline.core.errors import ExitStatus
from pipeline.core.outcome import Errored
from pipeline.preflight.advice import advice
from pipeline.preflight.explain import explained
from pipeline.preflight.findings import Line, Outlook, Preflight, Trial
from pipeline.preflight.judge import Asked, line_of, notes_on
from pipeline.preflight.render import as_markdown, as_text
from web_demo.kernels import Kernels

KERNELS = Kernels(
    version="4.22.0",
    backends={"cpu": frozenset({"Einsum", "BatchMatMul"}), "wasm": frozenset({"BatchMatMul"})},
    operations={"Einsum": ("Einsum",), "MatMul": ("BatchMatMul",), "Const": ()},
)
MADE = Trial(problem=None)


def inventory(
    *, model: tuple[Operation, ...] = (), tfjs: tuple[Operation, ...] = (), lacks: tuple[Operation, ...] = ()
) -> Inventory:
    return Inventory(model=model, tfjs=tfjs, tfjs_lacks=lacks, tfjs_problem=None, lowered={})


def asked(kind: Format, *, made: Trial | None = MADE, loaded: Trial | None = None, backend: str | None = None) -> Asked:
    return Asked(target="here", kind=kind, precision="float32", made=made, loaded=loaded, backend=backend)


def judged(one: Asked, facts: Inventory, *, lowering: bool = True) -> Line:
    return line_of(one, facts, KERNELS, lowering=lowering)


def test_a_kernel_that_only_one_backend_lacks_is_in_the_way_of_that_one_only() -> None:
    facts = inventory(tfjs=(Operation(name="Einsum", count=2, layers=("attend",)),))

    wasm = judged(asked(Format.TFJS, backend="wasm"), facts)
    cpu = judged(asked(Format.TFJS, backend="cpu"), facts)

    assert wasm.outlook is Outlook.FAILS
    assert wasm.obstacles[0].sentence() == (
        "`Einsum` in `attend`: the wasm backend of TF.js 4.22.0 has no kernel Einsum"
    )
    assert cpu.outlook is Outlook.RUNS


def test_with_lowering_off_the_lowering_is_what_helps() -> None:
    facts = inventory(lacks=(Operation(name="Erfc", count=1, layers=("bend",)),))
    line = judged(asked(Format.TFJS, made=None, backend="cpu"), facts, lowering=False)
    assert "--no-lowering" in line.obstacles[0].helps


def test_what_tflite_refused_is_told_with_the_layer_that_it_comes_from() -> None:
    facts = inventory(model=(Operation(name="Roll", count=1, layers=("block/shift",)),))
    refused = Trial(problem="m tflite: TFLite's converter refused the model: 'tf.Roll' op is neither a custom op")

    line = judged(asked(Format.TFLITE, made=refused), facts)

    assert line.outlook is Outlook.FAILS
    assert [(one.operation, one.layers) for one in line.obstacles] == [("Roll", ("block/shift",))]


def test_a_place_in_the_model_is_not_taken_for_the_operation_that_was_refused() -> None:
    """A model of 8-bit floats was said to fail by `StatefulPartitionedCall`, the call around everything."""
    facts = inventory(model=(Operation(name="StatefulPartitionedCall", count=1, layers=()),))
    refused = Trial(problem="element type 'f8E4M3FN': Unsupported type (at d/Cast); from (at StatefulPartitionedCall)")

    (obstacle,) = judged(asked(Format.TFLITE, made=refused), facts).obstacles

    assert obstacle.operation == ""
    assert "f8E4M3FN" in obstacle.why


def test_a_failure_that_names_no_operation_is_told_as_it_is() -> None:
    line = judged(asked(Format.TFLITE, loaded=Trial(problem="version 12 is not known", hint="wait")), inventory())
    assert line.outlook is Outlook.FAILS
    assert line.obstacles[0].why == "it does not run there: version 12 is not known"
    assert line.obstacles[0].helps == "wait"


@pytest.mark.parametrize(
    ("made", "loaded", "outlook"),
    [(None, None, Outlook.UNTRIED), (MADE, None, Outlook.CONVERTS), (MADE, MADE, Outlook.RUNS)],
)
def test_a_tflite_file_runs_only_once_it_was_made_and_loaded(
    made: Trial | None, loaded: Trial | None, outlook: Outlook
) -> None:
    assert judged(asked(Format.TFLITE, made=made, loaded=loaded), inventory()).outlook is outlook


def test_a_custom_operation_is_in_the_way_of_the_server() -> None:
    facts = inventory(model=(Operation(name="MyOp", count=1, layers=("odd",), registered=False),))
    assert judged(asked(Format.SAVED_MODEL), facts).outlook is Outlook.FAILS


def test_the_exit_status_says_whether_something_is_in_the_way_somewhere() -> None:
    runs = Line(target="a", precision="float32", outlook=Outlook.RUNS)
    fails = Line(target="b", precision="float32", outlook=Outlook.FAILS)
    assert Preflight(model="m", lines=(runs,)).exit_status is ExitStatus.AGREES
    assert Preflight(model="m", lines=(runs, fails)).exit_status is ExitStatus.DISAGREES


def test_without_the_web_app_browsers_are_not_tried_and_all_else_is_judged() -> None:
    """A clone without a built web app could not even say what runs on the edge; a pass would be a guess."""
    facts = inventory(lacks=(Operation(name="Erfinv", count=1, layers=("odd",)),))
    browser, edge = asked(Format.TFJS, backend="wasm"), asked(Format.TFLITE, loaded=MADE)
    lines = tuple(line_of(one, inventory(), None, lowering=True) for one in (browser, edge))

    assert [line.outlook for line in lines] == [Outlook.UNTRIED, Outlook.RUNS]
    assert line_of(browser, facts, None, lowering=True).outlook is Outlook.FAILS

    found = Preflight(model="m", lines=lines, missing="the web app is not built: run `make setup`")
    assert found.exit_status is ExitStatus.ENVIRONMENT
    assert as_text(found).splitlines()[-1].endswith("run `make setup`")


def test_an_obstacle_is_shown_once_with_all_that_it_is_in_the_way_of() -> None:
    facts = inventory(lacks=(Operation(name="Erfinv", count=1, layers=("odd",)),))
    lines = tuple(
        line_of(
            Asked(target=f"browser/{backend}", kind=Format.TFJS, precision=precision, made=None, backend=backend),
            facts,
            KERNELS,
            lowering=True,
        )
        for backend in ("cpu", "wasm")
        for precision in ("float32", "uint8")
    )
    text = as_text(Preflight(model="m", lines=lines))

    assert text.count("`Erfinv` in `odd`") == 1
    assert "in the way of  browser/cpu, browser/wasm" in text


def test_lowerings_and_notes_are_told() -> None:
    used = Used(lowering="erfc", operation="Erfc", becomes="1 - Erf", nodes=("net_1/bend_1/Erfc",))
    facts = Inventory(model=(), tfjs=(), tfjs_lacks=(), tfjs_problem=None, lowered={"tfjs": (used,)})
    found = Preflight(
        model="m", lines=(judged(asked(Format.TFJS, backend="cpu"), facts),), notes=notes_on({"id": "int64"})
    )

    assert "erfc: Erfc as 1 - Erf, once" in as_text(found)
    assert "`id` is int64: TF.js has no int64" in as_markdown(found)


def test_an_error_is_told_with_the_layer_and_what_helps() -> None:
    facts = inventory(tfjs=(Operation(name="Einsum", count=1, layers=("attend",)),))
    error = Errored(problem="Kernel 'Einsum' not registered for backend 'wasm'", hint="look it up")

    told = explained(error, Format.TFJS, facts, lowering=True, ships="adopt the rest")

    assert told.problem == error.problem
    assert told.hint.startswith("`Einsum` comes from `attend`: ")
    assert told.hint.endswith("; adopt the rest")
    nothing_known = explained(Errored(problem="no room", hint="h"), Format.TFJS, facts, lowering=True, ships="adopt it")
    assert nothing_known.hint == "h"


@pytest.mark.parametrize(
    ("operation", "kind", "helps"),
    [
        ("LookupTableFindV2", Format.TFLITE, "fill it so, not from a file"),
        ("HashTableV2", Format.TFJS, "fill it so, not from a file"),
        ("Conv3DBackpropInputV2", Format.TFJS, "with sizes that are fixed"),
    ],
)
def test_what_is_lowered_in_some_models_says_in_which(operation: str, kind: Format, helps: str) -> None:
    """One was told to look values up before the model, where filling the table with constants is all that it takes."""
    assert helps in advice(operation, kind, lowering=True)
    assert "--no-lowering" in advice(operation, kind, lowering=False) or operation == "HashTableV2"
