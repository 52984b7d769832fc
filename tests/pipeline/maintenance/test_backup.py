"""A backup recovered elsewhere verifies and goes on; what was erased since is erased again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.postgres import new_database
from lexveil.flows.cli import app
from lexveil.pipeline.errors import WorkspaceError, WorkspaceKeyError
from lexveil.pipeline.maintenance.backup import back_up, finish_recovery, recover
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.masking.vault import restore_document
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace

KEY = "ab" * 32
SETTINGS = Settings.model_validate(
    {"ingest": {"owner_field": "owner", "shard_documents": 8}, "train": {"steps": 3, "held_out": 0.0}}
)


@pytest.fixture
def workspace(masked: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Masked documents, under a master key that stands outside."""
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", (masked.protected / "master.key").read_text().strip())
    masked.with_settings(SETTINGS).log.append("mask", "done", {})
    return masked


def ids(workspace: Workspace, settings: Settings = SETTINGS) -> list[str]:
    return sorted(tables.to_strings(workspace.with_settings(settings).catalogue.read(), "doc_id"))


def texts(workspace: Workspace, settings: Settings = SETTINGS) -> dict[str, str]:
    return {
        doc_id: restore_document(workspace.with_settings(settings), doc_id)
        for doc_id in ids(workspace, settings)
    }


def work_on(workspace: Workspace, sources: list[Path], settings: Settings = SETTINGS) -> list[int]:
    return [
        ingest(workspace.with_settings(settings), sources).done_now,
        mask(workspace.with_settings(settings)).done_now,
    ]


