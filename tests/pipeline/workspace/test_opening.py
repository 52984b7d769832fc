"""How often a workspace is opened while stages work on it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore

RECORDS = [{"id": n, "text": f"Mr Walter Pemberton wrote letter {n} to Ms Ada Quill."} for n in range(12)]


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An entry for every key table that is opened."""
    opened: list[str] = []
    original = KeyStore.__init__

    def count(self: KeyStore, *arguments: Any, **more: Any) -> None:
        opened.append("keys")
        original(self, *arguments, **more)

    monkeypatch.setattr(KeyStore, "__init__", count)
    return opened


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    settings = Settings.model_validate({"ingest": {"shard_documents": 6}, "mask": {"detector": "rules"}})
    return Workspace.create_or_open(tmp_path / "workspace", settings)


def test_two_shards_are_masked_by_one_key_table(
    workspace: Workspace, write_jsonl: Any, openings: list[str]
) -> None:
    ingest(workspace, [write_jsonl(RECORDS)])
    assert len(openings) == 1
    again = Workspace.open(workspace.root, workspace.settings)
    openings.clear()
    assert len(mask(again).shards) == 2
    assert len(openings) <= 2


def test_what_is_opened_is_opened_once(workspace: Workspace, openings: list[str]) -> None:
    assert workspace.keys is workspace.keys
    assert workspace.ledger is workspace.ledger
    assert workspace.catalogue is workspace.catalogue
    assert workspace.log is workspace.log
    assert openings == ["keys"]


def test_nothing_is_opened_before_it_is_asked_for(workspace: Workspace) -> None:
    assert [path.name for path in workspace.protected.iterdir()] == []


def test_a_worker_opens_its_own(workspace: Workspace, openings: list[str]) -> None:
    purpose = workspace.keys.purpose_key("pseudonyms")
    sent = pickle.dumps(workspace)
    assert purpose not in sent
    arrived = pickle.loads(sent)
    assert (arrived, arrived.settings) == (workspace, workspace.settings)
    assert len(openings) == 1
    assert arrived.keys.purpose_key("pseudonyms") == purpose
    assert len(openings) == 2


def test_other_settings_are_another_opening(workspace: Workspace) -> None:
    _ = workspace.keys
    other = workspace.with_settings(Settings())
    assert other == workspace
    assert other.settings != workspace.settings
    assert other.keys is not workspace.keys
