"""Who saw which bytes of a joint training: what went between this office and each other one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexveil.pipeline.joint.agreement import Agreement
from lexveil.pipeline.joint.identity import find_own, run_folder
from lexveil.pipeline.records import Progress
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.joint.mesh import Mesh, Traffic

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
    "list of uploads": "digests of what the office has received",
    "completion": "that the office has finished",
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
    def record(self, mesh: Mesh) -> Generator[Mesh]:
        """Open the connections, and keep what was exchanged when they are closed again."""
        try:
            with mesh:
                yield mesh
        finally:
            self.keep(mesh)

    def follow(self, mesh: Mesh, progress: Progress | None) -> Progress:
        """Return a listener for the steps that keeps what was exchanged after each, and tells `progress`."""

        def note(stage: str, done: int, total: int, documents: int = 0) -> None:
            self.keep(mesh)
            if progress is not None:
                progress(stage, done, total, documents)

        return note

    def keep(self, mesh: Mesh) -> None:
        """Keep what was exchanged so far, instead of what was kept before."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        write_json(self._path, {mesh.names[other]: _describe(mesh.traffic(other)) for other in mesh.others})


def describe_views(workspace: Workspace, agreement: Agreement) -> dict[str, Any]:
    """Return what each other office has seen of this one and the reverse, in bytes.

    `sent` and `received` are by what the messages were, with their headers, before encryption; `on_wire` is
    what the kernel counted on the connections, TLS included; the last 55 bytes, with which a connection is
    closed, may be missing. A process that was killed has kept what it had exchanged up to its last step.

    Raises:
        AgreementError: this office has no part in the agreement.
    """
    index = find_own(workspace, agreement)
    files = sorted((run_folder(workspace, agreement) / _FOLDER).glob("*.json"))
    sessions = [session for path in files if (session := read_json(path)) is not None]
    others = [office.name for office in agreement.offices if office.name != agreement.offices[index].name]
    offices = [{"office": name} | _add([one[name] for one in sessions if name in one]) for name in others]
    kinds = {kind for one in offices for way in ("sent", "received") for kind in one[way]}
    return {
        "office": agreement.offices[index].name,
        "protection": agreement.describe(),
        "connections": len(sessions),
        "offices": offices,
        "tells": {kind: _TELLS[kind] for kind in sorted(kinds)},
        "others_on_the_wire": "sizes and times of encrypted records",
    }


def _describe(traffic: Traffic) -> dict[str, Any]:
    return {
        "sent": dict(traffic.sent),
        "received": dict(traffic.received),
        "sent_on_wire": traffic.sent_on_wire,
        "received_on_wire": traffic.received_on_wire,
    }


def _add(sessions: list[dict[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = {way: Counter[str]() for way in ("sent", "received")}
    wire = {way: sum(one[way] for one in sessions) for way in ("sent_on_wire", "received_on_wire")}
    for one in sessions:
        for way, total in sums.items():
            total.update(one[way])
    return {way: dict(sorted(total.items())) for way, total in sums.items()} | wire
