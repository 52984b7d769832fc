"""Monitoring of runs: metrics for Prometheus and traces for OpenTelemetry, without content.

A run is a process that may end before Prometheus scrapes it, so its metrics are written to a file of the
workspace, `runs/metrics.prom`, in Prometheus' text format. Each run continues from that file: counters grow
over runs. `lexveil metrics` serves the file.

A trace has one span per run, within it one per stage, and within that one per shard.

Metrics and spans contain counts, seconds and the program's own names: stages, types, reasons.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span

from lexveil.pipeline.monitoring.metrics import RunMetrics
from lexveil.pipeline.monitoring.tracing import (
    FLUSH_MILLISECONDS,
    end_span,
    end_span_after,
    get_tracer,
    get_tracer_provider,
)
from lexveil.pipeline.records import ForEach, Shard, ShardResult, Work
from lexveil.pipeline.workspace.runs import RunRecord
from lexveil.pipeline.workspace.workspace import Workspace

log = logging.getLogger("lexveil")
T = TypeVar("T")

_WRITE_EVERY_SECONDS = 15.0
_STARTED, _ENDED = "_started_ns", "_ended_ns"


@dataclass(frozen=True, slots=True)
class _TimedWork:
    """Work that records its start and end among the counts of its result. Workers receive it pickled."""

    work: Work = field(repr=False)

    def __call__(self, shard: Shard) -> ShardResult:
        started = time.time_ns()
        result = self.work(shard)
        return replace(result, counts={**result.counts, _STARTED: started, _ENDED: time.time_ns()})


class RunMonitor:
    """The metrics and the span of one run.

    Attributes:
        seconds: duration of each finished stage.
    """

    def __init__(self, workspace: Workspace, action: str) -> None:
        self.seconds: dict[str, float] = {}
        self._workspace = workspace
        self._tracer = get_tracer()
        self._root = self._tracer.start_span(
            f"lexveil.{action}", attributes={"lexveil.workspace": workspace.id}
        )
        self._stage: Span | None = None
        self._metrics = RunMetrics()
        self._written = 0.0

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Measure the seconds of a stage, and make a span for it."""
        span = self._stage = self._child(self._root, f"lexveil.{name}")
        started = time.monotonic()
        try:
            with end_span_after(span):
                yield
        finally:
            self._stage = None
            seconds = self.seconds[name] = round(time.monotonic() - started, 3)
            self.update(lambda metrics: metrics.set("lexveil_stage_last_seconds", seconds, name))
            self.update(lambda metrics: metrics.add("lexveil_stage_busy_seconds", seconds, name))
            self.write()

    def run_stage(self, name: str, work: Callable[[], T]) -> T:
        """Run the work of a stage within `stage`, and return its result."""
        with self.stage(name):
            return work()

    def count_shards(self, each: ForEach) -> ForEach:
        """Return a `ForEach` that counts documents and shards of each stage, and makes a span per shard."""

        def counting_each(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
            name = stage.partition("-")[0]
            for timed in each(stage, _TimedWork(work), shards):
                counts = dict(timed.counts)
                times = counts.pop(_STARTED, None), counts.pop(_ENDED, None)
                result = replace(timed, counts=counts)
                self._count_shard(name, result, *times)
                yield result

        return counting_each

    def set_summary(self, summary: RunRecord) -> None:
        """Set the metrics and the span's attributes to the result of a finished run."""
        self.update(lambda metrics: metrics.set_summary(summary))
        self._root.set_attributes(
            {
                "lexveil.run": summary.run_id,
                "lexveil.documents": summary.ingested,
                "lexveil.new_documents": summary.batch.documents,
                "lexveil.trained": summary.trained_now,
            }
        )

    def update(self, change: Callable[[RunMetrics], None]) -> None:
        """Change the metrics. An error is logged, because monitoring must not stop the work."""
        try:
            change(self._metrics)
        except Exception as error:
            log.warning("metrics: %s", type(error).__name__)

    def write(self) -> None:
        """Write the metrics to the workspace."""
        self._written = time.monotonic()
        self.update(lambda metrics: metrics.set("lexveil_progress_timestamp_seconds", time.time()))
        self.update(lambda metrics: metrics.write(self._workspace))

    def start(self, action: str) -> None:
        """Read the metrics of earlier runs, and record that this one started."""

        def read_earlier(_: RunMetrics) -> None:
            self._metrics = RunMetrics.read(self._workspace)

        self.update(read_earlier)
        self.update(lambda metrics: metrics.set("lexveil_run_in_progress", 1, action))
        self.update(lambda metrics: metrics.set("lexveil_run_started_timestamp_seconds", time.time(), action))
        self.write()

    def finish(self, action: str, error: BaseException | None) -> None:
        """Record how the run ended, and send the spans that are left.

        Args:
            action: name of what was run.
            error: what it failed with; None if it succeeded.
        """
        outcome, what = ("done", "success") if error is None else ("failed", "failure")
        timestamp = f"lexveil_last_{what}_timestamp_seconds"
        self.update(lambda metrics: metrics.set("lexveil_run_in_progress", 0, action))
        self.update(lambda metrics: metrics.add("lexveil_runs", 1, action, outcome))
        self.update(lambda metrics: metrics.set(timestamp, time.time(), action))
        self.write()
        end_span(self._root, error)
        provider = get_tracer_provider()
        if provider is not None:
            provider.force_flush(FLUSH_MILLISECONDS)

    def _count_shard(self, stage: str, result: ShardResult, started: int | None, ended: int | None) -> None:
        self.update(lambda metrics: metrics.add("lexveil_stage_shards", 1, stage))
        self.update(lambda metrics: metrics.add("lexveil_stage_documents", result.rows, stage))
        if time.monotonic() - self._written > _WRITE_EVERY_SECONDS:
            self.write()
        if started is not None:
            span = self._child(self._stage or self._root, f"lexveil.{stage}.shard", started)
            counts = {f"lexveil.count.{name}": n for name, n in result.counts.items()}
            span.set_attributes({"lexveil.shard": result.index, "lexveil.rows": result.rows, **counts})
            span.end(ended)

    def _child(self, parent: Span, name: str, started: int | None = None) -> Span:
        return self._tracer.start_span(name, trace.set_span_in_context(parent), start_time=started)


_current: ContextVar[RunMonitor | None] = ContextVar("lexveil_monitor", default=None)


@contextmanager
def monitor_run(workspace: Workspace, action: str) -> Generator[RunMonitor]:
    """Monitor what the block does. Within another such block, it is part of that one.

    Args:
        workspace: the workspace.
        action: name of what is run: `run`, `train`, and so on.
    """
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    monitor = RunMonitor(workspace, action)
    monitor.start(action)
    token = _current.set(monitor)
    try:
        yield monitor
    except BaseException as error:
        monitor.finish(action, error)
        raise
    else:
        monitor.finish(action, None)
    finally:
        _current.reset(token)


def record_idle_run(workspace: Workspace, action: str = "run") -> None:
    """Record a run that had nothing to do, which is a success. An error is only logged."""
    try:
        metrics = RunMetrics.read(workspace)
        metrics.add("lexveil_runs", 1, action, "idle")
        metrics.set("lexveil_last_success_timestamp_seconds", time.time(), action)
        metrics.write(workspace)
    except Exception as error:
        log.warning("metrics: %s", type(error).__name__)
