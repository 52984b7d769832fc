"""Who saw which bytes of a joint training: what went between this office and each other one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexveil.pipeline.joint.agreement import Agreement
from lexveil.pipeline.joint.identity import find_party, run_folder
from lexveil.pipeline.records import Progress
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.joint.mesh import Traffic
from lexveil.privacy.joint.star import Connections

_FOLDER = "traffic"
# What the reader of a kind of message learns from it.
_TELLS = {
    "signature under the agreement": "that the office has signed",
    "number of completed steps": "how far the office is",
    "evidence of a completed step": "what was opened in a step before",
    "share of an upload": "nothing, unless more offices than the agreement allows put their shares together",
    "comparison of norms": "whether each upload is within its bound, and nothing else",
    "share of the sum": "with the shares of the others: the noisy sum of all offices",
    "upload": "the noisy sum of the office",
    "encrypted upload": "whoever has the offices' key: the noisy sum of the office; the hub: nothing",
    "encrypted sum": "the same of the noisy sum of all offices",
    "list of uploads": "digests of what the office has received",
    "digest of completed steps": "whether all have the same record of them",
    "farewell": "that the office leaves",
}


class TrafficLog:
    """Keeps what one process exchanges with the other offices; each process has a file of its own."""

    def __init__(self, folder: Path) -> None:
        """Create the handle.

        Args:
            folder: the run's folder in this office.
        """
        known = len(list((folder / _FOLDER).glob("*.json")))
        self._path = folder / _FOLDER / f"{known:06d}.json"

    @contextmanager
    def record(self, mesh: Connections) -> Generator[Connections]:
        """Open the connections, and keep what was exchanged when they are closed again."""
        try:
            with mesh:
                yield mesh
        finally:
            self.keep(mesh)

    def follow(self, mesh: Connections, progress: Progress | None) -> Progress:
        """Return a listener for the steps that keeps what was exchanged after each, and tells `progress`."""

        def note(stage: str, done: int, total: int, documents: int = 0) -> None:
            self.keep(mesh)
            if progress is not None:
                progress(stage, done, total, documents)

        return note

    def keep(self, mesh: Connections) -> None:
        """Keep what was exchanged so far, instead of what was kept before."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        write_json(self._path, {mesh.names[other]: _describe(mesh.traffic(other)) for other in mesh.others})


def describe_views(workspace: Workspace, agreement: Agreement) -> dict[str, Any]:
    """Return what each other office has seen of this one and the reverse, in bytes.

    The bytes of messages are those before encryption, with their headers; `on_the_wire` is what the kernel
    counted on the connections, TLS included; the last 55 bytes, with which a connection is closed, may be
    missing. A process that was killed has kept what it had exchanged up to its last step.

    Raises:
        AgreementError: this office has no part in the agreement.
    """
    index = find_party(workspace, agreement)
    files = sorted((run_folder(workspace, agreement) / _FOLDER).glob("*.json"))
    sessions = [session for path in files if (session := read_json(path)) is not None]
    messages: list[dict[str, Any]] = []
    connections: list[dict[str, Any]] = []
    others = [party for party in agreement.parties if party != agreement.parties[index]]
    if agreement.hub is not None and index < len(agreement.offices):
        others = [agreement.hub]
    for name in [party.name for party in others]:
        known = [session[name] for session in sessions if name in session]
        sent, received = (_add(one[way] for one in known) for way in ("sent", "received"))
        messages += [
            {"office": name, "message": kind, "sent": sent[kind], "received": received[kind], "tells": tells}
            for kind, tells in _TELLS.items()
            if kind in sent or kind in received
        ]
        wire = {way: sum(one[f"{way}_on_wire"] for one in known) for way in ("sent", "received")}
        connections.append({"office": name} | wire)
    return {
        "office": agreement.parties[index].name,
        "protection": agreement.describe(),
        "messages": messages,
        "on_the_wire": connections,
        "others_on_the_wire_see": "sizes and times of encrypted records",
    }


def _describe(traffic: Traffic) -> dict[str, Any]:
    return {
        "sent": dict(traffic.sent),
        "received": dict(traffic.received),
        "sent_on_wire": traffic.sent_on_wire,
        "received_on_wire": traffic.received_on_wire,
    }


def _add(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total = Counter[str]()
    for one in counts:
        total.update(one)
    return total
