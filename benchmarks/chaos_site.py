"""One machine of an office, for `benchmarks.chaos`: PostgreSQL, a Prefect server, a worker, a deployment.

All is real and started as an operator would start it, by `prefect server start`, `lexveil deploy` and
`prefect worker start`. Faults are done to it from outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kill_and_resume import MARK, ROOT, marked

CLOCK = Path(__file__).with_name("clock.c")
START_SECONDS = 300
STOP_SECONDS = 60
POLL_SECONDS = 0.05
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Site:
    """The running parts. Every process of the worker carries a mark, so that none is overlooked."""

    folder: Path
    database: str
    port: int
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: os.urandom(8).hex())
    movable: bool = False  # the worker's clock

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def clock(self) -> Path:
        """Offset of the worker's clock from the true one, as `clock.c` reads it."""
        return self.folder / "clock"

    def set_clock(self, seconds: int) -> None:
        """Move the clock of everything that runs under it, in one write."""
        with self.clock.open("r+b" if self.clock.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))

    def environment(self) -> dict[str, str]:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        prefect_database = self.database.replace("/postgres?", "/prefect?")
        return {
            **outside,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_API_DATABASE_CONNECTION_URL": prefect_database.replace("://", "+asyncpg://", 1),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "DO_NOT_TRACK": "1",
        }

    def start(self, name: str, *command: str, **more: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as output:
            self.parts[name] = subprocess.Popen(
                [sys.executable, *command],
                env={**self.environment(), **more},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def start_server(self) -> None:
        command = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self.start("server", *command, "--no-ui", "--analytics-off")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return
            time.sleep(0.2)
        raise TimeoutError("the Prefect server does not answer")

    def start_worker(self) -> None:
        """A worker; a movable clock is its own and that of all it starts."""
        moved = {"LD_PRELOAD": str(self.folder / "clock.so"), "CHAOS_CLOCK": str(self.clock)}
        if self.movable:
            build = ["cc", "-shared", "-fPIC", "-O1", "-o", moved["LD_PRELOAD"], str(CLOCK)]
            subprocess.run(build, check=True)
        command = ("-m", "prefect", "worker", "start", "--pool", "lexveil", "--type", "process")
        self.start("worker", *command, **{MARK: self.mark, **(moved if self.movable else {})})

    def ready(self, movable: bool = False) -> None:
        """Start what has died, as systemd would, with a clock that is right again."""
        self.set_clock(0)
        worker = self.parts.get("worker")
        if self.movable != movable:
            self.end("worker")
        self.movable = movable
        if self.parts["server"].poll() is not None:
            self.start_server()
        if worker is None or worker.poll() is not None:
            self.start_worker()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the server's answer. It may be restarting, so wait for it for a while."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except (OSError, ValueError) as error:
                hopeless = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if hopeless or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def night(self, **parameters: Any) -> str:
        """Start a run of the nightly deployment. Returns its id."""
        deployment = self.ask("GET", "/deployments/name/lexveil-scheduled/nightly")["id"]
        path = f"/deployments/{deployment}/create_flow_run"
        return self.ask("POST", path, {"parameters": parameters})["id"]

    def state(self, run: str) -> dict[str, Any]:
        return self.ask("GET", f"/flow_runs/{run}")

    # Faults

    def kill_worker(self, draws: random.Random) -> str:
        """SIGKILL to the worker and all it has started, to the run's process, or to a process of its pool."""
        worker = self.parts["worker"]
        runs = children(worker.pid)
        which = draws.choice(("machine", "run", "pool"))
        pool = [two for run in runs for one in children(run) for two in (one, *children(one))]
        if which == "machine" or not runs:
            kill(marked(self.mark))
            worker.wait()
            return "machine"
        if which == "run" or not pool:
            kill(runs)
            return "run"
        kill([draws.choice(pool)])
        return "pool"

    def kill_server(self, draws: random.Random) -> str:
        """SIGKILL to the Prefect server and its services, for a few seconds."""
        server = self.parts["server"]
        kill([server.pid, *descendants(server.pid)])
        server.wait()
        seconds = draws.choice((0.0, 2.0, 20.0))
        time.sleep(seconds)
        self.start_server()
        return f"gone for {seconds:.0f} s"

    def hit_database(self, draws: random.Random) -> str:
        """All sessions ended, or PostgreSQL killed and recovered from its log."""
        from fixtures.postgres import crash, cut_connections

        if draws.random() < 0.5:
            cut_connections(self.database)
            return "sessions ended"
        crash(self.database)
        return "server crashed"

    def move_clock(self, draws: random.Random) -> str:
        """A jump of the wall clock of all processes of the worker, while they run."""
        seconds = draws.choice((-1, 1)) * draws.choice((120, 3700, 90_000, 400 * 86_400))
        self.set_clock(seconds)
        return f"{seconds:+d} s"

    def end(self, name: str) -> None:
        """Ask a part to end, and kill it if it does not, as systemd would: Prefect's worker may hang."""
        process = self.parts.get(name)
        if process is None or process.poll() is not None:
            return
        below = descendants(process.pid)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        kill([process.pid, *below])
        process.wait()

    def stop(self) -> None:
        """End all."""
        self.end("worker")
        self.end("server")
        kill(marked(self.mark))


@contextlib.contextmanager
def site(folder: Path, sources: Path, starting: threading.Lock) -> Generator[Site]:
    """A machine with its deployments registered, and an idle worker."""
    from fixtures.postgres import new_database, server

    folder.mkdir()
    with server() as url:
        new_database(url, "prefect")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        here = Site(folder, url, port)
        try:
            with starting:
                here.start_server()
                command = ["-m", "lexveil.flows.cli", "deploy", str(sources), "-w", str(folder / "deployed")]
                never = "999999999"
                command += ["--nightly", never, "--train", never, "--audit", never]
                done = subprocess.run(
                    [sys.executable, *command], env=here.environment(), cwd=folder, capture_output=True,
                    text=True, check=False,
                )  # fmt: skip
                if done.returncode:
                    raise RuntimeError(f"lexveil deploy: {done.stderr.strip()}")
                here.ready()
            yield here
        finally:
            here.stop()


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Generator[None]:
    """A file system of its own of `size` bytes; needs root."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def enlarge_disk(place: Path) -> None:
    """Give it room."""
    subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)


def can_mount() -> bool:
    """Return True if this machine can mount a small disk."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def can_move_clocks() -> bool:
    """Return True if the library that moves clocks can be built here."""
    return shutil.which("cc") is not None


def children(process: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += [int(one) for one in (task / "children").read_text().split()]
    return found


def descendants(process: int) -> list[int]:
    found = children(process)
    for child in list(found):
        found += descendants(child)
    return found


def kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
