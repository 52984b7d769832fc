"""A hostile office, as a process of its own, sends what it should not; the others refuse it and name it.

Run as a script, this file is the offices.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[3]
WEIGHTS = 40
LIAR = 1
MARKER = "executed"


class Payload:
    """What a pickle would run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def script(case: str, folder: Path) -> list[Any]:
    from lexveil.privacy.joint.journal import Journal
    from lexveil.privacy.joint.mesh import Mesh
    from lexveil.privacy.joint.offices import catch_up
    from lexveil.privacy.joint.signing import Place, Signer
    from lexveil.privacy.joint.summing import OpenSumming, SecretSumming, Summing
    from tests.privacy.joint.offices import NOW, Office, found_offices, run_offices

    way, what = case.split(": ")
    payload = pickle.dumps(Payload(folder / MARKER))
    sized = struct.Struct("<qI")
    begun: list[int] = []

    class Hostile(Mesh):
        """Changes what it sends, from the second step on, or from the start."""

        earlier: list[list[bytes]]

        def _send(self, office: int, kind: bytes, content: bytes, about: str) -> None:
            if what == "another's index" and kind == b"s" and not begun:
                content = (0).to_bytes(2, "little") + content[2:]
                begun.append(0)
            if begun and kind == b"s" and len(content) > sized.size:
                place, size = sized.unpack_from(content)
                if what == "pickle":
                    content = sized.pack(place, len(payload)) + payload
                elif what == "pickle of the same size":
                    content = sized.pack(place, size) + payload.ljust(size, b"\0")[:size]
                elif what == "size":
                    content = sized.pack(place, 2**32 - 1) + content[sized.size :]
                elif what == "twice":
                    content += content
            if begun and what == "kind":
                kind = b"x"
            super()._send(office, kind, content, about)
            if begun and what == "length":
                self._writers[office].write(b"m" + (2**40).to_bytes(8, "big"))
            if begun and what == "flood":
                for _ in range(40):
                    super()._send(office, b"s", bytes(2**20), about)

        def exchange(self, messages: Any, about: str = "message") -> list[bytes]:
            if begun and what == "nothing":
                messages = [b""] * 3
            if begun and what == "another step":
                messages = self.earlier.pop(0)
            elif what == "another step":
                self.earlier = [*getattr(self, "earlier", []), list(messages)]
            return super().exchange(messages, about)

    class Lying(Signer):
        """Signs something else than it should."""

        def sign(self, place: Place, payload: bytes) -> bytes:
            if begun and place.kind == "share of the sum" and what == "sum share":
                payload = bytes([payload[0] ^ 1]) + payload[1:]
            if begun and place.kind == "share of an upload" and what == "beyond the field":
                payload = b"\xff" * len(payload)
            return super().sign(place, payload)

    def work(office: Office) -> Any:
        lies = office.index == LIAR
        if lies:
            logging.disable(logging.CRITICAL)
        signer = Lying(office.signer.key) if lies else office.signer
        mesh = (Hostile if lies else Mesh)(office.identity, office.peers, 30.0, 2**24)
        with mesh:
            bounds = [2**40 * WEIGHTS] * 3
            adding: Summing = (
                OpenSumming(office.parties, bounds, mesh, signer)
                if way == "open"
                else SecretSumming(office.parties, bounds, 1, mesh, signer)
            )
            if what.startswith("record"):
                return hand_over(office, mesh, adding)
            for step in range(3):
                if lies and step == 1:
                    begun.append(step)
                upload = np.arange(WEIGHTS) * (office.index + 1) + step
                if what == "not finite" and lies and step == 1:
                    upload = np.full(WEIGHTS, -(2**63))
                if what == "huge" and lies and step == 1:
                    upload = np.full(WEIGHTS, 2**55)
                adding.add_up(step, upload.astype(np.int64))
            return "no harm"

    def hand_over(office: Office, mesh: Mesh, adding: Summing) -> Any:
        """The liar has a step that the others lack, and changes its record."""
        from lexveil.privacy.joint.summing import Evidence

        journal = Journal(folder / case / str(office.index), bytes(32))
        _, evidence = adding.add_up(0, np.arange(WEIGHTS, dtype=np.int64))
        if office.index == LIAR:
            changed = bytearray(evidence.opened[0])
            changed[-1] ^= 1
            forged = {
                "record": replace(evidence, opened=(bytes(changed), *evidence.opened[1:])),
                "record that is none": Evidence((), ()),
                "record of others": replace(evidence, seen=evidence.seen[::-1]),
            }
            journal.keep(0, forged[what])
        return catch_up(mesh, journal, adding, 2)

    known = None
    if what == "clock":
        known = found_offices(3, WEIGHTS, folder, NOW + timedelta(days=36500))
    return run_offices(3, WEIGHTS, work, known)


NAMED = {
    **{f"secret: {what}": "MessageRefusedError" for what in ("pickle", "size", "twice", "another's index")},
    **{
        f"{way}: {what}": "MessageRefusedError"
        for way in ("open", "secret")
        for what in ("kind", "length", "flood")
    },
    **{f"{way}: {what}": "ForgedError" for way in ("open", "secret") for what in ("nothing", "another step")},
    **{
        f"{way}: {what}": "UploadRefusedError"
        for way in ("open", "secret")
        for what in ("not finite", "huge")
    },
    "secret: beyond the field": "UploadRefusedError",
    **{
        f"{way}: {what}": "MessageRefusedError"
        for way in ("open", "secret")
        for what in ("record", "record that is none", "record of others")
    },
}
UNNAMED = ("secret: sum share", "secret: pickle of the same size")
HARMLESS = ("secret: clock",)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path_factory.mktemp("hostile"))],
        env=environment, cwd=ROOT, check=True, timeout=2 * HANGS_AFTER, capture_output=True, text=True,
    )  # fmt: skip
    return {**json.loads(done.stdout), "stderr": done.stderr}


@pytest.mark.parametrize("case", NAMED)
def test_what_a_hostile_office_sends_is_refused_and_it_is_named(answers: dict[str, Any], case: str) -> None:
    found = [answers[case][index] for index in (0, 2)]
    assert [NAMED[case], LIAR] in [answer[:2] for answer in found], found
    # Who first finds the fault leaves, and the other one may see that before the fault.
    assert {answer[0] for answer in found} <= {NAMED[case], "OfficeLeftError"}
    assert not any("\n" in answer[2] for answer in found)


@pytest.mark.parametrize("case", UNNAMED)
def test_shares_that_do_not_fit_are_refused(answers: dict[str, Any], case: str) -> None:
    for index in (0, 2):
        assert answers[case][index][0] == "InconsistentSharesError", answers[case]


@pytest.mark.parametrize("case", HARMLESS)
def test_no_clock_decides_whether_offices_meet(answers: dict[str, Any], case: str) -> None:
    assert answers[case] == ["no harm"] * 3


def test_nothing_that_was_sent_was_run_or_printed(answers: dict[str, Any]) -> None:
    assert not answers["executed"]
    assert answers["stderr"] == ""


if __name__ == "__main__":
    place = Path(sys.argv[1])
    found = {case: script(case, place) for case in (*NAMED, *UNNAMED, *HARMLESS)}
    print(json.dumps(found | {"executed": (place / MARKER).exists()}))
