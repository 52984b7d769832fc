"""Two servers of one endpoint behind a load balancer without memory, of which one after the other is killed.

The servers are `lexveil serve --bundle` on a real PostgreSQL, each with a folder of its own. The balancer
sends each request to the next server, without health checks. Two clients, each a tenant with a home of its
own as on a machine of its own, classify eight documents (features of the sealed linear head 384 -> 10) over
and over, with the product's checks and retries. What a client's caller sees counts: an error, or logits that
are further from the plain head's than the stated error.

First 200 requests of a sound endpoint; then, every 10 seconds, SIGKILL to a server, which starts again at
once, while the other one is next.

At last, fairness over both servers: one tenant keeps 16 requests of 32 ciphertexts under way, within its
quota, while another asks for one ciphertext at a time, all through the balancer.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psycopg

from benchmarks.contract import Figure, Outcome, run
from benchmarks.endpoint import CLASSES, FEATURES, alone_and_flooded, head_named
from fixtures.postgres import server
from fixtures.round_robin import RoundRobin, round_robin
from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.offers import Listed, OfferDraft, ServingBundle, tell_time
from lexveil.pipeline.serving.server.replicas import SharedState
from lexveil.privacy.he.served_model import LinearHead

SEED = 23
DOCUMENTS = 8
CLIENTS = ("court", "firm")
FLOOD = ("honest", "attacker")
PLENTY = {
    "SLOTS_PER_MINUTE": 10**9,
    "SLOTS_PER_DAY": 10**12,
    "CPU_SECONDS_PER_MINUTE": 10**6,
    "BYTES_PER_MINUTE": 10**12,
    "REQUESTS_AT_ONCE": 64,
    "SESSIONS_PER_TENANT": 64,
}


class Replica:
    """One server."""

    def __init__(self, folder: Path, bundle: Path, environment: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        state = folder / "state"
        self._command = [sys.executable, "-m", "lexveil.flows.cli", "serve", "--bundle", str(bundle)]
        self._command += ["--state", str(state), "--port", str(self.port)]
        self._environment = {**os.environ, **environment, "XDG_STATE_HOME": str(folder)}
        self._log = folder / "log"
        self._folder = folder

    def start(self) -> None:
        self._folder.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=self._folder, stdout=log, stderr=log
            )

    def is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"a server ended: {self._log.read_text()[-1000:]}")
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.wait()


@dataclass
class Balanced:
    """The address of both servers, and the tenants of the flood."""

    url: str
    tenants: dict[str, str]


@dataclass
class Seen:
    """What a client's caller saw."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    errors: list[str] = field(default_factory=list)


def classify(client: EncryptedClassifier, head: LinearHead, seen: Seen, chance: np.random.Generator) -> None:
    """One request."""
    features = chance.normal(size=(DOCUMENTS, FEATURES)) / 20
    start = time.perf_counter()
    try:
        found = client.classify(features)
    except EndpointError as error:
        seen.errors.append(getattr(error, "code", "") or type(error).__name__)
        return
    seen.seconds.append(time.perf_counter() - start)
    if np.abs(found.logits - head.logits(features)).max() > found.error_bound:
        seen.wrong += 1


