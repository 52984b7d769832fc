"""The dashboard and the alert rules ask only for metrics and labels that the code exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from lexveil.pipeline.monitoring import metrics
from lexveil.pipeline.serving.server.evaluation import PoolState
from lexveil.pipeline.serving.server.metrics import ServerMetrics

DEPLOY = Path(__file__).parents[2] / "deploy"
FUNCTIONS = {"absent", "histogram_quantile", "increase", "max", "min", "rate", "sort_desc", "sum", "time"}
WORDS = {"and"}
OF_PROMETHEUS = {"instance", "job", "le"}


def exported() -> dict[str, set[str]]:
    """The labels of every sample that the runs or the endpoint can export."""
    found = {f"{name}_total": set(labels) for name, (_, labels) in metrics.COUNTERS.items()}
    found |= {name: set(labels) for name, (_, labels) in metrics.GAUGES.items()}
    endpoint = ServerMetrics()
    endpoint.add_gauges(lambda: PoolState(True), lambda: (0, 0))
    endpoint.requests.labels("GET", "/v1", "200", "tenant").inc()
    endpoint.seconds.labels("/v1").observe(0.1)
    endpoint.refusals.labels("code", "tenant").inc()
    endpoint.slots.labels("tenant").inc()
    for family in text_string_to_metric_families(endpoint.to_text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "lexveil.json").read_text())


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(
    ("name", "expression"), [pytest.param(*found, id=found[0]) for found in expressions()]
)
def test_an_expression_asks_for_what_there_is(name: str, expression: str) -> None:
    del name
    known = exported()
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)
    bare = re.sub(r'"[^"]*"', '""', expression)
    asked: set[str] = set()
    for metric, matchers in re.findall(r"\b(lexveil_\w+)(?:\{([^}]*)\})?", bare):
        assert metric in known, metric
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert labels <= known[metric] | OF_PROMETHEUS, (metric, labels)
        asked |= known[metric]
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", bare):
        assert {label.strip() for label in grouped.split(",")} <= asked | OF_PROMETHEUS
    rest = re.sub(r"\{[^}]*\}|\[\w+\]|\b(?:by|on) \([^)]*\)|lexveil_\w+|\"\"", " ", bare)
    assert set(re.findall(r"[a-zA-Z_]\w*", rest)) <= FUNCTIONS | WORDS
    assert re.search(r"lexveil_", expression)


def test_no_counter_is_shown_without_its_increase() -> None:
    for name, expression in expressions():
        for metric in re.findall(r"\b(lexveil_\w+_total|lexveil_\w+_bucket)\b", expression):
            assert re.search(rf"(rate|increase)\({metric}", expression), name


def test_every_metric_of_the_runs_is_watched() -> None:
    shown = " ".join(expression for _, expression in expressions())
    left = {"lexveil_run_started_timestamp_seconds", "lexveil_last_failure_timestamp_seconds"}
    left |= {"lexveil_documents_masked", "lexveil_feature_rows"}
    names = {*(f"{name}_total" for name in metrics.COUNTERS), *metrics.GAUGES}
    assert {name for name in names if not re.search(rf"\b{name}\b", shown)} == left


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board = dashboard()
    assert board["title"]
    assert board["schemaVersion"] >= 36
    panels = board["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["targets"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
            assert panel["datasource"]["uid"] == "${datasource}"
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels))) - {"labels", "value"}
    assert used == variables


def test_the_rules_say_who_is_told_what() -> None:
    assert {rule["labels"]["severity"] for rule in rules()} == {"page", "ticket"}
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["annotations"]["summary"]
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
            assert label in rule["expr"] or any(
                label in exported()[m] for m in re.findall(r"lexveil_\w+", rule["expr"])
            )


def test_prometheus_finds_the_rules_and_both_sides() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert all((DEPLOY / name).is_file() for name in config["rule_files"])
    targets = [
        target for job in config["scrape_configs"] for s in job["static_configs"] for target in s["targets"]
    ]
    assert len(targets) == len(set(targets)) == 2
