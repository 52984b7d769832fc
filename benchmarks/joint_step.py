"""What a step of joint training costs: five offices as real processes over mutual TLS, beside one process.

    python -m benchmarks.joint --only step [--quick] [--protections sum office cyclic he]

Each office trains a head of 31,872 weights on its own invented embeddings through the training loop, the
sums, signatures and journal of `lexveil join`; `alone` is the same step by one process with the owners of
all. Seconds are the median over the steps after the first. CPU time is that of an office's whole process a
step, so that other work on the machine does not count. Bytes are those that the kernel has sent over the
connections of an office (TLS included, headers of IP and TCP not), divided by the steps. With `he` a hub is
one process more; `he_upload_over_plain` is the length of an encrypted upload over that of whole numbers of
eight bytes, and `he_largest_difference` that of a decrypted sum of five uploads from the plain one.
"""

from __future__ import annotations

import datetime
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from benchmarks.contract import Figure
from lexveil.privacy.dp.batches import TensorOwners
from lexveil.privacy.dp.engine import TrainingPlan, train
from lexveil.privacy.dp.group import SINGLE_PROCESS, Companions
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.he.sums import SumKeys
from lexveil.privacy.joint.encrypted import EncryptedSumming, plan_scheme
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.mesh import Identity, Mesh, Peer
from lexveil.privacy.joint.noise import SharedNoise, Sharing, discrete_gaussian, plan_noise
from lexveil.privacy.joint.offices import Offices, catch_up
from lexveil.privacy.joint.signing import Certificate, Signer
from lexveil.privacy.joint.star import Connections, Star
from lexveil.privacy.joint.summing import OpenSumming, Parties, SecretSumming, Summing, bound_upload

FEATURES, CLASSES = 384, 83
WEIGHTS = FEATURES * CLASSES
OFFICES, OWNERS, ITEMS = 5, 161, 8  # of each office; contract_provisions has 806 owners in all
PLAN = TrainingPlan(1.0, 0.1, 0.5, 1, 1.0)


@dataclass(frozen=True)
class Cost:
    """What a step costs one process.

    Attributes:
        seconds: by the clock.
        cpu: seconds of the processor.
        sent: bytes that it has sent; 0: it is alone.
    """

    seconds: float
    cpu: float
    sent: float = 0.0


def measure_steps(protections: Sequence[str], steps: int) -> tuple[dict[str, Figure], dict[str, Any]]:
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    alone = _be_alone(steps)
    figures["alone_cpu"] = Figure(alone.cpu, None, "s/step", "lower")
    for protection in protections:
        with tempfile.TemporaryDirectory() as name:
            costs = _run_offices(Path(name), protection, steps)
        seconds, cpu = (statistics.median(getattr(one, what) for one in costs) for what in ("seconds", "cpu"))
        sent = max(one.sent for one in costs)
        quiet = protection == "sum"
        figures |= {
            f"{protection}_seconds": Figure(seconds, 1.5 if quiet else None, "s/step", "lower"),
            f"{protection}_seconds_over_alone": Figure(seconds / alone.seconds, None, "x", "lower"),
            f"{protection}_cpu_of_an_office": Figure(cpu, None, "s/step", "lower"),
            f"{protection}_sent_by_an_office": Figure(sent / 1e6, 8.0 if quiet else None, "MB/step", "lower"),
        }
        details[protection] = [[round(one.seconds, 3), round(one.cpu, 3), round(one.sent)] for one in costs]
        if protection == "he":
            figures |= _compare_with_plain()
    return figures, details | {"alone": [round(alone.seconds, 4), round(alone.cpu, 4)], "steps": steps}


def _compare_with_plain() -> dict[str, Figure]:
    noise = _plan_noise("he")
    scheme, keys = plan_scheme(noise, WEIGHTS, OWNERS * OFFICES, OFFICES), SumKeys.generate()
    uploads = [
        discrete_gaussian(noise.deviation, SecureRandom(bytes([one]) * 32), "upload", 0, WEIGHTS)
        for one in range(OFFICES)
    ]
    encrypted = [keys.encrypt(scheme, one) for one in uploads]
    total = keys.decrypt(scheme, scheme.add([scheme.read(one) for one in encrypted]))
    difference = float(np.abs(total - np.sum(uploads, axis=0)).max()) * 2.0**-noise.bits
    return {
        "he_largest_difference": Figure(difference, 1e-4, "of a weight", "lower"),
        "he_upload_over_plain": Figure(len(encrypted[0]) / (8 * WEIGHTS), None, "x", "lower"),
    }


def _plan_noise(protection: str) -> SharedNoise:
    return plan_noise(1.0, PLAN.max_grad_norm, WEIGHTS, Sharing(OFFICES, 2 if protection == "sum" else 4))


