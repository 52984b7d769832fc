"""Three real processes add up what each of them has; whoever changes or lies is named by the others.

Run as a script, this file is the offices.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexveil.privacy.joint.signing import Certificate, Place, Signer
from lexveil.privacy.joint.summing import Evidence, OpenSumming, Parties, UploadRefusedError
from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[3]
WEIGHTS = 43
LARGEST = 7
LIAR = 1


def upload(index: int, step: int = 0) -> Any:
    drawn = np.random.default_rng([index, step]).integers(-(2**20), 2**20, WEIGHTS)
    return drawn.astype(np.int64)


def total(step: int = 0) -> list[int]:
    return np.sum([upload(index, step) for index in range(3)], axis=0).tolist()


def script(case: str) -> list[Any]:
    from lexveil.privacy.joint.mesh import Mesh
    from lexveil.privacy.joint.summing import SecretSumming, Summing
    from tests.privacy.joint.offices import Office, find_blamed, found_offices, run_offices

    way, what = case.split(":")
    bound = 2**40 * WEIGHTS

    class Tampering(Signer):
        """Flips a bit of what it has signed."""

        def sign(self, place: Place, payload: bytes) -> bytes:
            signed = super().sign(place, payload)
            return signed[:-1] + bytes([signed[-1] ^ 1]) if place.kind == what else signed

    class TwoFaced(Mesh):
        """Shows the last office another upload than the first."""

        other: bytes

        def exchange(self, messages: Any, about: str = "") -> list[bytes]:
            if messages[0] == messages[2] and len(messages[0]) == 64 + 8 * WEIGHTS:
                messages = [*messages[:2], self.other]
            return super().exchange(messages, about)

    def summing(office: Office, mesh: Mesh, signer: Signer) -> Summing:
        if way != "secret":
            lies = what == "another share" and office.index == LIAR
            entries = LARGEST - lies if way == "largest" else None
            in_turns = way == "turns"
            return OpenSumming(office.parties, [bound] * 3, mesh, signer, in_turns=in_turns, entries=entries)
        return SecretSumming(office.parties, [bound] * 3, 1, mesh, signer)

    def work(office: Office) -> Any:
        lies = office.index == LIAR
        if what == "certificate" and lies:
            folder = office.identity.key.parent / "other"
            folder.mkdir()
            own = found_offices(3, WEIGHTS, folder)[LIAR].identity
            office = replace(office, identity=own)
        signer = Tampering(office.signer.key) if lies else office.signer
        with office.mesh(
            2.0 if what == "certificate" else 30.0, TwoFaced if lies and what == "two faces" else Mesh
        ) as mesh:
            if isinstance(mesh, TwoFaced):
                place = Place(office.parties.agreement, "upload", 0, LIAR)
                mesh.other = office.signer.sign(place, upload(7).tobytes())
            adding = summing(office, mesh, signer)
            sums: list[Any] = []
            for step in range(2):
                mine = upload(office.index, step)
                if what == "long" and lies:
                    mine = mine + 2**24
                if what == "dies" and lies and step == 1:
                    os._exit(9)
                if way == "turns" and step != office.index and not (lies and what == "early"):
                    mine = None
                found, evidence = adding.add_up(step, mine)
                assert (adding.recompute(step, evidence) == found).all()
                sums.append(found.tolist())
            if what == "changed later":
                return find_blamed(adding, evidence, 1)
            return sums

    return run_offices(3, WEIGHTS, work)


CASES = (
    *(f"{way}:{what}" for way in ("open", "secret") for what in ("nothing", "long", "changed later", "dies")),
    *("open:upload", "secret:share of an upload", "secret:share of the sum", "open:list of uploads"),
    *("open:two faces", "open:certificate", "turns:nothing", "turns:early"),
    *("largest:nothing", "largest:long", "largest:changed later", "largest:another share"),
)


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Any]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__],
        env=environment, cwd=ROOT, check=True, timeout=HANGS_AFTER, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", ["open", "secret"])
def test_all_offices_have_the_sum(answers: dict[str, list[Any]], way: str) -> None:
    assert answers[f"{way}:nothing"] == [[total(0), total(1)]] * 3


def test_the_largest_entries_alone_are_added(answers: dict[str, list[Any]]) -> None:
    sums = [np.zeros(WEIGHTS, np.int64) for _ in range(2)]
    for step, added in enumerate(sums):
        for index in range(3):
            one = upload(index, step)
            largest = sorted(range(WEIGHTS), key=lambda place: -abs(int(one[place])))[:LARGEST]
            added[largest] += one[largest]
    assert answers["largest:nothing"] == [[one.tolist() for one in sums]] * 3


def test_an_office_that_sends_another_number_of_entries_is_named(answers: dict[str, list[Any]]) -> None:
    for index in (0, 2):
        assert answers["largest:another share"][index][:2] == ["UploadRefusedError", LIAR]


@pytest.mark.parametrize("count", [1, 5, 8, WEIGHTS - 1])
def test_what_is_no_selection_is_no_upload(count: int) -> None:
    """One office, which checks what it reads: a bit too many, too few, beyond the end, a number too many."""
    signer = Signer.create()
    certificate = Certificate.from_pem(
        signer.certify("court", datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC))
    )
    parties = Parties(bytes(32), (certificate,), WEIGHTS)
    summing = OpenSumming(parties, [2**40], None, None, entries=count)
    places = np.zeros(8 * ((WEIGHTS + 7) // 8), np.uint8)
    places[:count] = 1
    numbers = np.arange(1, count + 1, dtype="<i8").tobytes()

    def read(bits: Any, content: bytes) -> Any:
        payload = np.packbits(bits).tobytes() + content
        opened = signer.sign(Place(parties.agreement, "upload", 0, 0), payload)
        seen = signer.sign(Place(parties.agreement, "list of uploads", 0, 0), hashlib.sha256(opened).digest())
        return summing.recompute(0, Evidence((opened,), (seen,)))

    assert read(places, numbers).tolist() == [*range(1, count + 1), *[0] * (WEIGHTS - count)]
    more, fewer, beyond = places.copy(), places.copy(), places.copy()
    more[count], fewer[0] = 1, 0
    beyond[0], beyond[-1] = 0, 1
    for bits, content in (
        (more, numbers),
        (fewer, numbers),
        (places, numbers + bytes(8)),
        (places, numbers[8:]),
    ):
        with pytest.raises(UploadRefusedError):
            read(bits, content)
    if len(places) > WEIGHTS:
        with pytest.raises(UploadRefusedError):
            read(beyond, numbers)


def test_in_turns_the_sum_is_the_upload_of_one_office(answers: dict[str, list[Any]]) -> None:
    assert answers["turns:nothing"] == [[upload(0, 0).tolist(), upload(1, 1).tolist()]] * 3


def test_an_upload_out_of_turn_is_refused_by_name(answers: dict[str, list[Any]]) -> None:
    assert [answer[:2] for answer in answers["turns:early"]] == [["UploadRefusedError", LIAR]] * 3


@pytest.mark.parametrize("way", ["open", "secret", "largest"])
def test_an_upload_that_is_too_long_is_refused_by_name(answers: dict[str, list[Any]], way: str) -> None:
    assert [answer[:2] for answer in answers[f"{way}:long"]] == [["UploadRefusedError", LIAR]] * 3


@pytest.mark.parametrize(
    "case", ["open:upload", "secret:share of an upload", "secret:share of the sum", "open:list of uploads"]
)
def test_a_bit_that_was_flipped_on_the_way_is_blamed_on_its_office(
    answers: dict[str, list[Any]], case: str
) -> None:
    for index in (0, 2):
        assert answers[case][index][:2] == ["ForgedError", LIAR]


@pytest.mark.parametrize("way", ["open", "secret", "largest"])
def test_a_bit_that_is_flipped_in_the_evidence_is_blamed_on_its_office(
    answers: dict[str, list[Any]], way: str
) -> None:
    assert answers[f"{way}:changed later"] == [[["ForgedError", index] for index in (0, 1, 2) * 2]] * 3


def test_an_office_that_shows_two_uploads_is_named(answers: dict[str, list[Any]]) -> None:
    for index in (0, 2):
        assert answers["open:two faces"][index][:2] == ["EquivocationError", LIAR]


@pytest.mark.parametrize("way", ["open", "secret"])
def test_an_office_that_dies_is_named(answers: dict[str, list[Any]], way: str) -> None:
    first, liar, last = answers[f"{way}:dies"]
    assert liar is None
    assert {first[0], last[0]} == {"OfficeLeftError"}
    assert LIAR in (first[1], last[1])


def test_an_office_with_another_certificate_is_not_let_in(answers: dict[str, list[Any]]) -> None:
    first, liar, last = answers["open:certificate"]
    assert {answer[0] for answer in (first, liar, last)} == {"OfficeLeftError"}
    assert first[1] == LIAR
    assert "court-1" in last[2] or "court-0" in last[2]


if __name__ == "__main__":
    print(json.dumps({case: script(case) for case in CASES}))
