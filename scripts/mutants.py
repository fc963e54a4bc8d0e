"""What mutmut found, module by module, and every mutant that lives without a reason: `make mutate` ends with it.

Reasons stand in tests/unit/pipeline/parity/mutants_that_live.toml. Ends with 1 when a mutant lives without one, or was
met by no test.
"""

from __future__ import annotations

import fnmatch
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

REASONS = Path("tests/unit/pipeline/parity/mutants_that_live.toml")
_NOTICED = {"killed", "timeout", "segfault"}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`where` is `module.function` or `module.Class.method`; `change` the lines that differ, `was -> is`."""

    where: str
    name: str
    status: str
    change: str

    @property
    def module(self) -> str:
        return self.where.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why mutants live: those whose `where` matches the pattern and whose `change` has the expression in it."""

    where: str
    change: str
    why: str

    def holds_for(self, mutant: Mutant) -> bool:
        return fnmatch.fnmatch(mutant.where, self.where) and re.search(self.change, mutant.change) is not None


def main() -> int:
    mutants = list(_mutants(Path("mutants/pipeline/parity")))
    reasons = [Reason(**entry) for entry in tomllib.loads(REASONS.read_text())["lives"]]
    print("| module | mutants | noticed | live, with a reason | live, without | no test | not tried |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    for module in sorted({mutant.module for mutant in mutants}):
        print(_line(module, [mutant for mutant in mutants if mutant.module == module], reasons))
    print(_line("all", mutants, reasons))
    open_ones = [one for one in mutants if one.status == "no tests" or (_lives(one) and not _reason(one, reasons))]
    for mutant in open_ones:
        print(f"{mutant.status}: {mutant.name}\n    {mutant.change}")
    return 1 if open_ones else 0


def _mutants(folder: Path) -> Iterator[Mutant]:
    for file in sorted(folder.glob("*.py.meta")):
        source = f"pipeline/parity/{file.name.removesuffix('.meta')}"
        for name, code in json.loads(file.read_text())["exit_code_by_key"].items():
            status = status_by_exit_code[code]
            # The mark of a class's method in mutmut's names.
            function = name.rpartition(".")[2].rpartition("__mutmut_")[0].removeprefix("x").replace("ǁ", ".")
            looked_at = status not in _NOTICED and status != "not checked"
            yield Mutant(
                where=f"{Path(source).stem}.{function.removeprefix('_').removeprefix('.')}",
                name=name,
                status=status,
                change=_change(name, source) if looked_at else "",
            )


def _change(name: str, source: str) -> str:
    lines = get_diff_for_mutant(name, path=source).splitlines()[2:]
    was, now = ([line[1:].strip() for line in lines if line.startswith(sign)] for sign in "-+")
    return f"{' '.join(was)} -> {' '.join(now)}"


def _lives(mutant: Mutant) -> bool:
    return mutant.status not in _NOTICED | {"not checked", "no tests"}


def _reason(mutant: Mutant, reasons: Sequence[Reason]) -> Reason | None:
    return next((reason for reason in reasons if reason.holds_for(mutant)), None)


def _line(module: str, mutants: Sequence[Mutant], reasons: Sequence[Reason]) -> str:
    count = Counter(mutant.status for mutant in mutants)
    living = [mutant for mutant in mutants if _lives(mutant)]
    justified = sum(_reason(mutant, reasons) is not None for mutant in living)
    noticed = sum(count[status] for status in _NOTICED)
    counts = (len(mutants), noticed, justified, len(living) - justified, count["no tests"], count["not checked"])
    return f"| {module} | {' | '.join(map(str, counts))} |"


if __name__ == "__main__":
    sys.exit(main())
