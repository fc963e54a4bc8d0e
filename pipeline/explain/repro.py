"""The smallest case of a difference, as a folder that needs no Tripoint: a model, one input, both answers, a script."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from export.artifact_graph import Node
from pipeline.core.artifact import Artifact, Format
from pipeline.core.errors import UsageError
from pipeline.core.signature import Tensors
from pipeline.core.target import RuntimeInfo
from pipeline.explain.explain import Examination
from pipeline.explain.measure import Broke, Laboratory, as_stored, real_numbers

_DISTRIBUTIONS = {"tflite-runtime": ("tflite-runtime", "tflite_runtime.interpreter")}
_LITERT = ("ai-edge-litert", "ai_edge_litert.interpreter")
_NODE_BACKENDS = ("cpu", "wasm")


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A model and one sample for it. `expected` are the trained model's values, `got` the target's, by output name."""

    artifact: Artifact
    what: str
    inputs: Tensors
    expected: Tensors
    got: Tensors
    nodes: Mapping[str, Node]
    allowed: float
    info: RuntimeInfo

    def recorded(self, name: str) -> float:
        """The largest difference of an output."""
        got, want = self.got[name].astype(np.float64), self.expected[name].astype(np.float64)
        return float(np.abs(got - want).max()) if got.shape == want.shape else float("inf")


