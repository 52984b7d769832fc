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
from lexveil.pipeline.monitoring.watch import watched
from lexveil.pipeline.workspace.workspace import Workspace

WITHIN_SECONDS = 60


def runs(text: str) -> dict[str, float]:
    families = {family.name: family for family in text_string_to_metric_families(text)}
    found = families.get("lexveil_runs")
    return {sample.labels["action"]: sample.value for sample in found.samples} if found else {}


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    place = Workspace.create_or_open(tmp_path / "workspace")
    with watched(place, "mask"):
        pass
    return place


def test_they_are_printed(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    metrics(workspace=str(place.root))
    assert runs(capsys.readouterr().out) == {"mask": 1}


def test_they_are_served_as_they_are_when_asked(place: Workspace) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threading.Thread(target=metrics, args=(port, "127.0.0.1", str(place.root)), daemon=True).start()
    assert runs(asked(port)) == {"mask": 1}
    with watched(place, "mask"):
        pass
    assert runs(asked(port)) == {"mask": 2}
    metrics_path(place).write_bytes(b"\xff\0 broken")
    assert runs(asked(port)) == {}
    with pytest.raises(LexveilError, match=f"can't listen on 127.0.0.1, port {port}"):
        metrics(port, "127.0.0.1", str(place.root))


def asked(port: int) -> str:
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).raise_for_status().text
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