@contextmanager
def clients(
    balancer: RoundRobin, keys: dict[str, str], homes: Path, head: LinearHead, goes_on: Callable[[Seen], bool]
) -> Generator[list[Seen], None, None]:
    """Both clients at work, each until `goes_on` of what it saw is false; the context waits for them."""
    seen = [Seen() for _ in CLIENTS]

    def work(place: int, tenant: str) -> None:
        chance = np.random.default_rng([SEED, place])
        with EncryptedClassifier.connect(balancer.url, keys[tenant], state=homes / tenant) as client:
            while goes_on(seen[place]):
                classify(client, head, seen[place], chance)

    threads = [threading.Thread(target=work, args=one) for one in enumerate(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        for thread in threads:
            thread.join()


def kill_in_turn(replicas: list[Replica], seconds: float, every: float) -> Iterator[Replica]:
    """Kill one server after the other, and start it again; yields each that was killed."""
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() + every < end:
        time.sleep(every)
        replica = replicas[number % len(replicas)]
        replica.end(signal.SIGKILL)
        replica.start()
        number += 1
        yield replica
    time.sleep(max(0.0, end - time.monotonic()))


def measure(arguments: argparse.Namespace) -> Outcome:
    head = head_named("linear")
    assert isinstance(head, LinearHead)
    with ExitStack() as opened:
        url = opened.enter_context(server())
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        bundle = ServingBundle(folder / "bundle")
        labels = [f"label {number}" for number in range(CLASSES)]
        with bundle.add_offer(OfferDraft("linear", labels, "sealed", head, {}), "linear-1"):
            pass
        bundle.write_listing([Listed("linear-1", tell_time(), "linear")])
        state_key = secrets.token_hex(32)
        issued = ApiKeys(SharedState(url, state_key, folder / "command").api_keys)
        keys = {tenant: issued.issue(tenant) for tenant in (*CLIENTS, *FLOOD)}
        environment = {
            "LEXVEIL_ENCRYPTED__STATE_URL": url,
            "LEXVEIL_ENCRYPTED__STATE_KEY": state_key,
            "LEXVEIL_ENCRYPTED__WORKERS": "1",
            "OMP_NUM_THREADS": "1",
            **{f"LEXVEIL_ENCRYPTED__{name}": str(value) for name, value in PLENTY.items()},
        }
        replicas = [Replica(folder / name, bundle.folder, environment) for name in ("one", "two")]
        for replica in replicas:
            replica.start()
            opened.callback(replica.end, signal.SIGTERM)
        while not all(replica.is_ready() for replica in replicas):
            time.sleep(0.2)
        balancer = opened.enter_context(round_robin([replica.port for replica in replicas]))
        homes = folder / "homes"
        per_client = arguments.requests // len(CLIENTS)

        def is_begun(seen: Seen) -> bool:
            return len(seen.seconds) + len(seen.errors) < per_client

        with clients(balancer, keys, homes, head, is_begun) as calm:
            pass
        uploads = balancer.count_uploads()
        used = dict(balancer.used)
        stop = threading.Event()
        with clients(balancer, keys, homes, head, lambda _: not stop.is_set()) as rough:
            try:
                kills = sum(1 for _ in kill_in_turn(replicas, arguments.seconds, arguments.every))
            finally:
                stop.set()
        answers = {f"{route} {status}": count for (_, route, status), count in balancer.answered.items()}
        odd = sum(n for (*_, status), n in balancer.answered.items() if status not in (200, 201, 503))
        lost_sessions = balancer.count_uploads() - uploads
        while not all(replica.is_ready() for replica in replicas):
            time.sleep(0.2)
        tenants = {tenant: f"Bearer {keys[tenant]}" for tenant in FLOOD}
        fair = alone_and_flooded(Balanced(balancer.url, tenants), arguments.fair_seconds)
        with psycopg.connect(url) as database:
            sessions = database.execute("SELECT id_hash FROM lexveil_endpoint.sessions").fetchall()
    calm_times, rough_times = (sorted(t for one in seen for t in one.seconds) for seen in (calm, rough))
    slowdown = fair["p99_ms_flooded"] / fair["p99_ms_alone"]
    return Outcome(
        {
            "errors_of_200_requests": Figure(_errors(calm) + _wrong(calm), 0, "", "lower"),
            "key_uploads_per_client": Figure(uploads / len(CLIENTS), 1, "", "lower"),
            "wrong_answers_while_killed": Figure(_wrong(rough), 0, "", "lower"),
            "lost_sessions_while_killed": Figure(lost_sessions, 0, "", "lower"),
            "errors_while_killed": Figure(_errors(rough), 0, "", "lower"),
            "answers_neither_2xx_nor_503": Figure(odd, 0, "", "lower"),
            "p99_beside_a_flood_over_alone": Figure(slowdown, 3.0, "x", "lower"),
            "errors_beside_a_flood": Figure(fair["errors_flooded"], 0, "requests", "lower"),
        },
        {
            "clients": len(CLIENTS),
            "replicas": len(replicas),
            "documents_per_request": DOCUMENTS,
            "requests": len(calm_times),
            "requests_while_killed": len(rough_times),
            "kills": kills,
            "requests_that_met_a_dead_server": balancer.lost,
        },
        [SEED],
        {
            "ms_p50_p99": _quantiles(calm_times),
            "ms_p50_p99_max_while_killed": [*_quantiles(rough_times), round(1000 * rough_times[-1])],
            "answers_by_replica_of_200": sorted(used.values()),
            "answers_by_route_and_status": answers,
            "sessions": len(sessions),
            "beside_a_flood": fair,
            "errors": [code for one in (*calm, *rough) for code in one.errors],
            "instruction_sets": list_instruction_sets(),
        },
    )


def list_instruction_sets() -> list[str]:
    """The processor's vector instructions, on which times depend."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "").split()
    return [
        name
        for name in ("avx2", "avx512f", "avx512ifma", "avx512_vnni", "amx_int8", "asimd")
        if name in flags
    ]


def _errors(seen: list[Seen]) -> int:
    return sum(len(one.errors) for one in seen)


def _wrong(seen: list[Seen]) -> int:
    return sum(one.wrong for one in seen)


def _quantiles(times: list[float]) -> list[int]:
    return [round(1000 * times[int(share * (len(times) - 1))]) for share in (0.5, 0.99)]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long servers are killed")
    parser.add_argument("--fair-seconds", type=float, default=30.0, help="alone, and beside a flood")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills")


if __name__ == "__main__":
    run(__doc__, measure, options)
