"""Offices as real processes on this machine: each runs a function of its own mesh and key."""

from __future__ import annotations

import datetime
import json
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lexveil.privacy.joint.mesh import Identity, Mesh, Peer
from lexveil.privacy.joint.signing import Certificate, Signer
from lexveil.privacy.joint.summing import Parties

AGREEMENT = bytes(range(32))
NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Office:
    """What one process has in its hands."""

    index: int
    signer: Signer
    identity: Identity
    peers: list[Peer]
    parties: Parties

    def mesh(self, patience: float = 30.0, kind: type[Mesh] = Mesh) -> Mesh:
        return kind(self.identity, self.peers, patience)


def found_offices(count: int, weights: int, folder: Path, now: datetime.datetime = NOW) -> list[Office]:
    """Draw keys, sign certificates, and find free ports."""
    signers = [Signer.create() for _ in range(count)]
    pems = [signer.certify(f"court-{index}", now) for index, signer in enumerate(signers)]
    certificates = tuple(Certificate.from_pem(pem) for pem in pems)
    free = [socket.socket() for _ in range(count)]
    for one in free:
        one.bind(("127.0.0.1", 0))
    peers = [
        Peer(f"court-{index}", "127.0.0.1", one.getsockname()[1], certificates[index].der)
        for index, one in enumerate(free)
    ]
    for one in free:
        one.close()
    parties = Parties(AGREEMENT, certificates, weights)
    offices: list[Office] = []
    for index, signer in enumerate(signers):
        (folder / f"{index}.pem").write_bytes(pems[index])
        (folder / f"{index}.key").write_bytes(signer.to_pem(b"password"))
        identity = Identity(index, folder / f"{index}.pem", folder / f"{index}.key", b"password")
        offices.append(Office(index, signer, identity, peers, parties))
    return offices


def describe(error: BaseException) -> list[Any]:
    office = getattr(error, "office", getattr(error, "lacking", None))
    return [type(error).__name__, office, str(error)]


def find_blamed(summing: Any, evidence: Any, step: int) -> list[Any]:
    """Flip a bit of each signed message in turn; return the error and the office that each is blamed on."""
    blamed: list[Any] = []
    for part in ("opened", "seen"):
        for index in range(3):
            messages = list(getattr(evidence, part))
            changed = bytearray(messages[index])
            changed[len(changed) // 2] ^= 4
            messages[index] = bytes(changed)
            try:
                summing.recompute(step, replace(evidence, **{part: tuple(messages)}))
            except Exception as error:
                blamed.append(describe(error)[:2])
    return blamed


def run_offices(
    count: int, weights: int, work: Callable[[Office], Any], known: list[Office] | None = None
) -> list[Any]:
    """Fork a process for each office; return what each has returned, or what stopped it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        offices = known or found_offices(count, weights, folder)
        children: list[int] = []
        for office in offices:
            child = os.fork()
            if child == 0:
                try:
                    answer = work(office)
                except Exception as error:
                    answer = describe(error)
                (folder / f"{office.index}.json").write_text(json.dumps(answer))
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        results = [folder / f"{office.index}.json" for office in offices]
        return [json.loads(path.read_text()) if path.exists() else None for path in results]
