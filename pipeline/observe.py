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

import functools
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from pipeline.records import ForEach, Shard, ShardResult, Work
from pipeline.storage import trouble
from pipeline.workspace import Workspace, write_bytes

log = logging.getLogger("lexveil")
T = TypeVar("T")

# name: (what it is, labels). A counter's samples end in `_total`.
COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lexveil_runs": ("What was run, by how it ended: done, failed, idle", ("action", "outcome")),
    "lexveil_stage_documents": ("Documents that went through a stage", ("stage",)),
    "lexveil_stage_shards": ("Shards that a stage has done", ("stage",)),
    "lexveil_stage_busy_seconds": ("Wall time of a stage, over all runs", ("stage",)),
}
GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lexveil_run_in_progress": ("1 while it runs", ("action",)),
    "lexveil_run_started_timestamp_seconds": ("When it began last", ("action",)),
    "lexveil_progress_timestamp_seconds": ("When a run last showed a sign of life", ()),
    "lexveil_last_success_timestamp_seconds": ("When it last ended well", ("action",)),
    "lexveil_last_failure_timestamp_seconds": ("When it last failed", ("action",)),
    "lexveil_stage_last_seconds": ("Wall time of a stage in the last run", ("stage",)),
    "lexveil_documents": ("Documents that the workspace keeps", ()),
    "lexveil_documents_masked": ("Documents with masked text", ()),
    "lexveil_documents_held_back": ("Documents that the second pass held back", ()),
    "lexveil_feature_rows": ("Rows of the features table", ()),
    "lexveil_quarantined": ("What could not be used, by reason", ("reason",)),
    "lexveil_spans": ("Masked spans, by type", ("type",)),
    "lexveil_verdicts": ("Verdicts of the second pass", ("verdict",)),
    "lexveil_epsilon_spent": ("Epsilon of all trainings together", ("population",)),
    "lexveil_epsilon_limit": ("The most that may be spent", ("population",)),
    "lexveil_batch_documents": ("Documents that were new in the last run", ()),
    "lexveil_batch_rate": ("For each new document: spans by type, and what was set aside", ("what",)),
    "lexveil_batch_unlike": ("1 where the new documents are unlike earlier ones", ("what",)),
    "lexveil_batch_distance": ("Distance of the new documents' features from earlier ones", ()),
    "lexveil_batch_distance_limit": ("The distance that is allowed", ()),
}
_WRITE_EVERY_SECONDS = 15.0
_FLUSH_MILLISECONDS = 10_000
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_STARTED, _ENDED = "_started_ns", "_ended_ns"


def metrics_path(workspace: Workspace) -> Path:
    """Where the metrics of a workspace's runs lie."""
    return workspace.runs / "metrics.prom"


def read_metrics(workspace: Workspace) -> bytes:
    """The metrics as Prometheus reads them; empty where nothing was ever run."""
    return Figures.read(workspace).text()


