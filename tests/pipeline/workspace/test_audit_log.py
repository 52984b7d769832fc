"""The log of a workspace: a chain that shows every change, and loses nothing to a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import audit_log
from lexveil.pipeline.workspace.workspace import Workspace

SETTINGS = Settings()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create_or_open(tmp_path / "w")


def fill(workspace: Workspace, n: int) -> list[audit_log.Entry]:
    for number in range(n):
        workspace.with_settings(SETTINGS).log.append(
            "train", "done", {"epsilon": 0.5 * number, "model": f"m{number}"}
        )
    return workspace.with_settings(SETTINGS).log.read()


def test_an_action_leaves_its_start_and_its_end(workspace: Workspace) -> None:
    with workspace.with_settings(SETTINGS).log.record("mask", {"settings": "0" * 32}) as facts:
        facts["rows"] = 7
    started, ended = workspace.with_settings(SETTINGS).log.read()
    assert (started.action, started.outcome, started.facts) == ("mask", "started", {"settings": "0" * 32})
    assert (ended.outcome, ended.facts) == ("done", {"of": 1, "rows": 7})
    found = workspace.with_settings(SETTINGS).log.verify()
    assert found.intact
    assert (found.entries, found.head) == (2, ended.hash)


def test_of_an_error_the_type_is_kept_alone(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="Smith"), workspace.with_settings(SETTINGS).log.record("ingest"):
        raise ValueError("Smith")
    assert workspace.with_settings(SETTINGS).log.read()[-1].outcome == "failed: ValueError"
    assert b"Smith" not in workspace.log_file.read_bytes()


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found_at_its_entry(workspace: Workspace, data: st.DataObject) -> None:
    path = workspace.log_file
    if not path.exists():
        fill(workspace, 4)
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != good[at]))
    path.write_bytes(good[:at] + bytes([byte]) + good[at + 1 :])
    try:
        found = workspace.with_settings(SETTINGS).log.verify()
    finally:
        path.write_bytes(good)
    assert not found.intact
    assert found.broken_at is not None
    assert found.broken_at <= good[: at + 1].count(b"\n") + 1


@pytest.mark.parametrize("change", ["removed", "exchanged", "repeated"])
def test_moved_entries_are_found(workspace: Workspace, change: str) -> None:
    fill(workspace, 4)
    path = workspace.log_file
    lines = path.read_bytes().splitlines(keepends=True)
    moved = {
        "removed": [lines[0], *lines[2:]],
        "exchanged": [lines[0], lines[2], lines[1], lines[3]],
        "repeated": [*lines[:2], *lines[1:]],
    }[change]
    path.write_bytes(b"".join(moved))
    assert workspace.with_settings(SETTINGS).log.verify().broken_at in (2, 3)


def test_a_lost_end_shows_against_a_head_that_was_kept(workspace: Workspace) -> None:
    head = fill(workspace, 3)[-1].hash
    path = workspace.log_file
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert workspace.with_settings(SETTINGS).log.verify().intact
    found = workspace.with_settings(SETTINGS).log.verify(head)
    assert (found.head_known, found.intact) == (False, False)


def test_what_a_killed_process_was_writing_is_cut_off(workspace: Workspace) -> None:
    fill(workspace, 2)
    path = workspace.log_file
    with path.open("ab") as file:
        file.write(b'{"action":"tra')
    assert len(fill(workspace, 1)) == 3
    assert workspace.with_settings(SETTINGS).log.verify().intact


def test_another_workspaces_log_does_not_pass(workspace: Workspace, tmp_path: Path) -> None:
    fill(workspace, 2)
    other = Workspace.create_or_open(tmp_path / "other")
    fill(other, 1)
    other.log_file.write_bytes(workspace.log_file.read_bytes())
    assert other.with_settings(SETTINGS).log.verify().broken_at == 1


def test_nothing_is_added_to_a_log_whose_end_is_broken(workspace: Workspace) -> None:
    _ = workspace.keys
    workspace.log_file.write_text(json.dumps({"seq": 1}) + "\n")
    with pytest.raises(WorkspaceError, match="broken"):
        fill(workspace, 1)
