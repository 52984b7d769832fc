"""The encrypted endpoint over HTTP: under load, under attack, and restarted under load.

The server is a process of its own, as `lexveil serve` starts it, with its worker processes; clients are
threads of this one, which send what was encrypted before the clock started. All of them share the machine's
cores: `cpu_share_*` in the details say how much of one core each part got. Throughput can grow with workers
only while cores are free; `documents_per_cpu_second_*` counts the CPU time of the workers alone, and so does
not depend on what else the machine does. A request holds one ciphertext of the linear head 384 -> 10, sealed.

`p99_beside_a_flood_over_alone`: one tenant keeps 16 requests of 32 ciphertexts in flight, within its quota,
while another asks for one ciphertext at a time.

Under attack one tenant sends crafted and mutated uploads while another classifies; whatever the attacker
does, the other must get right answers. Some mutated uploads are valid, and are answered: their meaning
concerns only the attacker.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np

from benchmarks.contract import Figure, Outcome, run
from fixtures import uploads
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.app import ServerLimits
from lexveil.pipeline.serving.server.evaluation import WorkerLimits
from lexveil.pipeline.serving.server.listen import ListenOptions, serve
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.pipeline.serving.server.quotas import QuotaLimits
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.scheme import Scheme
from lexveil.privacy.he.served_model import Head, LinearHead, NetworkHead, ServedModel, model_parameters

SEED = 17
ROOT = Path(__file__).parent.parent
FEATURES, HIDDEN, CLASSES = 384, 64, 10
TICKS = os.sysconf("SC_CLK_TCK")


def head_named(name: str) -> Head:
    chance = np.random.default_rng(SEED)
    if name == "linear":
        return LinearHead(chance.normal(size=(FEATURES, CLASSES)), chance.normal(size=CLASSES))
    first, last = chance.normal(size=(FEATURES, HIDDEN)) / 8, chance.normal(size=(HIDDEN, CLASSES)) / 8
    return NetworkHead(first, np.zeros(HIDDEN), Activation.square((-4, 4)), last, np.zeros(CLASSES))


def serve_for_benchmark(told: str) -> None:
    """Run in the server's process: serve."""
    wanted = json.loads(told)
    plenty = QuotaLimits(slots_per_minute=10**9, slots_per_day=10**12, requests_at_once=64)
    limits = ServerLimits(
        sessions=SessionLimits(seconds=wanted["session_seconds"], per_tenant=64, tenant_bytes=1 << 30),
        quotas=plenty,
        workers=WorkerLimits(workers=wanted["workers"]),
    )
    offer = Offer(ServedModel(head_named(wanted["head"])), [f"label {n}" for n in range(CLASSES)])
    serve(
        offer,
        ServerState(Path(wanted["folder"])),
        ListenOptions(port=wanted["port"], header_seconds=5),
        limits,
    )


class Server:
    """The server, and what the system says of its processes."""

    def __init__(
        self, folder: Path, *, head: str = "linear", workers: int = 1, seconds: int = 86_400
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.head = head_named(head)
        keys = ApiKeys(ServerState(folder).api_keys)
        self._operator = {"Authorization": f"Bearer {keys.issue('operator')}"}
        self.tenants = {name: f"Bearer {keys.issue(name)}" for name in ("honest", "attacker")}
        told = {"folder": str(folder), "head": head, "workers": workers, "port": self.port}
        self._told = json.dumps({**told, "session_seconds": seconds})
        self._workers = workers

    def start(self) -> None:
        program = "import sys; from benchmarks.endpoint import *; serve_for_benchmark(sys.argv[1])"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, self._told],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.DEVNULL,
        )
        while self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if self.metric("lexveil_workers_alive") > self._workers:  # and a spare
                    return
            time.sleep(0.1)
        raise RuntimeError("the server did not start")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(how)
        self._process.wait()

    @contextlib.contextmanager
    def running(self) -> Generator[Server, None, None]:
        self.start()
        try:
            yield self
        finally:
            self.end()

    def metric(self, name: str) -> float:
        for line in httpx.get(self.url + "/metrics", headers=self._operator).text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return 0.0

    def processes(self) -> list[int]:
        """The server's own, then its workers'."""
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def cpu_seconds(self) -> tuple[float, float]:
        """Of the server's own process, and of its workers."""
        own, *workers = [_cpu_seconds(process) for process in self.processes()]
        return own, sum(workers)