class Figures:
    """Values of the metrics above. Setting one of another name is an error."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}

    @classmethod
    def read(cls, workspace: Workspace) -> Figures:
        """As the file says; what can't be read is passed over."""
        figures = cls()
        try:
            text = metrics_path(workspace).read_text(encoding="utf-8")
            families = list(text_string_to_metric_families(text))
        except (OSError, ValueError) as error:
            if trouble(error) is not None:
                raise  # an outage is no missing file: counters would begin anew
            return figures
        for family in families:
            for name, labels in ((family.name, known[1]) for known in [_described(family.name)] if known):
                for sample in family.samples:
                    figures.set(name, sample.value, *(sample.labels.get(label, "") for label in labels))
        return figures

    def set(self, name: str, value: float, *labels: str) -> None:
        known = _described(name)
        assert known is not None, name
        assert len(labels) == len(known[1]), name
        self._values.setdefault(name, {})[labels] = float(value)

    def add(self, name: str, value: float, *labels: str) -> None:
        self.set(name, self._values.get(name, {}).get(labels, 0.0) + value, *labels)

    def put(self, name: str, values: Mapping[str, float]) -> None:
        """All values of a metric of one label; those that it had are gone."""
        self._values[name] = {}
        for label, value in sorted(values.items()):
            self.set(name, value, label)

    def text(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)  # pyright: ignore[reportArgumentType]  duck-typed by prometheus_client
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client."""
        for name, values in sorted(self._values.items()):
            counter = name in COUNTERS
            about, labels = (COUNTERS if counter else GAUGES)[name]
            family = (CounterMetricFamily if counter else GaugeMetricFamily)(name, about, labels=labels)
            for at, value in sorted(values.items()):
                family.add_metric(list(at), value)
            yield family


def _described(name: str) -> tuple[str, tuple[str, ...]] | None:
    return COUNTERS.get(name) or GAUGES.get(name)


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
        self._tracer = _tracer()
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
            with _ended(span):
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

    def summed_up(self, summary: Mapping[str, Any]) -> None:
        """What a finished run came to, out of its `run.json`."""

        def tell(figures: Figures) -> None:
            _put_summary(figures, summary)

        self.tell(tell)
        self._root.set_attributes(
            {
                "lexveil.run": summary["run_id"],
                "lexveil.documents": summary["ingested"],
                "lexveil.new_documents": summary["batch"]["documents"],
                "lexveil.trained": summary["trained_now"],
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
        _end(self._root, error)
        provider = _provider()
        if provider is not None:
            provider.force_flush(_FLUSH_MILLISECONDS)

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


def _put_summary(figures: Figures, summary: Mapping[str, Any]) -> None:
    batch, spent = summary["batch"], summary["spent"]
    figures.set("lexveil_documents", summary["ingested"])
    figures.set("lexveil_documents_masked", summary["masked"])
    figures.set("lexveil_documents_held_back", summary["verdicts"].get("FAIL", 0))
    figures.set("lexveil_feature_rows", summary["feature_rows"])
    figures.put("lexveil_quarantined", summary["quarantine"])
    figures.put("lexveil_spans", summary["spans_by_type"])
    figures.put("lexveil_verdicts", summary["verdicts"])
    figures.set("lexveil_epsilon_spent", spent["total"], spent["population"])
    figures.set("lexveil_epsilon_limit", spent["limit"], spent["population"])
    documents = batch["documents"]
    figures.set("lexveil_batch_documents", documents)
    rates = {name: total / documents for name, (total, _) in batch["rates"].items()} if documents else {}
    figures.put("lexveil_batch_rate", rates)
    judged = dict.fromkeys([*batch["expected"], *(["features"] if batch["distance"] else [])], 0.0)
    figures.put("lexveil_batch_unlike", judged | dict.fromkeys(batch["unlike"], 1.0))
    distance = batch["distance"] or {"value": 0.0, "limit": 0.0}
    figures.set("lexveil_batch_distance", distance["value"])
    figures.set("lexveil_batch_distance_limit", distance["limit"])


@contextmanager
def _ended(span: Span) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        _end(span, error)
        raise
    _end(span, None)


def _end(span: Span, error: BaseException | None) -> None:
    """End a span. Of an error only the type: its message and traceback may quote a document."""
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
    span.end()


def _tracer() -> Tracer:
    provider = _provider()
    return trace.get_tracer("lexveil") if provider is None else provider.get_tracer("lexveil")


@functools.cache
def _provider() -> Any:
    """A provider of our own where the environment names a collector; None where it names none."""
    if not any(os.environ.get(name) for name in _ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED") == "true":
        return None
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        log.warning("traces need lexveil[tracing], which isn't installed; there are none")
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    logging.getLogger("opentelemetry").setLevel(
        logging.ERROR
    )  # one line where they can't be sent, not each try
    name = os.environ.get("OTEL_SERVICE_NAME", "lexveil")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
