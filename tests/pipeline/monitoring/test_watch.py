"""Metrics and traces of runs: what they say, where they go, and that they hold no content."""

from __future__ import annotations

import json
import logging
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families

from lexveil.pipeline.job import run_job
from lexveil.pipeline.monitoring import tracing
from lexveil.pipeline.monitoring.metrics import COUNTERS, GAUGES, RunMetrics, metrics_path, read_metrics
from lexveil.pipeline.monitoring.watch import monitor_run
from lexveil.pipeline.records import Shard, ShardResult, run_one_by_one
from lexveil.pipeline.reports.history import history_path
from lexveil.pipeline.request import make_request, reuse_last_result
from lexveil.pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    from tests.conftest import Finished

FOLDER, OWNER, PERSON, FREE = "zqfoldercanary", "zqownercanary", "Zqmoorhenson", "zqfreecanary"
CANARIES = (FOLDER, OWNER, PERSON, FREE)
TEXT = f"Mr Walter {PERSON} of 12 Mill Lane, Leeds brings this claim about the {FREE} that he bought."


class Collector:
    """An OTLP/HTTP receiver that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                collector.bodies.append(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Traces of this module go to a receiver of its own."""
    found = Collector()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        tracing.get_tracer_provider.cache_clear()
        yield found
        provider = tracing.get_tracer_provider()
        assert provider is not None
        provider.shutdown()
    tracing.get_tracer_provider.cache_clear()
    found.server.shutdown()


@dataclass
class Ran:
    """A run that worked on new documents with canaries, and one that failed over their content."""

    workspace: Workspace
    result: dict[str, Any]
    before: dict[str, float]
    spans: list[Span]
    failed: list[Span]


