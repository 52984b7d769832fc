"""A hub adds what two offices encrypt, as three real processes: it reads nothing, and lies are refused.

Run as a script, this file is the offices and the hub.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[3]
WEIGHTS = 5000
HUB, LIAR = 2, 1
STEPS = 2
MARKER = b"MARKER!!"


def upload(index: int, step: int) -> Any:
    numbers = np.random.default_rng([index, step]).integers(-(2**30), 2**30, WEIGHTS)
    numbers[100:200] = int.from_bytes(MARKER, "little") >> 24  # what a document would look like in plain
    return numbers.astype(np.int64)


def total(step: int) -> list[int]:
    return (upload(0, step) + upload(1, step))[:300].tolist()


def script(case: str, folder: Path) -> list[Any]:
    from lexveil.privacy.he.sums import SumKeys, SumScheme
    from lexveil.privacy.joint.checksums import Checksums
    from lexveil.privacy.joint.encrypted import EncryptedSumming
    from lexveil.privacy.joint.mesh import Mesh, join_messages, split_messages
    from lexveil.privacy.joint.signing import Place, Signer
    from lexveil.privacy.joint.star import Star
    from tests.privacy.joint.offices import AGREEMENT, Office, find_blamed, run_offices

    scheme = SumScheme(WEIGHTS, 2**40 if case != "office: beyond" else 2**32, 2)
    keys = SumKeys.generate()
    checksums = Checksums(keys.to_bytes(), AGREEMENT)
    frames: list[bytes] = []

    class Wire(Mesh):
        """Keeps all that comes, and changes what goes."""

        def exchange(self, messages: Sequence[bytes], about: str = "") -> list[bytes]:
            changed = [self.change(index, message, about) for index, message in enumerate(messages)]
            received = super().exchange(changed, about)
            if self.index == HUB:
                frames.extend(received)
            return received

        def change(self, receiver: int, message: bytes, about: str) -> bytes:
            if case == "hub: another sum to one" and self.index == HUB and about == "encrypted sum":
                *receipts, added = split_messages(message)
                if receiver == 0:
                    return join_messages([*receipts, other_sum(added)])
            if case == "hub: no checksums" and self.index == HUB and about == "encrypted sum":
                *handed, added = split_messages(message)
                return join_messages([*(one[:96] for one in handed), added])
            if case == "hub: a changed bit" and self.index == HUB and about == "encrypted sum":
                return message[:-1] + bytes([message[-1] ^ 1])
            if case == "hub: no list" and self.index == HUB and about == "list of uploads" and message:
                return message[:40]
            if case == "hub: a changed list" and self.index == HUB and about == "list of uploads" and message:
                return message[:9] + bytes([message[9] ^ 1]) + message[10:]
            if case == "office: a changed bit" and self.index == LIAR and about == "encrypted upload":
                return message[:-1] + bytes([message[-1] ^ 1]) if message else message
            return message

    def other_sum(signed: bytes) -> bytes:
        place = Place(bytes(range(32)), "encrypted sum", 0, HUB)
        return signers[HUB].sign(place, signed[64:])[:64] + signed[64:-8] + bytes(8)

    class Lying(Signer):
        """Signs something else than it should."""

        def sign(self, place: Place, payload: bytes) -> bytes:
            if place.kind == "encrypted upload" and case.startswith("office: "):
                payload = {
                    "pickle": pickle.dumps([1] * 1000),
                    "cut": payload[:-100],
                    "twice": payload + payload,
                    "nothing": b"",
                    "another scheme": keys.encrypt(SumScheme(WEIGHTS, 2**20, 2), upload(1, 0) % 2**10),
                }.get(case.removeprefix("office: "), payload)
            if place.kind == "checksum of an upload" and case == "office: no checksum":
                payload = payload[:-1] + bytes([payload[-1] ^ 1])
            if place.kind == "checksum of an upload" and case == "office: checksum of another":
                payload = checksums.seal(place.step, place.sender, upload(0, 7))
            if place.kind == "encrypted sum" and case == "hub: no sum":
                payload = payload[: len(payload) // 2]
            if place.kind == "encrypted sum" and case == "hub: another's key":
                vector = SumKeys.generate().encrypt(scheme, upload(0, 0))
                payload = scheme.add([scheme.read(vector)])
            return super().sign(place, payload)

    class Wrong(SumScheme):
        """Leaves one office out, or adds one twice."""

        def add(self, vectors: Sequence[Sequence[Any]]) -> bytes:
            return super().add(vectors[:1] if "leaves" in case else [*vectors, vectors[1]])

    signers: list[Signer] = []

    def work(office: Office) -> Any:
        lies = office.index == (HUB if case.startswith("hub: ") else LIAR)
        signer = Lying(office.signer.key) if lies else office.signer
        signers.extend([office.signer] * 3)
        at_hub = office.index == HUB
        peers = [replace(one, role="hub") if i == HUB else one for i, one in enumerate(office.peers)]
        mesh = Wire(office.identity, peers, 30.0, 2**22, None if at_hub else [HUB])
        used = Wrong(WEIGHTS, 2**40, 2) if lies and case in WRONG_SUMS else scheme
        bounds = [WEIGHTS * 2**76] * 2
        with Star(mesh) as star:
            adding = EncryptedSumming(office.parties, bounds, used, None if at_hub else keys, star, signer)
            sums: list[Any] = []
            for step in range(STEPS):
                numbers, evidence = adding.add_up(step, None if at_hub else upload(office.index, step))
                assert (adding.recompute(step, evidence) == numbers).all()
                sums.append(numbers[:300].tolist())
                if case == "nothing" and at_hub:
                    (folder / f"sum-{step}").write_bytes(evidence.opened[HUB])
            if case == "nothing" and at_hub:
                return describe_frames()
            if case == "changed later":
                return find_blamed(adding, evidence, STEPS - 1)
            return sums

    def describe_frames() -> Any:
        """What the hub could read: no marker; and what an office that has these frames reads."""
        marked = [MARKER[3:] in frame or MARKER[:5] in frame for frame in frames]
        plain = upload(0, 0).astype("<i8").tobytes()
        parts = [plain[at : at + 8] for at in range(0, 8 * 300, 8)]
        found = sum(part in frame for part in parts for frame in frames)
        longest = sorted((frame for frame in frames if len(frame) > 10_000), key=len)
        vectors = [frame[109 + 64 :] for frame in longest[:4]]
        first = vectors[0]
        read = [keys.decrypt(scheme, scheme.add([scheme.read(vector)])) for vector in vectors]
        return {
            "frames": len(frames),
            "marked": sum(marked) + found,
            "bytes": len(first),
            "read": sum(
                bool((one == upload(office, step)).all())
                for one in read
                for office in (0, 1)
                for step in (0, 1)
            ),
        }

    return run_offices(3, WEIGHTS, work)


# Case -> what the honest parties say of it, and whom they name.
AT_OFFICES = {
    "hub: a changed bit": ("ForgedError", HUB),
    "hub: another sum to one": ("ForgedError", HUB),
    "hub: no list": ("MessageRefusedError", HUB),
    "hub: a changed list": ("ForgedError", 0),  # signed by the office, changed on the way: see below
    "hub: no sum": ("SumRefusedError", None),
    "hub: another's key": ("SumRefusedError", None),
    "hub: no checksums": ("MessageRefusedError", HUB),
    "hub: leaves one out": ("SumRefusedError", LIAR),
    "hub: adds one twice": ("SumRefusedError", None),
    "office: no checksum": ("MessageRefusedError", LIAR),
    "office: checksum of another": ("SumRefusedError", None),
}
WRONG_SUMS = ("hub: leaves one out", "hub: adds one twice")
AT_HUB = {
    "office: pickle": "UploadRefusedError",
    "office: cut": "UploadRefusedError",
    "office: twice": "UploadRefusedError",
    "office: nothing": "UploadRefusedError",
    "office: another scheme": "UploadRefusedError",
    "office: a changed bit": "ForgedError",
}
CASES = ("nothing", "changed later", *AT_OFFICES, *AT_HUB)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path_factory.mktemp("hub"))],
        env=environment, cwd=ROOT, check=True, timeout=2 * HANGS_AFTER, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_both_offices_have_the_exact_sum(answers: dict[str, list[Any]]) -> None:
    assert answers["nothing"][:2] == [[total(0), total(1)]] * 2


def test_no_frame_that_the_hub_reads_has_a_number_in_plain(answers: dict[str, list[Any]]) -> None:
    hub = answers["nothing"][HUB]
    assert hub["frames"] >= 4 * STEPS * 3
    assert hub["marked"] == 0
    assert hub["bytes"] < 1.05 * 8 * 2 * 4096


def test_an_office_that_has_the_frames_of_the_hub_reads_each_upload(answers: dict[str, list[Any]]) -> None:
    assert answers["nothing"][HUB]["read"] == 2 * STEPS


def test_a_bit_that_is_flipped_in_the_evidence_is_blamed_on_who_has_signed_it(
    answers: dict[str, list[Any]],
) -> None:
    assert answers["changed later"] == [[["ForgedError", index] for index in (0, 1, 2) * 2]] * 3


@pytest.mark.parametrize("case", AT_OFFICES)
def test_what_a_hub_changes_is_refused(answers: dict[str, list[Any]], case: str) -> None:
    found = [answer[:2] for answer in answers[case][:2]]
    assert list(AT_OFFICES[case]) in found, answers[case]
    assert not any(isinstance(answer[0], list) for answer in answers[case][:2])
    assert not any("\n" in answer[2] for answer in answers[case][:2])


@pytest.mark.parametrize("case", AT_HUB)
def test_what_is_no_upload_is_refused_by_the_hub_and_its_office_named(
    answers: dict[str, list[Any]], case: str
) -> None:
    assert answers[case][HUB][:2] == [AT_HUB[case], LIAR], answers[case]
    for answer in answers[case][:2]:
        assert answer[:2] == ["OfficeLeftError", HUB]
        assert "hub court-2" in answer[2]


if __name__ == "__main__":
    print(json.dumps({case: script(case, Path(sys.argv[1])) for case in CASES}))
