"""TODO docstring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from lexveil.pipeline.outages import describe_outage
from lexveil.pipeline.workspace.runs import RunRecord
from lexveil.pipeline.workspace.workspace import Workspace

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
            if describe_outage(error) is not None:
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


def put_summary(figures: Figures, summary: RunRecord) -> None:
    batch, ledger = summary.batch, summary.ledger
    figures.set("lexveil_documents", summary.ingested)
    figures.set("lexveil_documents_masked", summary.masked)
    figures.set("lexveil_documents_held_back", summary.verdicts.get("FAIL", 0))
    figures.set("lexveil_feature_rows", summary.feature_rows)
    figures.put("lexveil_quarantined", summary.quarantine)
    figures.put("lexveil_spans", summary.spans_by_type)
    figures.put("lexveil_verdicts", summary.verdicts)
    figures.set("lexveil_epsilon_spent", ledger.total, ledger.population)
    figures.set("lexveil_epsilon_limit", ledger.limit, ledger.population)
    documents = batch.documents
    figures.set("lexveil_batch_documents", documents)
    rates = {name: total / documents for name, (total, _) in batch.rates.items()} if documents else {}
    figures.put("lexveil_batch_rate", rates)
    judged = dict.fromkeys([*batch.expected, *(["features"] if batch.distance else [])], 0.0)
    figures.put("lexveil_batch_unlike", judged | dict.fromkeys(batch.unlike, 1.0))
    distance = batch.distance
    figures.set("lexveil_batch_distance", distance.value if distance else 0.0)
    figures.set("lexveil_batch_distance_limit", distance.limit if distance else 0.0)
