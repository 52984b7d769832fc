"""`lexveil up`: a Prefect server, a worker and the endpoint on one machine, started and stopped together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from types import FrameType

from lexveil.flows.environment import SERVER_VARIABLES, select_harmless_environment
from lexveil.flows.prefect_home import keep_prefect_in
from lexveil.pipeline.errors import LexveilError
from lexveil.pipeline.workspace.workspace import Workspace

_START_SECONDS = 600  # a server that ends is noticed at once, but a busy machine takes minutes to start one
_STOP_SECONDS = 30
_POLL_SECONDS = 0.5
_MAX_LOG_BYTES = 8 << 20
_ENVIRONMENT = {
    # By default, leases are in memory: a killed server would forget which run holds a deployment's slot.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}


class ServiceStoppedError(LexveilError):
    """A service ended by itself, or did not answer in time; the others were stopped."""


@dataclass(slots=True)
class Services:
    """The running services; their output, without document text, goes to `logs` of `Workspace.local`.

    Attributes:
        workspace: The workspace that they serve.
        processes: Their processes by name, in the order in which they were started.
    """

    workspace: Workspace
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, environment: Mapping[str, str], *command: str) -> None:
        """Start a Python module in its own process group, so that Ctrl-C reaches it only through `stop`."""
        folder = self.workspace.local / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{name}.log"
        if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(folder / f"{name}.log.1")
        with path.open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", *command],  # no code of the working folder
                env={**environment, "PYTHONSAFEPATH": "1"},  # nor in what they start
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def check(self) -> None:
        """Check that all services run.

        Raises:
            ServiceStoppedError: One has ended.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                logs = self.workspace.local / "logs"
                raise ServiceStoppedError(
                    f"the {name} ended with code {process.returncode}; its output is in {logs}"
                )

    def stop(self) -> None:
        """Stop all services, the last started first; kill those that still run after half a minute."""
        for process in reversed(self.processes.values()):
            _signal_group(process, signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()


def bring_up(
    workspace: Workspace,
    port: int,
    register: Callable[[], None],
    serve: tuple[str, ...] | None,
    announce: Callable[[str], None],
) -> None:
    """Start server and worker, register the deployments in between, and wait for SIGINT or SIGTERM.

    If PREFECT_API_URL is set, that server is used and none is started.

    Args:
        workspace: The workspace to serve.
        port: Port of the Prefect server.
        register: Registers the deployments, once the server answers.
        serve: Module and arguments of the endpoint, which starts as soon as the workspace has a model. None:
            no endpoint.
        announce: Called with a line for each service that has started.

    Raises:
        ServiceStoppedError: A service ended by itself, or the server did not answer in time.
        WorkspaceError: Prefect's folder cannot be written.
    """
    given = os.environ.get("PREFECT_API_URL")
    url = given or f"http://127.0.0.1:{port}/api"
    # Before Prefect is imported here. Its pages are built in a folder of ours: by default, in the package's.
    pages = {"PREFECT_UI_STATIC_DIRECTORY": str(keep_prefect_in(workspace) / "ui")}
    os.environ |= {**_ENVIRONMENT, **pages, **os.environ, "PREFECT_API_URL": url}
    services = Services(workspace)
    with watch_signals() as interrupted:
        try:
            if given is None:
                options = ("--host", "127.0.0.1", "--port", str(port), "--analytics-off")
                own = select_harmless_environment(*SERVER_VARIABLES)
                services.start("server", own, "prefect", "server", "start", *options)
            _wait_for_server(url, services, interrupted)
            if interrupted():
                return
            register()
            # Its flows open the workspace, as the endpoint does.
            options = ("--pool", "lexveil", "--type", "process")
            services.start("worker", os.environ, "prefect", "worker", "start", *options)
            announce(f"server {url}")
            announce("worker started")
            while not interrupted():
                if (
                    serve
                    and "endpoint" not in services.processes
                    and any(workspace.models.glob("*/card.json"))
                ):
                    services.start("endpoint", os.environ, *serve)
                    announce("endpoint started")
                services.check()
                time.sleep(_POLL_SECONDS)
        finally:
            services.stop()


def _wait_for_server(url: str, services: Services, interrupted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not interrupted():
        services.check()
        if _is_healthy(f"{url}/health"):
            return
        if time.monotonic() > deadline:
            raise ServiceStoppedError("the Prefect server did not answer in time")
        time.sleep(_POLL_SECONDS)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the operator's own address
            return answer.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def watch_signals() -> Generator[Callable[[], bool], None, None]:
    """Yield a function that is true once SIGINT or SIGTERM has arrived; restores the handlers at the end."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
