"""Metrics of a workspace's runs, and the file that they are kept in, `runs/metrics.prom`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from lexveil.pipeline.outages import describe_outage
from lexveil.pipeline.workspace.runs import RunRecord
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

# name: (description, labels). The names of a counter's samples end in `_total`.
COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lexveil_runs": ("Runs by outcome: done, failed, idle", ("action", "outcome")),
    "lexveil_stage_documents": ("Documents that a stage has processed", ("stage",)),
    "lexveil_stage_shards": ("Shards that a stage has processed", ("stage",)),
    "lexveil_stage_busy_seconds": ("Wall time of a stage over all runs", ("stage",)),
}

GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lexveil_run_in_progress": ("1 while it runs", ("action",)),
    "lexveil_run_started_timestamp_seconds": ("Start of the last run", ("action",)),
    "lexveil_progress_timestamp_seconds": ("Last progress of a run", ()),
    "lexveil_last_success_timestamp_seconds": ("End of the last run that succeeded", ("action",)),
    "lexveil_last_failure_timestamp_seconds": ("End of the last run that failed", ("action",)),
    "lexveil_stage_last_seconds": ("Wall time of a stage in the last run", ("stage",)),
    "lexveil_documents": ("Documents that the workspace keeps", ()),
    "lexveil_documents_masked": ("Documents with masked text", ()),
    "lexveil_documents_held_back": ("Documents that the second pass held back", ()),
    "lexveil_feature_rows": ("Rows of the features table", ()),
    "lexveil_quarantined": ("Items that could not be used, by reason", ("reason",)),
    "lexveil_spans": ("Masked spans, by type", ("type",)),
    "lexveil_verdicts": ("Verdicts of the second pass", ("verdict",)),
    "lexveil_epsilon_spent": ("Epsilon of all training runs together", ("population",)),
    "lexveil_epsilon_limit": ("Epsilon that may be spent", ("population",)),
    "lexveil_batch_documents": ("New documents of the last run", ()),
    "lexveil_batch_rate": ("Per new document: spans by type, and what was set aside", ("what",)),
    "lexveil_batch_unlike": ("1 if the new documents are unlike earlier ones", ("what",)),
    "lexveil_batch_distance": ("Distance of the new documents' features from those of earlier ones", ()),
    "lexveil_batch_distance_limit": ("The distance that is allowed", ()),
}


def metrics_path(workspace: Workspace) -> Path:
    """Return the path of the metrics file."""
    return workspace.runs / "metrics.prom"


def read_metrics(workspace: Workspace) -> bytes:
    """Return the metrics in Prometheus' text format; b"" if nothing was ever run."""
    return RunMetrics.read(workspace).to_text()


class RunMetrics:
    """Values of the metrics in `COUNTERS` and `GAUGES`. Setting another one is an error."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}

    @classmethod
    def read(cls, workspace: Workspace) -> RunMetrics:
        """Read the values from the workspace's file. A broken file, and unknown metrics, are ignored."""
        metrics = cls()
        try:
            text = metrics_path(workspace).read_text(encoding="utf-8")
            families = list(text_string_to_metric_families(text))
        except (OSError, ValueError) as error:
            if describe_outage(error) is not None:
                raise  # an outage is not a missing file: the counters would restart at 0
            return metrics
        for family in families:
            known = _describe(family.name)
            if known is None:
                continue
            _, labels = known
            for sample in family.samples:
                values = [sample.labels.get(label, "") for label in labels]
                metrics.set(family.name, sample.value, *values)
        return metrics

    def write(self, workspace: Workspace) -> None:
        """Write the values to the workspace's file, readable by its owner only."""
        write_bytes(metrics_path(workspace), self.to_text(), mode=0o600)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set the value of a metric for these values of its labels."""
        known = _describe(name)
        assert known is not None, name
        assert len(labels) == len(known[1]), name
        self._values.setdefault(name, {})[labels] = float(value)

    def add(self, name: str, value: float, *labels: str) -> None:
        """Increase the value of a metric, which starts at 0."""
        self.set(name, self._values.get(name, {}).get(labels, 0.0) + value, *labels)

    def replace(self, name: str, values: Mapping[str, float]) -> None:
        """Replace all values of a metric of one label."""
        self._values[name] = {}
        for label, value in sorted(values.items()):
            self.set(name, value, label)

    def set_summary(self, summary: RunRecord) -> None:
        """Set the metrics that show the result of the last run."""
        batch, ledger = summary.batch, summary.ledger
        self.set("lexveil_documents", summary.ingested)
        self.set("lexveil_documents_masked", summary.masked)
        self.set("lexveil_documents_held_back", summary.verdicts.get("FAIL", 0))
        self.set("lexveil_feature_rows", summary.feature_rows)
        self.replace("lexveil_quarantined", summary.quarantine)
        self.replace("lexveil_spans", summary.spans_by_type)
        self.replace("lexveil_verdicts", summary.verdicts)
        self.set("lexveil_epsilon_spent", ledger.total, ledger.population)
        self.set("lexveil_epsilon_limit", ledger.limit, ledger.population)
        documents = batch.documents
        self.set("lexveil_batch_documents", documents)
        rates = {name: total / documents for name, (total, _) in batch.rates.items()} if documents else {}
        self.replace("lexveil_batch_rate", rates)
        judged = dict.fromkeys([*batch.expected, *(["features"] if batch.distance else [])], 0.0)
        self.replace("lexveil_batch_unlike", judged | dict.fromkeys(batch.unlike, 1.0))
        distance = batch.distance
        self.set("lexveil_batch_distance", distance.value if distance else 0.0)
        self.set("lexveil_batch_distance_limit", distance.limit if distance else 0.0)

    def to_text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(self)  # pyright: ignore[reportArgumentType]  duck-typed by prometheus_client
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as prometheus_client's registry asks for them."""
        for name, values in sorted(self._values.items()):
            counter = name in COUNTERS
            about, labels = (COUNTERS if counter else GAUGES)[name]
            family = (CounterMetricFamily if counter else GaugeMetricFamily)(name, about, labels=labels)
            for label_values, value in sorted(values.items()):
                family.add_metric(list(label_values), value)
            yield family


def _describe(name: str) -> tuple[str, tuple[str, ...]] | None:
    return COUNTERS.get(name) or GAUGES.get(name)
