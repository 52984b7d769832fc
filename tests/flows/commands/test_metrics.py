"""`lexveil metrics`: printed, or served to Prometheus by HTTP."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lexveil.flows.commands.metrics import metrics
from lexveil.pipeline.errors import LexveilError
from lexveil.pipeline.monitoring.metrics import metrics_path
from lexveil.pipeline.monitoring.watch import monitor_run
from lexveil.pipeline.workspace.workspace import Workspace
from tests.deadlines import HANGS_AFTER

WITHIN_SECONDS = HANGS_AFTER


def count_runs(text: str) -> dict[str, float]:
    families = {family.name: family for family in text_string_to_metric_families(text)}
    family = families.get("lexveil_runs")
    return {sample.labels["action"]: sample.value for sample in family.samples} if family else {}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.create_or_open(tmp_path / "workspace")
    with monitor_run(workspace, "mask"):
        pass
    return workspace


def test_they_are_printed(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    metrics(location=str(workspace.root))
    assert count_runs(capsys.readouterr().out) == {"mask": 1}


def test_they_are_served_as_they_are_when_asked(workspace: Workspace) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threading.Thread(target=metrics, args=(port, "127.0.0.1", str(workspace.root)), daemon=True).start()
    assert count_runs(scrape(port)) == {"mask": 1}
    with monitor_run(workspace, "mask"):
        pass
    assert count_runs(scrape(port)) == {"mask": 2}
    metrics_path(workspace).write_bytes(b"\xff\0 broken")
    assert count_runs(scrape(port)) == {}
    with pytest.raises(LexveilError, match=f"cannot listen on 127.0.0.1, port {port}"):
        metrics(port, "127.0.0.1", str(workspace.root))


def scrape(port: int) -> str:
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=HANGS_AFTER).raise_for_status().text
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
