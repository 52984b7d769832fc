"""The endpoint on a disk that fills up: it refuses what it must, answers what it can, and recovers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lexveil.pipeline.serving import wire
from tests.deadlines import HANGS_AFTER
from tests.pipeline.serving.conftest import Caller, RunningServer

MOUNT = ["unshare", "-rm", "mount", "-t", "tmpfs", "none"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose folder is a small file system of its own."""
    if subprocess.run([*MOUNT, str(tmp_path)], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces for a small file system")
    folder = tmp_path / "endpoint"
    folder.mkdir(mode=0o700)
    started = RunningServer(folder, {}, {}, tmpfs="16m")
    started.start()
    yield started
    started.end()


def test_a_full_disk_does_no_lasting_damage(server: RunningServer, honest: Any) -> None:
    filler = Path(f"/proc/{server.process.pid}/root{server.folder}/sessions/filler.keys")
    with httpx.Client(base_url=server.url, headers=server.local, timeout=HANGS_AFTER) as http:
        caller = Caller(http)
        session = caller.open(honest.evaluation)
        assert http.get("/readyz").status_code == 200
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        for _ in range(3):
            reply = caller.classify(session, honest.request)
            logits = honest.keys.decrypt(wire.unbundle(reply.content, 1, 1 << 20), 1)
            assert np.abs(logits - honest.answer).max() < 1e-2
        refused = caller.post("/v1/sessions", wire.bundle([honest.evaluation]))
        assert (refused.status_code, refused.json()["error"]) == (503, "storage")
        assert int(refused.headers["Retry-After"]) > 0
        while http.get("/readyz").status_code == 200:  # it is asked once a second
            time.sleep(0.1)
        filler.unlink()
        again = caller.open(honest.evaluation)
        for name in (session, again):
            assert caller.classify(name, honest.request).status_code == 200
            assert http.delete(f"/v1/sessions/{name}").status_code == 204
        while http.get("/readyz").status_code != 200:
            time.sleep(0.1)
