"""Do the tests of the comparator notice when it is wrong? One small fault at a time in its source: `make mutate`.

A process that has imported only third-party packages forks for each fault; the child imports the faulty module in place
of the right one and runs the module's own tests. A fault that no test notices is a survivor; docs/mutation.md lists
them and says why each may live.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import os
import random
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
TESTS = "tests/unit/pipeline/parity"
MODULES = {
    "intervals": ("test_intervals.py",),
    "ulps": ("test_ulps.py",),
    "divergence": ("test_divergence.py",),
    "task_error": ("test_task_error.py",),
    "profile": ("test_profile.py",),
    "repeatability": ("test_repeatability.py",),
    "scores": ("test_scores.py",),
    "worst": ("test_worst.py",),
    "variation": ("test_variation.py",),
    "judge": ("test_judge.py",),
    "numeric": ("test_compare.py",),
    "non_finite": ("test_compare.py",),
    "compare": ("test_compare.py",),
}
# The packages that the parent imported cannot be rewritten for assertions, and need not be.
_QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
_ENDS_WITHIN_SECONDS = 240
_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"max": "min", "min": "max", "any": "all", "all": "any", "maximum": "minimum", "minimum": "maximum"}


class Fault(ast.NodeTransformer):
    """Changes the `wanted`-th place that can be changed, and remembers what it did there."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._seen = -1
        self.said = ""

    def _here(self, node: ast.AST, said: str) -> bool:
        self._seen += 1
        if self._seen == self._wanted:
            self.said = f"line {getattr(node, 'lineno', 0)}: {said}"
            return True
        return False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # ast's own name
        # Not the annotations, which say nothing at run time.
        node.body = [self.visit(one) for one in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:  # ast's own name
        node.value = None if node.value is None else self.visit(node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:  # ast's own name
        self.generic_visit(node)
        other = _SWAPS.get(type(node.ops[0]))
        if other is not None and self._here(node, f"{type(node.ops[0]).__name__} -> {other.__name__}"):
            node.ops[0] = other()  # type: ignore[assignment]  # by construction of the table
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:  # ast's own name
        self.generic_visit(node)
        other = _SWAPS.get(type(node.op))
        if other is not None and self._here(node, f"{type(node.op).__name__} -> {other.__name__}"):
            node.op = other()  # type: ignore[assignment]  # by construction of the table
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:  # ast's own name
        self.generic_visit(node)
        other = _SWAPS[type(node.op)]
        if self._here(node, f"{type(node.op).__name__} -> {other.__name__}"):
            node.op = other()  # type: ignore[assignment]  # by construction of the table
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:  # ast's own name
        self.generic_visit(node)
        if isinstance(node.op, (ast.Not, ast.Invert)) and self._here(node, "negation removed"):
            return node.operand
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:  # ast's own name
        number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        if number and self._here(node, f"{node.value!r} -> {node.value!r} + 1"):
            node.value = node.value + 1  # type: ignore[operator]  # a number
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:  # ast's own name
        if node.id in _NAMES and self._here(node, f"{node.id} -> {_NAMES[node.id]}"):
            node.id = _NAMES[node.id]
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # ast's own name
        self.generic_visit(node)
        if node.attr in _NAMES and self._here(node, f".{node.attr} -> .{_NAMES[node.attr]}"):
            node.attr = _NAMES[node.attr]
        return node


class Faulty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        del path, target
        return importlib.machinery.ModuleSpec(name, self, origin=str(self._path)) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._tree, str(self._path), "exec"), module.__dict__)  # noqa: S102  # what this is for


def faults(module: str) -> Iterator[tuple[ast.Module, str]]:
    """Every fault of one module, as a tree and in words."""
    source = (ROOT / f"pipeline/parity/{module}.py").read_text()
    for wanted in range(10_000):
        fault = Fault(wanted)
        tree = ast.fix_missing_locations(fault.visit(ast.parse(source)))
        if not fault.said:
            return
        yield tree, fault.said


def survives(module: str, tree: ast.Module) -> bool:
    """Whether the module's tests all pass in spite of the fault. One that never ends is noticed, too."""
    import pytest

    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        name = f"pipeline.parity.{module}"
        sys.meta_path.insert(0, Faulty(name, ROOT / f"pipeline/parity/{module}.py", tree))
        tests = [f"{TESTS}/{file}" for file in MODULES[module]]
        os._exit(int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *_QUIET, *tests])))
    watch = os.pidfd_open(child)
    ready, _, _ = select.select([watch], [], [], _ENDS_WITHIN_SECONDS)
    os.close(watch)
    if not ready:
        os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("modules", nargs="*", default=[], help=f"some of {', '.join(MODULES)}; else all")
    asked.add_argument("--seconds", type=float, default=600.0, help="stop after so long")
    asked.add_argument("--seed", type=int, default=0, help="of the order in which faults are tried")
    options = asked.parse_args()
    # What every child would import again.
    import hypothesis.extra.numpy
    import msgspec
    import pytest
    import scipy.spatial.distance
    import scipy.stats

    del hypothesis, msgspec, pytest, scipy
    os.chdir(ROOT)
    every = [(module, *fault) for module in options.modules or MODULES for fault in faults(module)]
    random.Random(options.seed).shuffle(every)  # noqa: S311  # an order, no secret
    for module in sorted({module for module, _, _ in every}):
        if not survives(module, ast.parse((ROOT / f"pipeline/parity/{module}.py").read_text())):
            raise SystemExit(f"the tests of {module}.py fail without any fault")
    started, tried, alive = time.monotonic(), 0, []
    for module, tree, said in every:
        if time.monotonic() - started > options.seconds:
            break
        tried += 1
        if survives(module, tree):
            alive.append(f"{module}.py {said}")
            print(f"survived: {alive[-1]}", flush=True)
    print(f"{tried} of {len(every)} faults tried, {tried - len(alive)} noticed, {len(alive)} survived")
    return 0


if __name__ == "__main__":
    sys.exit(main())
