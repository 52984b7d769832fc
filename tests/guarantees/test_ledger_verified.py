"""Promise: a night notices a ledger that was changed or cut off, though it recomputes new admissions only.

Up to where the ledger was verified stands in the signed log. The attacker can write every file of the
workspace and knows all rules, but has no master key.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lexveil.pipeline.reports.summary import compute_spending
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.budget import Charge
from lexveil.privacy.dp.ledger.chain import Entry
from tests.pipeline.training.test_reservations import DOCUMENTS, Write, settings
from tests.privacy.dp.ledger.test_export_tampering import rehash, with_payload

RUN = Charge(20.0, 0.2, 10)
VERIFIED = "ledger-verified"


@pytest.fixture
def workspace(tmp_path: Path, write_jsonl: Write) -> Workspace:
    """A workspace with twelve charged runs; its ledger was verified after the first ten."""
    workspace = Workspace.create_or_open(tmp_path / "workspace").with_settings(settings())
    ingest(workspace, [write_jsonl(DOCUMENTS)])
    charge(workspace, range(10))
    assert compute_spending(workspace).intact
    charge(workspace, range(10, 12))
    return workspace


def charge(workspace: Workspace, numbers: range) -> None:
    ledger, population = open_ledger(workspace)
    if ledger.limit(population) is None:
        ledger.set_limit(population, 10.0, 1e-5)
    for number in numbers:
        ledger.reserve(population, RUN, str(number))
    ledger.close()


def read(workspace: Workspace) -> tuple[Entry, ...]:
    return workspace.ledger.entries()


def replace_entries(workspace: Workspace, entries: Sequence[Entry]) -> None:
    """As somebody does who opens the file with another program."""
    with closing(sqlite3.connect(workspace.protected / "ledger.sqlite")) as file:
        for name in ("update", "delete"):
            file.execute(f"DROP TRIGGER entries_refuse_{name}")
        file.execute("DELETE FROM entries")
        rows = [tuple(asdict(entry).values()) for entry in entries]
        file.executemany(f"INSERT INTO entries VALUES ({', '.join('?' * 11)})", rows)
        file.commit()


def verified_heads(workspace: Workspace) -> list[str]:
    return [entry.facts["head"] for entry in workspace.log.read() if entry.action == VERIFIED]


def test_a_night_notes_up_to_where_the_ledger_was_verified_once(workspace: Workspace) -> None:
    first = compute_spending(workspace)
    assert first.intact
    assert verified_heads(workspace) == [read(workspace)[10].hash, first.head]
    assert compute_spending(workspace) == first
    assert len(verified_heads(workspace)) == 2


def test_the_record_of_a_run_has_the_last_runs_of_the_ledger_only(workspace: Workspace) -> None:
    spent = compute_spending(workspace)
    runs = [entry.reservation for entry in read(workspace) if entry.kind == "reserve"]
    assert [run for run, _, _ in spent.runs] == runs[2:]
    assert (spent.earlier, spent.open) == (2, 12)


def test_a_ledger_that_was_cut_off_below_the_verified_head_is_noticed(workspace: Workspace) -> None:
    replace_entries(workspace, read(workspace)[:6])
    assert not compute_spending(workspace).intact
    assert len(verified_heads(workspace)) == 1


def test_a_history_made_anew_is_noticed(workspace: Workspace) -> None:
    entries = read(workspace)
    replace_entries(workspace, rehash([replace(entries[0], at="2020-01-01T00:00:00+00:00"), *entries[1:]]))
    assert not compute_spending(workspace).intact


@pytest.mark.parametrize("at", [3, 11])
def test_a_wrong_admission_is_noticed_before_and_after_the_verified_head(
    workspace: Workspace, at: int
) -> None:
    entries = list(read(workspace))
    entries[at] = with_payload(entries[at], total=0.01)
    replace_entries(workspace, rehash(entries))
    assert not compute_spending(workspace).intact


def test_the_log_cannot_be_made_to_say_that_a_forged_ledger_was_verified(workspace: Workspace) -> None:
    entries = list(read(workspace))
    entries[3] = with_payload(entries[3], total=0.01)
    forged = rehash(entries)
    replace_entries(workspace, forged)
    path = workspace.log_file
    lines = path.read_text().splitlines()
    said = next(json.loads(line) for line in reversed(lines) if json.loads(line)["action"] == VERIFIED)
    said["facts"] = {"head": forged[-1].hash, "entries": len(forged)}
    path.write_text("".join(line + "\n" for line in [*lines, json.dumps(said)]))  # under the old hash
    assert not compute_spending(workspace).intact
    draft = Workspace.open(workspace.root).with_settings(settings()).log.read()[-1]
    signature = base64.b64encode(Ed25519PrivateKey.generate().sign(draft.digest().encode())).decode()
    again = json.dumps(asdict(replace(draft, hash=draft.digest(), signature=signature)))
    path.write_text("".join(line + "\n" for line in [*lines, again]))  # with the attacker's own key
    assert not compute_spending(workspace).intact
    path.write_text("")  # without a log, everything is recomputed
    assert not compute_spending(workspace).intact
