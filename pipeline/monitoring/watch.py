"""What an operator sees of the pipeline: metrics for Prometheus, and traces for OpenTelemetry. No content.

A run is a process that ends before anyone could ask it, so its figures go into a file of the workspace,
`runs/metrics.prom`, in Prometheus' own format. Each run goes on where the file stands: counters grow over
runs. `lexveil metrics` serves it, wherever the workspace lies.

Traces are a span a run, within it one a stage, within that one a shard. They go where OpenTelemetry's own
variables say (`OTEL_EXPORTER_OTLP_ENDPOINT`), by the extra `tracing`. The provider is ours alone: a global
one would be taken up by Prefect, which writes its flows' parameters, and so paths, into its spans.

Metrics and spans hold counts, seconds and names that the program gives: stages, types, reasons.
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

from lexveil.pipeline.monitoring.metrics import Figures, metrics_path, put_summary
from lexveil.pipeline.monitoring.tracing import (
    FLUSH_MILLISECONDS,
    end_span,
    ending,
    get_tracer,
    tracer_provider,
)
from lexveil.pipeline.records import ForEach, Shard, ShardResult, Work
from lexveil.pipeline.workspace.runs import RunRecord
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

log = logging.getLogger("lexveil")
T = TypeVar("T")

_WRITE_EVERY_SECONDS = 15.0
_STARTED, _ENDED = "_started_ns", "_ended_ns"


@dataclass(frozen=True, slots=True)
class _Timed:
    """Work that says when it began and ended; it goes to the worker, and its result comes back."""

    work: Work = field(repr=False)

    def __call__(self, shard: Shard) -> ShardResult:
        started = time.time_ns()
        result = self.work(shard)
        return replace(result, counts={**result.counts, _STARTED: started, _ENDED: time.time_ns()})


class Watch:
    """The metrics and the span of something that runs."""

    def __init__(self, workspace: Workspace, action: str) -> None:
        self.seconds: dict[str, float] = {}
        self._workspace = workspace
        self._tracer = get_tracer()
        self._root = self._tracer.start_span(
            f"lexveil.{action}", attributes={"lexveil.workspace": workspace.id}
        )
        self._stage: Span | None = None
        self._figures = Figures()
        self._written = 0.0

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """A stage: its seconds, and a span within the run's."""
        span = self._stage = self._child(self._root, f"lexveil.{name}")
        started = time.monotonic()
        try:
            with ending(span):
                yield
        finally:
            self._stage = None
            seconds = self.seconds[name] = round(time.monotonic() - started, 3)
            self.tell(lambda figures: figures.set("lexveil_stage_last_seconds", seconds, name))
            self.tell(lambda figures: figures.add("lexveil_stage_busy_seconds", seconds, name))
            self.write()

    def time(self, name: str, work: Callable[[], T]) -> T:
        """Carry out a stage."""
        with self.stage(name):
            return work()

    def each(self, each: ForEach) -> ForEach:
        """The same `ForEach`, watched: documents and shards of each stage, a span a shard."""

        def watched(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
            name = stage.partition("-")[0]
            for timed in each(stage, _Timed(work), shards):
                counts = dict(timed.counts)
                times = counts.pop(_STARTED, None), counts.pop(_ENDED, None)
                result = replace(timed, counts=counts)
                self._shard(name, result, *times)
                yield result

        return watched

    def set_summary(self, summary: RunRecord) -> None:
        """Set the metrics and the span's attributes to the result of a finished run."""

        def tell(figures: Figures) -> None:
            put_summary(figures, summary)

        self.tell(tell)
        self._root.set_attributes(
            {
                "lexveil.run": summary.run_id,
                "lexveil.documents": summary.ingested,
                "lexveil.new_documents": summary.batch.documents,
                "lexveil.trained": summary.trained_now,
            }
        )

    def tell(self, change: Callable[[Figures], None]) -> None:
        """Change the figures. Watching never stops the work."""
        try:
            change(self._figures)
        except Exception as error:
            log.warning("metrics: %s", type(error).__name__)

    def write(self) -> None:
        """Write the figures down."""
        self._written = time.monotonic()
        self.tell(lambda figures: figures.set("lexveil_progress_timestamp_seconds", time.time()))
        self.tell(lambda figures: write_bytes(metrics_path(self._workspace), figures.text(), mode=0o600))

    def begin(self, action: str) -> None:
        def take_up(figures: Figures) -> None:
            del figures
            self._figures = Figures.read(self._workspace)

        self.tell(take_up)
        self.tell(lambda figures: figures.set("lexveil_run_in_progress", 1, action))
        self.tell(lambda figures: figures.set("lexveil_run_started_timestamp_seconds", time.time(), action))
        self.write()

    def end(self, action: str, error: BaseException | None) -> None:
        outcome, what = ("done", "success") if error is None else ("failed", "failure")
        self.tell(lambda figures: figures.set("lexveil_run_in_progress", 0, action))
        self.tell(lambda figures: figures.add("lexveil_runs", 1, action, outcome))
        self.tell(lambda figures: figures.set(f"lexveil_last_{what}_timestamp_seconds", time.time(), action))
        self.write()
        end_span(self._root, error)
        provider = tracer_provider()
        if provider is not None:
            provider.force_flush(FLUSH_MILLISECONDS)

    def _shard(self, stage: str, result: ShardResult, started: int | None, ended: int | None) -> None:
        self.tell(lambda figures: figures.add("lexveil_stage_shards", 1, stage))
        self.tell(lambda figures: figures.add("lexveil_stage_documents", result.rows, stage))
        if time.monotonic() - self._written > _WRITE_EVERY_SECONDS:
            self.write()
        if started is not None:
            span = self._child(self._stage or self._root, f"lexveil.{stage}.shard", started)
            counts = {f"lexveil.count.{name}": n for name, n in result.counts.items()}
            span.set_attributes({"lexveil.shard": result.index, "lexveil.rows": result.rows, **counts})
            span.end(ended)

    def _child(self, parent: Span, name: str, started: int | None = None) -> Span:
        return self._tracer.start_span(name, trace.set_span_in_context(parent), start_time=started)


_current: ContextVar[Watch | None] = ContextVar("lexveil_watch", default=None)


@contextmanager
def watched(workspace: Workspace, action: str) -> Generator[Watch]:
    """Watch what is done within: `run`, `train`, and so on. Within another, it is part of that."""
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    watch = Watch(workspace, action)
    watch.begin(action)
    token = _current.set(watch)
    try:
        yield watch
    except BaseException as error:
        watch.end(action, error)
        raise
    else:
        watch.end(action, None)
    finally:
        _current.reset(token)


def idle(workspace: Workspace, action: str = "run") -> None:
    """There was nothing to do, which is a success."""
    try:
        figures = Figures.read(workspace)
        figures.add("lexveil_runs", 1, action, "idle")
        figures.set("lexveil_last_success_timestamp_seconds", time.time(), action)
        write_bytes(metrics_path(workspace), figures.text(), mode=0o600)
    except Exception as error:
        log.warning("metrics: %s", type(error).__name__)