@pytest.fixture(scope="module")
def ran(finished_once: Finished, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("observed")
    place = Workspace.open(shutil.copytree(finished_once.workspace.root, folder / "workspace"))
    sources = [*finished_once.sources, folder / FOLDER]
    sources[1].mkdir()
    record = {"text": TEXT, "owner": OWNER, "label": "contract", "id": OWNER}
    (sources[1] / f"{FOLDER}.jsonl").write_text(json.dumps(record) + "\n")
    before = values(place)
    result = run_job(place, make_request(place.with_settings(finished_once.settings), sources))
    good = collector.spans
    with pytest.raises(ValueError), monitor_run(place, "train") as monitor, monitor.stage("train"):
        raise ValueError(TEXT)
    return Ran(place, result, before, good, collector.spans[len(good) :])


def values(workspace: Workspace) -> dict[str, float]:
    """Every sample by name and labels, as Prometheus would read it."""
    families = text_string_to_metric_families(read_metrics(workspace).decode())
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def attributes(span: Span) -> dict[str, Any]:
    return {
        entry.key: getattr(entry.value, entry.value.WhichOneof("value") or "string_value")
        for entry in span.attributes
    }


class TestTraces:
    def test_a_run_is_a_tree_of_stages_and_shards(self, ran: Ran) -> None:
        by_id = {span.span_id: span for span in ran.spans}
        (root,) = [span for span in ran.spans if not span.parent_span_id]
        assert root.name == "lexveil.run"
        stages = [span for span in ran.spans if span.parent_span_id == root.span_id]
        assert {span.name.removeprefix("lexveil.") for span in stages} == set(ran.result["seconds"])
        shards = [span for span in ran.spans if span.name.endswith(".shard")]
        assert {span.name.split(".")[1] for span in shards} == {"ingest", "find", "mask", "encode", "extract"}
        for shard in shards:
            parent = by_id[shard.parent_span_id]
            assert parent.start_time_unix_nano <= shard.start_time_unix_nano <= shard.end_time_unix_nano
            assert shard.end_time_unix_nano <= parent.end_time_unix_nano
        assert len({span.trace_id for span in ran.spans}) == 1

    def test_they_hold_counts(self, ran: Ran) -> None:
        (mask,) = [span for span in ran.spans if span.name == "lexveil.mask.shard"]
        found = attributes(mask)
        assert found["lexveil.rows"] == found["lexveil.count.documents"] == 1
        (root,) = [span for span in ran.spans if span.name == "lexveil.run"]
        assert attributes(root)["lexveil.new_documents"] == 1
        assert attributes(root)["lexveil.run"] == ran.result["run_id"]

    def test_of_an_error_only_the_type(self, ran: Ran) -> None:
        assert [span.name for span in ran.failed] == ["lexveil.train", "lexveil.train"]
        for span in ran.failed:
            assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "ValueError")
            assert not span.events

    def test_nothing_that_a_document_brought_is_in_them(self, ran: Ran, collector: Collector) -> None:
        assert ran.spans
        sent = b"".join(collector.bodies)
        hidden = [*CANARIES, str(ran.workspace.root)]
        assert [canary for canary in hidden if canary.lower().encode() in sent.lower()] == []

    def test_the_global_provider_is_left_alone(self, ran: Ran) -> None:
        """Prefect would put its flows' parameters into spans of a global one."""
        from opentelemetry import trace

        assert ran.spans
        assert trace.get_tracer_provider() is not tracing.get_tracer_provider()

    def test_without_the_extra_there_is_a_line_and_no_trace(
        self, finished: Finished, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr(tracing, "find_spec", lambda name: None)
        monkeypatch.setattr(logging.getLogger("lexveil"), "propagate", True)
        known = tracing.get_tracer_provider
        monkeypatch.setattr(tracing, "get_tracer_provider", known.__wrapped__)
        with monitor_run(finished.workspace, "mask"):
            pass
        assert "lexveil[tracing]" in caplog.text


class TestMetrics:
    def test_they_say_what_the_run_said(self, ran: Ran) -> None:
        found, result = values(ran.workspace), ran.result
        assert found["lexveil_documents"] == result["ingested"]
        assert found["lexveil_feature_rows"] == result["feature_rows"]
        assert found["lexveil_batch_documents"] == 1
        assert found["lexveil_epsilon_spent,default"] == result["spent"]["total"]
        assert found["lexveil_epsilon_limit,default"] == result["spent"]["limit"]
        spans = {name: n for name, n in found.items() if name.startswith("lexveil_spans,")}
        assert spans == {f"lexveil_spans,{kind}": n for kind, n in result["spans_by_type"].items()}
        reasons = {name: n for name, n in found.items() if name.startswith("lexveil_quarantined,")}
        assert reasons == {f"lexveil_quarantined,{code}": n for code, n in result["quarantine"].items()}
        for stage in result["seconds"].keys() - {"train"}:  # which failed since
            assert found[f"lexveil_stage_last_seconds,{stage}"] == result["seconds"][stage]

    def test_counters_grow_over_runs(self, ran: Ran) -> None:
        after = values(ran.workspace)
        assert after["lexveil_runs_total,run,done"] == ran.before["lexveil_runs_total,run,done"] + 1 == 2
        for stage in ("ingest", "find", "mask", "encode", "extract"):
            for what in ("documents", "shards"):
                name = f"lexveil_stage_{what}_total,{stage}"
                assert after[name] == ran.before[name] + 1
        assert (
            after["lexveil_stage_busy_seconds_total,mask"]
            > ran.before["lexveil_stage_busy_seconds_total,mask"]
        )

    def test_how_runs_ended(self, ran: Ran) -> None:
        found = values(ran.workspace)
        assert found["lexveil_runs_total,train,failed"] == 1
        assert found["lexveil_run_in_progress,run"] == found["lexveil_run_in_progress,train"] == 0
        assert "lexveil_last_success_timestamp_seconds,train" not in found
        assert (
            found["lexveil_last_failure_timestamp_seconds,train"]
            >= found["lexveil_last_success_timestamp_seconds,run"]
        )

    def test_all_are_described_and_private(self, ran: Ran) -> None:
        families = list(text_string_to_metric_families(read_metrics(ran.workspace).decode()))
        silent = {"lexveil_batch_unlike"}  # a batch of one document is not judged
        assert {family.name for family in families} == (COUNTERS.keys() | GAUGES.keys()) - silent
        assert all(family.documentation for family in families)
        assert stat.S_IMODE(metrics_path(ran.workspace).stat().st_mode) == 0o600

    def test_neither_they_nor_the_history_hold_content(self, ran: Ran) -> None:
        shown = read_metrics(ran.workspace).decode() + history_path(ran.workspace).read_text()
        assert [canary for canary in CANARIES if canary.lower() in shown.lower()] == []

    def test_a_night_without_anything_new_is_a_success(self, finished: Finished) -> None:
        place, before = finished.workspace, values(finished.workspace)
        assert reuse_last_result(place.root, finished.settings, finished.sources) is not None
        after = values(place)
        assert after["lexveil_runs_total,run,idle"] == 1
        name = "lexveil_last_success_timestamp_seconds,run"
        assert after[name] > before[name]
        assert after["lexveil_documents"] == before["lexveil_documents"]

    def test_while_it_runs_and_after_it_was_killed_it_is_in_progress(self, finished: Finished) -> None:
        with monitor_run(finished.workspace, "audit"), monitor_run(finished.workspace, "run"):
            found = values(finished.workspace)
        assert found["lexveil_run_in_progress,audit"] == 1
        assert found["lexveil_run_in_progress,run"] == 0  # part of the audit

    @pytest.mark.parametrize("content", ["", "no metrics", 'lexveil_other{a="b"} 1\n', "\0\xff"])
    def test_a_broken_file_is_begun_anew(self, finished: Finished, content: str) -> None:
        metrics_path(finished.workspace).write_text(content)
        with monitor_run(finished.workspace, "mask"):
            pass
        assert values(finished.workspace)["lexveil_runs_total,mask,done"] == 1

    def test_watching_never_stops_the_work(self, finished: Finished) -> None:
        metrics_path(finished.workspace).unlink()
        metrics_path(finished.workspace).mkdir()
        with monitor_run(finished.workspace, "mask") as monitor:
            assert monitor.run_stage("mask", lambda: 7) == 7

    def test_results_of_shards_come_out_as_they_went_in(self, finished: Finished) -> None:
        result = ShardResult(3, "key", 5, "digest", {"documents": 5})
        with monitor_run(finished.workspace, "mask") as monitor:
            found = list(
                monitor.count_shards(run_one_by_one)("mask", lambda shard: result, [Shard(3, "key")])
            )
        assert found == [result]
        assert values(finished.workspace)["lexveil_stage_documents_total,mask"] >= 5

    def test_an_unknown_metric_is_refused(self) -> None:
        with pytest.raises(AssertionError):
            RunMetrics().set("lexveil_other", 1)
        with pytest.raises(AssertionError):
            RunMetrics().set("lexveil_spans", 1)