def measure_memory(processes: list[int]) -> int:
    """Resident bytes of these processes."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = Path(f"/proc/{process}/statm").read_text().split()[1]
            total += int(pages) * os.sysconf("SC_PAGE_SIZE")
    return total


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Address(Protocol):
    """Where an endpoint is called.

    Attributes:
        url: its URL.
        tenants: header `Authorization` of the tenants `honest` and `attacker`.
    """

    url: str
    tenants: dict[str, str]


class Caller:
    """One tenant's connection."""

    def __init__(self, server: Address, tenant: str) -> None:
        headers = {"Authorization": server.tenants[tenant]}
        self.http = httpx.Client(base_url=server.url, headers=headers, timeout=120)

    def post(self, path: str, body: bytes) -> httpx.Response:
        return self.http.post(path, content=body, headers={wire.REQUEST_DIGEST: wire.compute_digest(body)})

    def open(self, keys: bytes) -> str:
        response = self.post("/v1/sessions", wire.bundle([keys]))
        response.raise_for_status()
        return response.json()["session"]


class Honest:
    """A client with keys, requests that are encrypted already, and the right answers."""

    def __init__(self, head: Head) -> None:
        self.keys = ClientKeys.generate(model_parameters(ServedModel(head)))
        self.documents = self.keys.parameters.documents_per_ciphertext
        features = np.random.default_rng(SEED).normal(size=(8 * self.documents, FEATURES))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        self.answers = head.logits(features).reshape(8, self.documents, CLASSES)
        self.bodies = [wire.bundle([request]) for request in self.keys.encrypt(features)]
        self.evaluation = self.keys.evaluation_keys()

    def is_right(self, number: int, response: httpx.Response, *, decrypt: bool) -> bool:
        which = number % len(self.bodies)
        bound = wire.compute_reply_digest(wire.compute_digest(self.bodies[which]), response.content)
        if response.status_code != 200 or response.headers.get(wire.REPLY_DIGEST) != bound:
            return False
        if not decrypt:
            return True
        logits = self.keys.decrypt(wire.unbundle(response.content, 1, 1 << 21), self.documents)
        return bool(np.abs(logits - self.answers[which]).max() < 0.02)