def test_it_goes_on_elsewhere(
    workspace: Workspace, masked_once: Workspace, tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    made = back_up(workspace.with_settings(SETTINGS), tmp_path / "backup")
    assert made.head == workspace.with_settings(SETTINGS).log.verify().head
    before = texts(workspace)
    shutil.rmtree(workspace.root)
    there = recover(tmp_path / "backup", tmp_path / "elsewhere", SETTINGS)
    found = finish_recovery(there.with_settings(SETTINGS), tmp_path / "backup")
    assert (found.files, found.log_intact, found.ledger_intact) == (made.files, True, True)
    assert texts(there) == before
    assert there.protected.stat().st_mode & 0o077 == 0
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    old = masked_once.root.parent / "corpus"
    assert work_on(there, [old]) == [0, 0]
    new = write_jsonl([{"id": "new", "text": "Anna Smith sues.", "owner": "z"}], "inbox/new.jsonl")
    assert work_on(there, [old, new]) == [1, 1]
    assert set(before) < set(ids(there))


def test_no_key_and_no_half_written_file_is_copied(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.masked / "part-9.7.partial").write_bytes(b"half")
    assert not back_up(workspace.with_settings(SETTINGS), tmp_path / "backup").master_key
    names = {path.name for path in (tmp_path / "backup").rglob("*")}
    assert "keys.sqlite" in names
    assert not names & {"master.key", ".lock", "part-9.7.partial"}
    assert back_up(workspace.with_settings(SETTINGS), tmp_path / "other", with_key=True).master_key


def test_a_table_of_keys_in_use_is_copied_whole(workspace: Workspace, tmp_path: Path) -> None:
    """What was committed last stands in SQLite's write-ahead log, and not in its file."""
    keys = workspace.with_settings(SETTINGS).keys
    key = keys.ensure_keys(["late"])["late"]
    back_up(workspace.with_settings(SETTINGS), tmp_path / "backup")
    there = recover(tmp_path / "backup", tmp_path / "elsewhere", SETTINGS)
    assert there.with_settings(SETTINGS).keys.existing_keys(["late"]) == {"late": key}


def test_what_was_erased_since_is_erased_again(workspace: Workspace, tmp_path: Path) -> None:
    gone, *others = ids(workspace)
    back_up(workspace.with_settings(SETTINGS), tmp_path / "backup")
    with workspace.with_settings(SETTINGS).log.record("erase") as done:
        done |= erase(workspace.with_settings(SETTINGS), gone).to_json()
    copy = tmp_path / "log.jsonl"
    copy.write_bytes(workspace.with_settings(SETTINGS).log.export())
    back = recover(tmp_path / "backup", tmp_path / "old", SETTINGS)
    assert gone in ids(back)  # the documented danger of an old backup
    there = recover(tmp_path / "backup", tmp_path / "new", SETTINGS, copy)
    assert finish_recovery(there.with_settings(SETTINGS), tmp_path / "backup").erased_again == 1
    assert ids(there) == others
    assert there.with_settings(SETTINGS).keys.erased_ids([gone]) == {gone}
    assert there.with_settings(SETTINGS).log.export() == copy.read_bytes()
    assert finish_recovery(there.with_settings(SETTINGS), tmp_path / "backup").erased_again == 0


@pytest.mark.parametrize("wrong", ["another", "changed", "earlier"])
def test_only_a_later_copy_of_the_log_is_taken(workspace: Workspace, wrong: str, tmp_path: Path) -> None:
    earlier = workspace.with_settings(SETTINGS).log.export()
    workspace.with_settings(SETTINGS).log.append("extract", "done", {})
    back_up(workspace.with_settings(SETTINGS), tmp_path / "backup")
    workspace.with_settings(SETTINGS).log.append("erase", "done", {"doc_ids": ["a"]})
    later = workspace.with_settings(SETTINGS).log.export()
    other = Workspace.create_or_open(tmp_path / "other")
    other.with_settings(SETTINGS).log.append("mask", "done", {})
    content = {
        "another": other.with_settings(SETTINGS).log.export(),
        "changed": later.replace(b'["a"]', b'["b"]'),
        "earlier": earlier,
    }[wrong]
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(WorkspaceError, match="copy of the log"):
        recover(tmp_path / "backup", tmp_path / "new", SETTINGS, tmp_path / "copy")
    assert not (tmp_path / "new").exists()


def test_what_is_wrong_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, target = tmp_path / "backup", tmp_path / "new"
    back_up(workspace.with_settings(SETTINGS), backup)
    with pytest.raises(WorkspaceError, match="is not empty"):
        back_up(workspace.with_settings(SETTINGS), backup)
    with pytest.raises(WorkspaceError, match="is not empty"):
        recover(backup, workspace.root, SETTINGS)
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", KEY)
    with pytest.raises(WorkspaceKeyError, match="is not the key"):
        recover(backup, target, SETTINGS)
    monkeypatch.delenv("LEXVEIL_MASTER_KEY")
    with pytest.raises(WorkspaceKeyError, match="does not contain the master key"):
        recover(backup, target, SETTINGS)
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", (workspace.protected / "master.key").read_text().strip())
    part = next((backup / "files" / "masked").glob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(WorkspaceError, match="damaged"):
        recover(backup, target, SETTINGS)
    (backup / "backup.json").unlink()
    with pytest.raises(WorkspaceError, match="not finished"):
        recover(backup, target, SETTINGS)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["folder", "remote"])
def test_with_a_database(
    postgres: str, masked_once: Workspace, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", KEY)
    base = str(tmp_path) if kind == "folder" else "memory://backup"

    def settings(name: str) -> Settings:
        url = new_database(postgres, f"backup_{kind}_{name}")
        return SETTINGS.model_copy(update={"database": type(SETTINGS.database)(url=url)})

    source, here, there = masked_once.root.parent / "corpus", settings("here"), settings("there")
    workspace = Workspace.create_or_open(f"{base}/work")
    workspace.with_settings(here).log.append("mask", "done", {})
    assert work_on(workspace, [source], here) == [2, 2]
    made = back_up(workspace.with_settings(here), tmp_path / "backup")
    assert made.database
    with pytest.raises(WorkspaceError, match="PostgreSQL"):
        recover(tmp_path / "backup", tmp_path / "unset", SETTINGS)
    found = recover(tmp_path / "backup", f"{base}/new", there)
    assert finish_recovery(found.with_settings(there), tmp_path / "backup").log_intact
    assert found.with_settings(there).log.verify(made.head).head_known
    assert texts(found, there) == texts(workspace, here)
    assert work_on(found, [source], there) == [0, 0]
    with pytest.raises(WorkspaceError, match="pg_restore"):
        recover(tmp_path / "backup", tmp_path / "twice", there)
    assert not (tmp_path / "twice").exists()


def test_the_commands(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str | Path) -> dict[str, Any]:
        app([*map(str, arguments), "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    made = told("backup", tmp_path / "backup", "-w", workspace.root)
    told("log", "export", tmp_path / "log", "-w", workspace.root)
    found = told("recover", tmp_path / "backup", "-w", tmp_path / "new", "--log", tmp_path / "log")
    assert found["files"] == made["files"]
    actions = [
        (one.action, one.outcome)
        for one in Workspace.open(found["workspace"]).with_settings(SETTINGS).log.read()
    ]
    assert actions[-4:] == [
        ("backup", "started"),
        ("backup", "done"),
        ("recover", "started"),
        ("recover", "done"),
    ]