def _invent(offices: Sequence[int]) -> TensorOwners:
    """Embeddings of the owners of some offices, of random classes."""
    parts: list[Tensor] = []
    for office in offices:
        generator = torch.Generator().manual_seed(office)
        parts.append(torch.randn(OWNERS * ITEMS, FEATURES + 1, generator=generator))
    drawn = torch.cat(parts)
    classes = (drawn[:, -1].abs() * 1000).long() % CLASSES
    owners = torch.arange(len(drawn)) // ITEMS
    return TensorOwners(normalize(drawn[:, :-1], dim=1), classes, owners, OWNERS * len(offices))


def _train(data: TensorOwners, steps: int, key: bytes, group: Companions = SINGLE_PROCESS) -> Cost:
    model = nn.Linear(FEATURES, CLASSES, bias=False)
    nn.init.zeros_(model.weight)
    moments: list[tuple[float, float]] = []

    def note(step: int) -> None:
        del step
        moments.append((time.perf_counter(), time.process_time()))

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets, reduction="none")

    plan = replace(PLAN, steps=steps)
    train(model, data, loss, plan, SecureRandom(key), on_step=note, max_items=2048, group=group)
    pairs = list(itertools.pairwise(moments))
    seconds, cpu = (statistics.median(later[i] - one[i] for one, later in pairs) for i in (0, 1))
    return Cost(seconds, cpu)


def _be_alone(steps: int) -> Cost:
    torch.set_num_threads(1)
    return _train(_invent(range(OFFICES)), steps, bytes(32))


def _run_offices(folder: Path, protection: str, steps: int) -> list[Cost]:
    now = datetime.datetime.now(datetime.UTC)
    ports = _find_ports()
    (folder / "sums.key").write_bytes(SumKeys.generate().to_bytes())
    for index, port in enumerate(ports):
        signer = Signer.create()
        (folder / f"{index}.pem").write_bytes(signer.certify(f"court-{index}", now))
        (folder / f"{index}.key").write_bytes(signer.to_pem(b"password"))
        (folder / f"{index}.port").write_text(str(port))
    command = [sys.executable, "-m", "benchmarks.joint_step", str(folder), protection, str(steps)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen([*command, str(index)], env=environment, stdout=subprocess.PIPE, text=True)
        for index in range(OFFICES + (protection == "he"))
    ]
    answers = [process.communicate()[0] for process in running]
    return [Cost(*json.loads(answer)) for answer in answers[:OFFICES]]


def _find_ports() -> list[int]:
    taken = [socket.socket() for _ in range(OFFICES + 1)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def be_office(folder: Path, protection: str, steps: int, index: int) -> Cost:
    torch.set_num_threads(1)
    parts = OFFICES + (protection == "he")
    certificates = tuple(Certificate.from_pem((folder / f"{i}.pem").read_bytes()) for i in range(parts))
    ports = [int((folder / f"{i}.port").read_text()) for i in range(parts)]
    peers = [
        Peer(f"court-{i}", "127.0.0.1", port, one.der)
        for i, (port, one) in enumerate(zip(ports, certificates, strict=True))
    ]
    noise = _plan_noise(protection)
    bounds = [bound_upload(noise, WEIGHTS, OWNERS)] * OFFICES
    parties = Parties(bytes(32), certificates, WEIGHTS)
    signer = Signer.from_pem((folder / f"{index}.key").read_bytes(), b"password")
    key, in_turns = bytes([index]) * 32, protection == "cyclic"
    journal = Journal(folder / str(index), key)
    identity = Identity(index, folder / f"{index}.pem", folder / f"{index}.key", b"password")
    with _connect(identity, peers, protection) as mesh:
        summing: Summing
        if protection == "he":
            assert isinstance(mesh, Star)
            scheme = plan_scheme(noise, WEIGHTS, OWNERS * OFFICES, OFFICES)
            keys = None if index == OFFICES else SumKeys((folder / "sums.key").read_bytes())
            summing = EncryptedSumming(parties, bounds, scheme, keys, mesh, signer)
        elif protection == "sum":
            assert isinstance(mesh, Mesh)
            summing = SecretSumming(parties, bounds, 2, mesh, signer)
        else:
            assert isinstance(mesh, Mesh)
            summing = OpenSumming(parties, bounds, mesh, signer, in_turns=in_turns)
        catch_up(mesh, journal, summing, steps)
        if index == OFFICES:
            for step in range(steps):
                summing.add_up(step, None)
            return Cost(0.0, 0.0)
        turns = range(index, steps, OFFICES) if in_turns else None
        offices = Offices(summing, journal, noise, SecureRandom(key), OWNERS * OFFICES, turns)
        cost = _train(_invent([index]), steps, key, offices)
        sent = sum(mesh.traffic(other).sent_on_wire for other in mesh.others) / steps
    return Cost(cost.seconds, cost.cpu, sent)


def _connect(identity: Identity, peers: Sequence[Peer], protection: str) -> Connections:
    if protection != "he":
        return Mesh(identity, peers)
    return Star(Mesh(identity, peers, others=None if identity.index == OFFICES else [OFFICES]))


if __name__ == "__main__":
    found = be_office(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps([found.seconds, found.cpu, found.sent]))