@dataclass
class Seen:
    """What clients met. `wrong` holds answers that are not right, `lost` sessions that are unknown."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    unreachable: int = 0


def keep_classifying(
    server: Address,
    honest: Honest,
    stop: Callable[[], bool],
    seen: Seen,
    *,
    decrypt_every: int,
    patient: bool,
) -> None:
    """One client until `stop`. patient: the server may be restarted."""
    caller = Caller(server, "honest")
    path = f"/v1/sessions/{caller.open(honest.evaluation)}/classify"
    number = 0
    while not stop():
        start = time.perf_counter()
        try:
            response = caller.post(path, honest.bodies[number % len(honest.bodies)])
        except httpx.TransportError:
            seen.unreachable += 1
            if not patient:
                return
            time.sleep(0.1)
            continue
        seen.seconds.append(time.perf_counter() - start)
        if response.status_code == 404:
            seen.lost += 1
            return
        if not honest.is_right(number, response, decrypt=number % decrypt_every == 0):
            seen.wrong += 1
        number += 1


@contextlib.contextmanager
def clients(
    server: Address, honest: Honest, count: int, *, decrypt_every: int = 25, patient: bool = False
) -> Generator[Seen, None, None]:
    """`count` clients at work while the context lasts."""
    seen, stop = Seen(), threading.Event()

    def work() -> None:
        keep_classifying(server, honest, stop.is_set, seen, decrypt_every=decrypt_every, patient=patient)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def under_load(workers: int, seconds: float, folder: Path) -> dict[str, float]:
    honest = Honest(head_named("linear"))
    with Server(folder, workers=workers).running() as server, clients(server, honest, 8) as seen:
        time.sleep(min(5.0, seconds))  # sessions are opened, keys loaded
        seen.seconds.clear()
        start, cpu, own = time.perf_counter(), server.cpu_seconds(), time.process_time()
        memory = [measure_memory(server.processes())]
        for _ in range(4):
            time.sleep(seconds / 4)
            memory.append(measure_memory(server.processes()))
        wall, times = time.perf_counter() - start, sorted(seen.seconds)
        cpu = [then - before for then, before in zip(server.cpu_seconds(), cpu, strict=True)]
        own = time.process_time() - own
        deaths = server.metric("lexveil_worker_deaths_total")
    return {
        "documents_per_second": len(times) * honest.documents / wall,
        "documents_per_cpu_second": len(times) * honest.documents / max(cpu[1], 0.01),
        "requests": len(times),
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(0.99 * len(times))],
        "errors": seen.wrong + seen.lost + seen.unreachable,
        "worker_deaths": deaths,
        "memory_mib": memory[-1] / 2**20,
        "memory_growth_mib": (memory[-1] - memory[1]) / 2**20,  # after the first quarter
        "cpu_share_server": cpu[0] / wall,
        "cpu_share_workers": cpu[1] / wall,
        "cpu_share_clients": own / wall,
    }


@contextlib.contextmanager
def flood(server: Address, honest: Honest, count: int) -> Generator[Counter[int], None, None]:
    """`count` connections of another tenant with requests of 32 ciphertexts, while the context lasts.

    What it sends is within its quota; yields how its requests were answered, by status.
    """
    answered, stop = Counter[int](), threading.Event()
    blobs = [wire.unbundle(body, 1, 1 << 24)[0] for body in honest.bodies]
    body = wire.bundle(blobs * (32 // len(blobs)))

    def work() -> None:
        caller = Caller(server, "attacker")
        path = f"/v1/sessions/{caller.open(honest.evaluation)}/classify"
        while not stop.is_set():
            answered[caller.post(path, body).status_code] += 1

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def beside_a_flood(seconds: float, folder: Path) -> dict[str, Any]:
    """`alone_and_flooded` of one server."""
    with Server(folder).running() as server:
        return alone_and_flooded(server, seconds)


def alone_and_flooded(server: Address, seconds: float) -> dict[str, Any]:
    """The times of one client alone, and while another tenant has as many requests at once as it may."""
    honest, found = Honest(head_named("linear")), dict[str, Any]()
    for name, floods in (("alone", 0), ("flooded", 16)):
        with flood(server, honest, floods) as answered:
            time.sleep(2.0)  # the flood has begun
            with clients(server, honest, 1) as seen:
                time.sleep(seconds)
        times = sorted(seen.seconds[1:])  # the first one loads the keys
        found[f"p50_ms_{name}"] = 1000 * times[len(times) // 2]
        found[f"p99_ms_{name}"] = 1000 * times[int(0.99 * len(times))]
        found[f"requests_{name}"], found[f"errors_{name}"] = len(times), seen.wrong + seen.unreachable
        found["flood"] = dict(answered)
    return found


@dataclass
class Attack:
    """How uploads were answered, by status. wrong, requests: of the other tenant, who is honest."""

    statuses: Counter[int] = field(default_factory=Counter)
    not_4xx: Counter[str] = field(default_factory=Counter)
    deaths: float = 0.0
    wrong: int = 0
    requests: int = 0


def under_attack(head: str, mutations: int, folder: Path) -> Attack:
    """Crafted uploads and mutations, a third of them keys, beside an honest client."""
    found, chance = Attack(), random.Random(SEED)
    honest = Honest(head_named(head))
    attacker = ClientKeys.generate(model_parameters(ServedModel(head_named(head))))
    pieces = len(Scheme(attacker.parameters).key_frames)
    own_keys, own_request = uploads.honest(attacker)
    with (
        Server(folder, head=head).running() as server,
        clients(server, honest, 1, decrypt_every=1) as seen,
    ):
        caller = Caller(server, "attacker")
        classify = f"/v1/sessions/{caller.open(own_keys)}/classify"

        def send(path: str, blobs: Iterable[bytes], kind: str, *, may_pass: bool) -> None:
            for blob in blobs:
                response = caller.post(path, wire.bundle([blob]))
                status = response.status_code
                found.statuses[status] += 1
                if status == 201:  # or the attacker's own sessions would soon be too many
                    caller.http.delete(f"/v1/sessions/{response.json()['session']}")
                if not 400 <= status < 500 and not (may_pass and status in (200, 201)):
                    found.not_4xx[f"{kind} {status}"] += 1

        send("/v1/sessions", uploads.crafted_keys(attacker), "crafted keys", may_pass=False)
        send(classify, uploads.crafted_ciphertexts(attacker), "crafted ciphertext", may_pass=False)
        n_keys = mutations // 3
        send("/v1/sessions", uploads.mutated(own_keys, pieces, n_keys, chance), "keys", may_pass=True)
        rest = uploads.mutated(own_request, 1, mutations - n_keys, chance)
        send(classify, rest, "ciphertext", may_pass=True)
        found.deaths = server.metric("lexveil_worker_deaths_total")
    found.wrong = seen.wrong + seen.lost + seen.unreachable
    found.requests = len(seen.seconds)
    return found


def with_bad_manners(folder: Path) -> tuple[dict[str, Any], Attack]:
    """Slow-loris, oversize, ended, expired and stolen sessions, beside an honest client."""
    found, told = Attack(), dict[str, Any]()
    honest = Honest(head_named("linear"))
    with (
        Server(folder, seconds=86_400).running() as server,
        clients(server, honest, 1, decrypt_every=1) as seen,
    ):
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(600)]
        for connection in slow:
            connection.sendall(b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-")
        before = len(seen.seconds)
        time.sleep(7)  # longer than the server waits for headers
        told["honest_requests_beside_600_slow_ones"] = len(seen.seconds) - before
        told["slow_connections_closed"] = sum(_is_closed(connection) for connection in slow)
        victim, thief = Caller(server, "honest"), Caller(server, "attacker")
        session, ended = victim.open(honest.evaluation), victim.open(honest.evaluation)
        victim.http.delete(f"/v1/sessions/{ended}").raise_for_status()
        attempts = {
            "oversize": lambda: thief.post("/v1/sessions", bytes(50_000_000)),
            "replayed": lambda: victim.post(f"/v1/sessions/{ended}/classify", honest.bodies[0]),
            "stolen": lambda: thief.post(f"/v1/sessions/{session}/classify", honest.bodies[0]),
            "closed_by_another": lambda: thief.http.delete(f"/v1/sessions/{session}"),
            "no_key": lambda: httpx.get(server.url + "/v1/manifest"),
            "no_digest": lambda: victim.http.post("/v1/sessions", content=b"LXV1"),
        }
        told |= {name: attempt().status_code for name, attempt in attempts.items()}
        assert victim.post(f"/v1/sessions/{session}/classify", honest.bodies[0]).status_code == 200
        found.deaths = server.metric("lexveil_worker_deaths_total")
    with Server(folder, seconds=1).running() as server:
        caller = Caller(server, "honest")
        session = caller.open(honest.evaluation)
        time.sleep(1.1)
        expired = caller.post(f"/v1/sessions/{session}/classify", honest.bodies[0])
        told["expired"] = expired.status_code
    found.not_4xx.update(name for name in (*attempts, "expired") if not 400 <= told[name] < 500)
    found.wrong, found.requests = seen.wrong + seen.lost + seen.unreachable, len(seen.seconds)
    return told, found


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def restarted_under_load(times: int, folder: Path) -> Seen:
    """Ended and killed in turn, while 4 clients classify."""
    honest = Honest(head_named("linear"))
    server = Server(folder)
    server.start()
    with clients(server, honest, 4, decrypt_every=1, patient=True) as seen:
        for number in range(times):
            time.sleep(3)
            server.end((signal.SIGTERM, signal.SIGKILL)[number % 2])
            server.start()
        time.sleep(3)
    server.end()
    return seen


def measure(arguments: argparse.Namespace) -> Outcome:
    found: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        loads = {n: under_load(n, arguments.seconds, root / f"load{n}") for n in (1, 2)}
        for n, load in loads.items():
            details[f"{n}_workers"] = {key: round(value, 3) for key, value in load.items()}
            for key in ("p50_ms", "p99_ms"):
                found[f"{key}_{n}_workers"] = Figure(load[key], None, "ms", "lower")
            throughput = load["documents_per_second"]
            found[f"documents_per_second_{n}_workers"] = Figure(throughput, None, "documents", "higher")
            found[f"errors_{n}_workers"] = Figure(load["errors"], 0, "requests", "lower")
            growth = load["memory_growth_mib"] / load["memory_mib"]
            found[f"memory_growth_{n}_workers"] = Figure(growth, 0.02, "share", "lower")
        for key, target in (("documents_per_second", None), ("documents_per_cpu_second", 0.9)):
            ratio = loads[2][key] / loads[1][key]
            found[f"{key}_2_over_1_workers"] = Figure(ratio, target, "x", "higher")

        fair = details["beside_a_flood"] = beside_a_flood(arguments.seconds / 2, root / "flood")
        slowdown = fair["p99_ms_flooded"] / fair["p99_ms_alone"]
        found["p99_beside_a_flood_over_alone"] = Figure(slowdown, 3.0, "x", "lower")
        found["errors_beside_a_flood"] = Figure(fair["errors_flooded"], 0, "requests", "lower")

        shares = {"linear": arguments.mutations * 4 // 5, "network": arguments.mutations // 5}
        attacks = {head: under_attack(head, n, root / f"attack-{head}") for head, n in shares.items()}
        details["bad_manners"], manners = with_bad_manners(root / "manners")
        for head, attack in attacks.items():
            details[f"attack_{head}"] = {"statuses": attack.statuses, "honest_requests": attack.requests}
        everything = [*attacks.values(), manners]
        details["not_refused"] = dict(sum((attack.not_4xx for attack in everything), Counter[str]()))
        for key, value in {
            "hostile_not_refused": sum(details["not_refused"].values()),
            "hostile_worker_deaths": sum(attack.deaths for attack in everything),
            "hostile_wrong_to_the_honest": sum(attack.wrong for attack in everything),
        }.items():
            found[key] = Figure(value, 0, "requests", "lower")

        seen = restarted_under_load(arguments.restarts, root / "restart")
        found["restart_lost_sessions"] = Figure(seen.lost, 0, "sessions", "lower")
        found["restart_wrong_answers"] = Figure(seen.wrong, 0, "answers", "lower")
        details["restart"] = {"answers": len(seen.seconds), "unreachable": seen.unreachable}
    n = {name: int(getattr(arguments, name)) for name in ("seconds", "mutations", "restarts")}
    return Outcome(found, n, [SEED], details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60, help="of load, for one and for two workers")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--restarts", type=int, default=6)


if __name__ == "__main__":
    run(__doc__, measure, _options)
