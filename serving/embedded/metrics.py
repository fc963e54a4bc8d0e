"""Counters and histograms under TensorFlow Serving's names, written as Prometheus text in its form."""

from __future__ import annotations

import bisect
import threading
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PREFIX = ":tensorflow:"


def exponential_buckets(first: float, growth: float, count: int) -> tuple[float, ...]:
    bounds = [first]
    while len(bounds) < count:
        bounds.append(bounds[-1] * growth)
    return tuple(bounds)


MICROSECONDS = exponential_buckets(10, 1.8, 37)
BATCH_SIZES = exponential_buckets(1, 2, 15)


class Counter:
    """A count for each set of label values."""

    kind = "counter"

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        self.name = _PREFIX + name
        self._labels = tuple(labels)
        self._lock = threading.Lock()
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + by

    def lines(self) -> Iterable[str]:
        with self._lock:
            values = sorted(self._values.items())
        for labels, value in values:
            yield f"{self.name}{_braces(zip(self._labels, labels, strict=True))} {value:g}"


class Histogram:
    """A distribution for each set of label values."""

    kind = "histogram"

    def __init__(self, name: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self.name = _PREFIX + name
        self._labels = tuple(labels)
        self._buckets = tuple(buckets)
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def observe(self, *labels: str, value: float) -> None:
        place = bisect.bisect_right(self._buckets, value)
        with self._lock:
            cell = self._cells.get(labels)
            if cell is None:
                cell = self._cells[labels] = ([0] * (len(self._buckets) + 1), [0.0])
            cell[0][place] += 1
            cell[1][0] += value

    def lines(self) -> Iterable[str]:
        with self._lock:
            cells = sorted((labels, list(counts), total[0]) for labels, (counts, total) in self._cells.items())
        for labels, counts, total in cells:
            named = list(zip(self._labels, labels, strict=True))
            for bound, below in zip((*map(_bound, self._buckets), "+Inf"), accumulate(counts), strict=True):
                yield f"{self.name}_bucket{_braces([*named, ('le', bound)])} {below}"
            yield f"{self.name}_sum{_braces(named)} {total:.0f}"
            yield f"{self.name}_count{_braces(named)} {sum(counts)}"


class Unmoved:
    """A metric of TensorFlow Serving that stands for something that this server does not do."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = _PREFIX + name
        self.kind = kind

    def lines(self) -> Iterable[str]:
        return ()


class Metrics:
    """Everything that this server measures."""

    def __init__(self) -> None:
        model = ("model_name",)
        self.load_attempts = Counter("cc:saved_model:load_attempt_count", ("model_path", "status"))
        self.load_latency = Counter("cc:saved_model:load_latency", ("model_path",))
        self.queuing_latency = Histogram("serving:batching_session:queuing_latency", (), MICROSECONDS)
        self.batch_runs = Counter("serving:batching_session:wrapped_run_count", ())
        self.mlmd_map = Unmoved("serving:mlmd_map", "gauge")
        self.request_logs = Unmoved("serving:request_log_count", "counter")
        self.warmup_latency = Histogram("serving:model_warmup_latency", ("model_path", "status"), MICROSECONDS)
        self.warmup_records = Counter("serving:model_warmup_records_read", ("model_path",))
        self.requests = Counter("serving:request_count", (*model, "status"))
        self.examples = Counter("serving:request_example_count_total", model)
        self.example_counts = Histogram("serving:request_example_counts", model, BATCH_SIZES)
        self.request_latency = Histogram("serving:request_latency", (*model, "API", "entrypoint"), MICROSECONDS)
        self.runtime_latency = Histogram("serving:runtime_latency", (*model, "API", "runtime"), MICROSECONDS)

    def page(self) -> str:
        """All of them as Prometheus text, in order of their names."""
        lines = []
        for metric in sorted(vars(self).values(), key=lambda m: m.name):
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines.extend(metric.lines())
        return "\n".join(lines) + "\n"


def _bound(value: float) -> str:
    return f"{value:g}"


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inside}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