def write_repro(examination: Examination, into: Path) -> Path:
    """Write the folder `into` anew: of the layer that is out of line, or of the whole artifact when none is.

    Raises UsageError when nothing differs, and for a browser's backend that Node.js does not have.
    """
    laboratory = examination.laboratory
    if laboratory.artifact.format is Format.TFJS and laboratory.variant not in _NODE_BACKENDS:
        raise UsageError(
            f"a case for {laboratory.variant} needs a browser, and the script that would be written runs in Node.js",
            hint="make it for browser/wasm or browser/cpu, which run the same file",
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aside-", dir=into.parent) as scratch:
        aside = Path(scratch, into.name)
        aside.mkdir()
        case = _piece(examination, aside) if examination.first is not None else _whole(examination, aside)
        _write(case, examination, aside)
        if into.exists():
            shutil.rmtree(into)
        aside.replace(into)
    return into


def _piece(examination: Examination, folder: Path) -> Case:
    laboratory, position = examination.laboratory, examination.first
    if position is None:
        raise ValueError("no point is out of line")
    point, seen = laboratory.points[position], examination.isolated[position]
    line = examination.explanation.lines[position]
    if isinstance(seen, Broke):
        raise UsageError(
            f"the piece of {line.layer} does not run at all: {seen.problem}",
            hint=f"the artifact itself shows it: {laboratory.artifact.path}",
        )
    stops = frozenset(each.node.handle for each in laboratory.points)
    before = laboratory.graph.nearest(point.node.handle, stops)
    want = laboratory.truth[point.operation]
    worst = _worst_row(seen, want)
    fed = [each for each in laboratory.points if each.node.handle in before]
    piece, given = laboratory.cut([point], fed, into=_place(folder))
    one = {name: array[worst : worst + 1] for name, array in given.items()}
    got, info = _run(replace(laboratory, artifact=piece), one)
    expected = want[worst : worst + 1]
    scale = float(np.sqrt(np.mean(np.square(want.astype(np.float64)))))
    return Case(
        artifact=piece,
        what=f"the part of the artifact that stands for {' + '.join(line.layers)}, with its weights",
        inputs=one,
        expected={"out_0": expected},
        got={"out_0": real_numbers(got["out_0"], point.node)},
        nodes={"out_0": point.node},
        allowed=line.limit * scale,
        info=info,
    )


def _whole(examination: Examination, folder: Path) -> Case:
    """The artifact as it is, on the sample that it is most wrong on."""
    laboratory, trained = examination.laboratory, examination.trained
    values = trained.values(list(trained.anatomy.answers.values()), laboratory.samples)
    reference = {name: values[operation] for name, operation in trained.anatomy.answers.items()}
    names = laboratory.artifact.signature.output_names
    got, info = _run(laboratory, laboratory.samples)
    gaps = np.zeros(len(next(iter(got.values()))))
    for name in names:
        gaps = np.maximum(gaps, _gap_by_row(got[name], reference[name]))
    worst = int(np.argmax(gaps))
    if gaps[worst] == 0.0:
        raise UsageError("nothing differs: there is no case to make", hint="tripoint explain shows every layer")
    source, copy = laboratory.artifact.path, _place(folder)
    if source.is_dir():
        shutil.copytree(source, copy, dirs_exist_ok=True)
    else:
        copy.mkdir(exist_ok=True)
        copy = Path(shutil.copy2(source, copy / source.name))
    return Case(
        artifact=replace(laboratory.artifact, path=copy),
        what="the whole artifact: no layer of it is out of line by itself",
        inputs={
            name: as_stored(laboratory.samples[name][worst : worst + 1], node)
            for name, node in laboratory.graph.inputs.items()
        },
        expected={name: reference[name][worst : worst + 1] for name in names},
        got={name: got[name][worst : worst + 1] for name in names},
        nodes={name: laboratory.graph.by_handle[laboratory.graph.outputs[name]] for name in names},
        allowed=0.0,
        info=info,
    )


def _place(folder: Path) -> Path:
    place = folder / "model"
    place.mkdir()
    return place


def _run(laboratory: Laboratory, samples: Tensors) -> tuple[Tensors, RuntimeInfo]:
    with laboratory.session.load(laboratory.artifact, laboratory.variant) as runner:
        answers = runner.run(samples, batch_size=len(next(iter(samples.values()))))
        return answers.outputs, runner.info


def _gap_by_row(got: NDArray[Any], want: NDArray[Any]) -> NDArray[np.float64]:
    if got.shape != want.shape:
        return np.full(len(got), np.inf)
    gap = np.abs(got.astype(np.float64) - want.astype(np.float64)).reshape(len(got), -1)
    return np.asarray(np.nan_to_num(gap, nan=np.inf).max(axis=1))


def _worst_row(got: NDArray[Any], want: NDArray[Any]) -> int:
    return int(np.argmax(_gap_by_row(got, want)))


def _write(case: Case, examination: Examination, folder: Path) -> None:
    explanation = examination.explanation
    title = f"{explanation.model} on {explanation.target} {explanation.precision}"
    model = case.artifact.path.relative_to(folder).as_posix()
    facts: dict[str, Any] = {"title": title, "model": model, "signature": case.artifact.signature.name}
    match case.artifact.format:
        case Format.TFLITE:
            name = "tflite-runtime" if "tflite-runtime" in explanation.target else "litert"
            distribution, module = _DISTRIBUTIONS.get(name, _LITERT)
            script, template = "repro.py", "repro-tflite.py.j2"
            facts |= {"distribution": distribution, "module": module, "version": case.info.version}
            install, run, data = f"pip install numpy {distribution}=={case.info.version}", "python repro.py", "case.npz"
            _write_npz(case, folder / data)
        case Format.SAVED_MODEL:
            script, template = "repro.py", "repro-saved-model.py.j2"
            facts |= {"version": version("tensorflow")}
            install, run, data = f"pip install tensorflow=={version('tensorflow')}", "python repro.py", "case.npz"
            _write_npz(case, folder / data)
        case Format.TFJS:
            script, template = "repro.cjs", "repro-tfjs.cjs.j2"
            facts |= {"backend": examination.laboratory.variant}
            install, run, data = "npm install", "node repro.cjs", "case.json"
            _write_json(case, folder / data)
            parts = ("tfjs-core", "tfjs-converter", f"tfjs-backend-{examination.laboratory.variant}")
            needs = {f"@tensorflow/{part}": case.info.version for part in parts}
            (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": needs}, indent=2) + "\n")
        case Format.KERAS:
            raise UsageError("the trained model is what others are compared with", hint="name a target")
        case _:
            assert_never(case.artifact.format)
    (folder / script).write_text(_rendered(template, facts))
    readme = {
        **facts,
        "sentence": explanation.sentence,
        "piece": case.what,
        "case": data,
        "script": script,
        "allowed": f"{case.allowed:.3g}",
        "install": install,
        "run": run,
        "versions": {case.info.runtime: case.info.version, **case.info.details},
    }
    (folder / "README.md").write_text(_rendered("repro-readme.md.j2", readme))


def _rendered(template: str, facts: Mapping[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(  # noqa: S701  # scripts and Markdown, not HTML
        loader=jinja2.PackageLoader("pipeline.explain"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(template).render(facts)


def _write_npz(case: Case, file: Path) -> None:
    arrays: dict[str, Any] = {f"input:{name}": array for name, array in case.inputs.items()}
    for name, want in case.expected.items():
        node = case.nodes.get(name)
        quantized = None if node is None else node.quantized
        arrays |= {
            f"expected:{name}": want.astype(np.float64),
            f"got:{name}": case.got[name].astype(np.float64),
            f"recorded:{name}": case.recorded(name),
            f"scale:{name}": 1.0 if quantized is None else quantized.scale,
            f"zero_point:{name}": 0 if quantized is None else quantized.zero_point,
        }
    np.savez(file, allow_pickle=False, **arrays, allowed=case.allowed)


def _write_json(case: Case, file: Path) -> None:
    outputs = {
        name: {**_packed(want), "got": _packed(case.got[name]), "recorded": case.recorded(name)}
        for name, want in case.expected.items()
    }
    inputs = {name: _packed(array) for name, array in case.inputs.items()}
    file.write_text(json.dumps({"inputs": inputs, "outputs": outputs, "allowed": case.allowed}))


def _packed(array: NDArray[Any]) -> dict[str, Any]:
    """In one of the three types that TF.js has."""
    kind = {"f": "float32", "b": "bool"}.get(array.dtype.kind, "int32")
    content = np.ascontiguousarray(array, dtype=np.uint8 if kind == "bool" else kind).tobytes()
    return {"dtype": kind, "shape": list(array.shape), "base64": base64.b64encode(content).decode()}
