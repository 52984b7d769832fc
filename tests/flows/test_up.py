"""`lexveil up`: its services start in order and stop together. Stand-ins for Prefect and for the endpoint."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lexveil.flows import up
from lexveil.pipeline.workspace.workspace import Workspace
from tests.deadlines import wait_until

SERVE = ("lexveil.flows.cli", "serve", "-w", "somewhere")
# In place of Python: `prefect server` and `prefect worker` and the endpoint go on until they are ended.
STAND_IN = """\
#!/bin/sh
echo "$@"
echo "$PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"
echo "secrets: $LEXVEIL_MASTER_KEY $LEXVEIL_DATABASE_URL $AWS_SECRET_ACCESS_KEY."
case "$*" in
  *"{ends}"*) exit 3 ;;
  *"{stays}"*) trap "" TERM; while :; do sleep 0.05; done ;;
esac
exec sleep 600
"""


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.pop("PREFECT_API_URL", None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create_or_open(tmp_path / "w")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have a stand-in started in place of Python."""

    def install(ends: str = "nothing", stays: str = "nothing") -> None:
        program = tmp_path / "python"
        program.write_text(STAND_IN.format(ends=ends, stays=stays))
        program.chmod(0o755)
        monkeypatch.setattr(up.sys, "executable", str(program))

    monkeypatch.setattr(up, "_POLL_SECONDS", 0.05)
    install()
    return install


@pytest.fixture
def port() -> Iterator[int]:
    """A server that is healthy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride]

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Events(list[str]):
    """What happened, in order; the process is interrupted after an event of this name."""

    def __init__(self, last: str) -> None:
        self.last = last

    def note(self, event: str) -> None:
        self.append(event)
        if event == self.last:
            interrupt()


def log_of(workspace: Workspace, name: str) -> str:
    return (workspace.local / "logs" / f"{name}.log").read_text()


def test_server_registration_worker_and_endpoint_come_in_this_order(
    workspace: Workspace, stand_in: Callable[..., None], port: int
) -> None:
    card = workspace.models / "linear-1" / "card.json"
    card.parent.mkdir(parents=True)
    card.write_text("{}")
    events = Events(last="endpoint started")
    handler = signal.getsignal(signal.SIGTERM)
    up.bring_up(workspace, port, lambda: events.note("registered"), SERVE, events.note)
    assert events == [
        "registered",
        f"server http://127.0.0.1:{port}/api",
        "worker started",
        "endpoint started",
    ]
    assert log_of(workspace, "server").startswith("-P -m prefect server start --host 127.0.0.1")
    assert "worker start --pool lexveil --type process" in log_of(workspace, "worker")
    assert " ".join(SERVE) in log_of(workspace, "endpoint")
    assert "filesystem" in log_of(workspace, "server")
    assert signal.getsignal(signal.SIGTERM) == handler


def test_the_server_gets_no_secrets_and_the_worker_does(
    workspace: Workspace, stand_in: Callable[..., None], port: int
) -> None:
    for name in ("LEXVEIL_MASTER_KEY", "LEXVEIL_DATABASE_URL", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "x"

    def announce(event: str) -> None:
        if event == "worker started":
            wait_until(lambda: all("secrets:" in log_of(workspace, name) for name in ("server", "worker")))
            interrupt()

    up.bring_up(workspace, port, lambda: None, None, announce)
    assert "secrets:   ." in log_of(workspace, "server")
    assert "secrets: x x x." in log_of(workspace, "worker")


def test_a_server_that_is_given_is_used_and_no_model_means_no_endpoint(
    workspace: Workspace, stand_in: Callable[..., None], port: int
) -> None:
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    events = Events(last="worker started")
    up.bring_up(workspace, 1, lambda: events.note("registered"), SERVE, events.note)
    assert events == ["registered", f"server http://127.0.0.1:{port}/api", "worker started"]
    assert {path.name for path in (workspace.local / "logs").iterdir()} == {"worker.log"}


@pytest.mark.parametrize("ends", ["prefect worker", "prefect server"])
def test_a_service_that_ends_stops_the_others(
    ends: str, workspace: Workspace, stand_in: Callable[..., None], port: int
) -> None:
    stand_in(ends=ends)
    name = ends.split()[1]
    where = port if name == "worker" else 9
    with pytest.raises(up.ServiceStoppedError, match=f"the {name} ended with code 3; its output is in"):
        up.bring_up(workspace, where, lambda: None, None, lambda _: None)


def test_an_interrupt_while_the_server_starts_registers_nothing(
    workspace: Workspace, stand_in: Callable[..., None]
) -> None:
    def interrupt_when_started() -> None:
        wait_until(lambda: (workspace.local / "logs" / "server.log").exists())
        interrupt()

    threading.Thread(target=interrupt_when_started, daemon=True).start()
    up.bring_up(workspace, 9, lambda: pytest.fail("registered"), None, lambda _: None)


def test_a_server_that_never_answers(
    workspace: Workspace, stand_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "_START_SECONDS", 0)
    with pytest.raises(up.ServiceStoppedError, match="did not answer in time"):
        up.bring_up(workspace, 9, lambda: None, None, lambda _: None)


def test_a_service_that_does_not_stop_is_killed(
    workspace: Workspace, stand_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(stays="stubborn")
    monkeypatch.setattr(up, "_STOP_SECONDS", 0.2)
    services = up.Services(workspace)
    services.start("stubborn", os.environ, "stubborn")
    wait_until(lambda: "stubborn" in log_of(workspace, "stubborn"))
    services.stop()
    assert services.processes["stubborn"].returncode == -signal.SIGKILL


def test_a_large_log_is_put_aside(
    workspace: Workspace, stand_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "_MAX_LOG_BYTES", 10)
    folder = workspace.local / "logs"
    folder.mkdir()
    (folder / "worker.log").write_text("of the last start")
    services = up.Services(workspace)
    services.start("worker", os.environ, "prefect")
    services.stop()
    assert (folder / "worker.log.1").read_text() == "of the last start"
    assert folder.stat().st_mode & 0o077 == 0 or workspace.local == workspace.protected
