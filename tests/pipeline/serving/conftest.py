"""A caller without the client's good manners, and a server as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from fixtures.postgres import new_database
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import InProcessTransport
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.served_model import LinearHead, ServedModel, model_parameters
from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).resolve().parents[3]
SERVE = """
import json, sys
from pathlib import Path
import numpy as np
from lexveil.pipeline.serving.server.app import ServerLimits
from lexveil.pipeline.serving.server.offers import Offer, ServingBundle
from lexveil.pipeline.serving.server.guard import BodyLimits
from lexveil.pipeline.serving.server.listen import ListenOptions, serve
from lexveil.pipeline.serving.server.evaluation import WorkerLimits
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.privacy.he.served_model import LinearHead, ServedModel
told = json.loads(sys.argv[1])
random = np.random.default_rng(3)
head = LinearHead(random.normal(size=(64, 3)), random.normal(size=3))
workers = WorkerLimits(workers=1, spares=told["spares"])
limits = ServerLimits(bodies=BodyLimits(**told["bodies"]), workers=workers)
offers = Offer(ServedModel(head), ["a", "b", "c"])
folder, shared = Path(told["folder"]), None
if told["shared"]:
    from lexveil.pipeline.serving.server.replicas import SharedState
    url, key, bundle = told["shared"]
    shared, offers = SharedState(url, key, folder), ServingBundle(Path(bundle))
serve(offers, ServerState(folder, shared), ListenOptions(**told["listen"]), limits)
"""


class Caller:
    """Posts bundles with their digest, and nothing else."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        return self.http.post(
            path, content=body, headers={wire.REQUEST_DIGEST: wire.compute_digest(body), **headers}
        )

    def open(self, keys: bytes, **headers: str) -> str:
        response = self.post("/v1/sessions", wire.bundle([keys]), **headers)
        assert response.status_code == 201, response.text
        return response.json()["session"]

    def classify(self, session: str, *blobs: bytes, **headers: str) -> httpx.Response:
        return self.post(f"/v1/sessions/{session}/classify", wire.bundle(blobs), **headers)


class RunningServer:
    """`serve` in a process; can be ended, killed and started again at the same address."""

    def __init__(
        self,
        folder: Path,
        listen: dict[str, Any],
        bodies: dict[str, Any],
        tmpfs: str | None = None,
        shared: tuple[str, str, Path] | None = None,
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        told = {"folder": str(folder), "listen": {"port": self.port, **listen}, "bodies": bodies}
        told |= {"shared": shared, "spares": 0 if shared else 1}
        self._told = json.dumps(told, default=str)
        self.log = folder.with_name(folder.name + ".log")
        self.state_home = folder.with_name("state")
        mount = f'mount -t tmpfs -o size={tmpfs},mode=700 lexveil "{folder}" && exec "$@"'
        self._within = ["unshare", "-rm", "sh", "-c", mount, "sh"] if tmpfs else []
        self.folder = folder
        self.is_local = True  # it listens on the loopback, and writes a token

    @property
    def local(self) -> dict[str, str]:
        """Headers with the token that proves that a caller is this user on this machine."""
        path = self.state_home / "lexveil" / "local" / f"{self.port}.token"
        return {"Authorization": f"Bearer {path.read_text()}"}

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment["XDG_STATE_HOME"] = str(self.state_home)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._within, sys.executable, "-c", SERVE, self._told],
                cwd=ROOT,
                env=environment,
                stderr=log,
            )
        while self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                if self.is_local:
                    _ = self.local
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-2000:])

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(timeout=HANGS_AFTER)

    def workers(self) -> list[int]:
        """Its children, by /proc."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]


@pytest.fixture(scope="session")
def database(postgres: str) -> str:
    """The URL of the one database of these tests: making one takes a second, and removing it longer."""
    return new_database(postgres, "endpoint")


@pytest.fixture
def url(database: str) -> str:
    """The URL of a database that no endpoint has used."""
    import psycopg

    with psycopg.connect(database, autocommit=True) as raw:
        raw.execute("DROP SCHEMA IF EXISTS lexveil_endpoint CASCADE")
    return database


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Any]:
    """Called with settings of `ListenOptions` and `BodyLimits`."""
    started: list[RunningServer] = []

    def start(listen: dict[str, Any] | None = None, *, local: bool = True, **bodies: Any) -> RunningServer:
        started.append(RunningServer(tmp_path / "endpoint", listen or {}, bodies))
        started[-1].is_local = local
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


@pytest.fixture
def calling() -> Any:
    """A caller of an application in this process, as a context."""

    @contextmanager
    def call(app: Any, state: ServerState | None = None) -> Iterator[Caller]:
        local = {"Authorization": f"Bearer {state.local_token}"} if state else {}
        with httpx.Client(base_url="http://test", transport=InProcessTransport(app), headers=local) as http:
            yield Caller(http)

    return call


@pytest.fixture(scope="session")
def head() -> LinearHead:
    random = np.random.default_rng(3)
    return LinearHead(random.normal(size=(64, 3)), random.normal(size=3))


@pytest.fixture(scope="session")
def honest(head: LinearHead) -> Any:
    """Keys of an honest client, its evaluation keys, a request for one document, and the right answer."""
    keys = ClientKeys.generate(model_parameters(ServedModel(head)))
    features = np.ones((1, 64)) / 8
    return SimpleNamespace(
        keys=keys,
        evaluation=keys.evaluation_keys(),
        request=keys.encrypt(features)[0],
        answer=head.logits(features),
    )
