"""Everything on one machine: a Prefect server, a worker and the endpoint, started and stopped together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import FrameType

from lexveil.pipeline.errors import LexveilError
from lexveil.pipeline.workspace.workspace import Workspace

_START_SECONDS = 180
_STOP_SECONDS = 30
_LOOK_SECONDS = 0.5
_LARGEST_LOG = 8 << 20
_ENVIRONMENT = {
    # In memory, where they are otherwise kept, a killed server would forget who holds a deployment's slot.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}


class PartEnded(LexveilError):
    """One of the parts ended by itself; the others were stopped."""


@dataclass(slots=True)
class Machine:
    """The running parts by name. Their output, without document text, goes to `logs` of `Workspace.local`."""

    workspace: Workspace
    environment: dict[str, str]
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start a part as a process of its own group, so that a Ctrl-C reaches it only through `stop`."""
        folder = self.workspace.local / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{name}.log"
        if path.exists() and path.stat().st_size > _LARGEST_LOG:
            path.replace(folder / f"{name}.log.1")
        with path.open("ab") as output:
            self.parts[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=self.environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises PartEnded when a part is gone."""
        for name, process in self.parts.items():
            if process.poll() is not None:
                where = self.workspace.local / "logs"
                raise PartEnded(
                    f"the {name} ended with code {process.returncode}; its output lies in {where}"
                )

    def stop(self) -> None:
        """End all parts, the last started first; after half a minute by force."""
        for process in reversed(self.parts.values()):
            _signal(process, signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()


def bring_up(
    workspace: Workspace,
    port: int,
    register: Callable[[], None],
    serve: tuple[str, ...] | None,
    tell: Callable[[str], None],
) -> None:
    """Start the parts, register the deployments between server and worker, and wait for a signal to end.

    serve: the command of the endpoint, started as soon as the workspace has a model; None: none. Where
    PREFECT_API_URL is set, that server is used and none is started. Raises PartEnded when a part ends.
    """
    given = os.environ.get("PREFECT_API_URL")
    url = given or f"http://127.0.0.1:{port}/api"
    os.environ |= {**_ENVIRONMENT, **os.environ, "PREFECT_API_URL": url}  # before Prefect is imported here
    machine = Machine(workspace, dict(os.environ))
    with _until_signalled() as ended:
        try:
            if given is None:
                options = ("--host", "127.0.0.1", "--port", str(port), "--analytics-off")
                machine.start("server", "prefect", "server", "start", *options)
            _wait_for(url, machine, ended)
            if ended():
                return
            register()
            machine.start("worker", "prefect", "worker", "start", "--pool", "lexveil", "--type", "process")
            tell(f"server {url}")
            tell("worker started")
            while not ended():
                if serve and "endpoint" not in machine.parts and any(workspace.models.glob("*/card.json")):
                    machine.start("endpoint", *serve)
                    tell("endpoint started")
                machine.check()
                time.sleep(_LOOK_SECONDS)
        finally:
            machine.stop()


def _wait_for(url: str, machine: Machine, ended: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ended():
        machine.check()
        if _answers(f"{url}/health"):
            return
        if time.monotonic() > deadline:
            raise PartEnded("the Prefect server did not answer in time")
        time.sleep(_LOOK_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the operator's own address
            return answer.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def _until_signalled() -> Generator[Callable[[], bool], None, None]:
    """Whether SIGINT or SIGTERM has come; the former handlers are put back."""
    come: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        come.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(come)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
