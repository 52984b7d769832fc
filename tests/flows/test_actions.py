"""Exclusive actions: they lock the workspace, and its log has their facts and no content."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lexveil.flows.actions import (
    exclusive_action,
    summarize_audit,
    summarize_manifest,
    summarize_model,
)
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.records import Manifest, ShardResult
from lexveil.pipeline.workspace.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create_or_open(tmp_path / "w")


def test_the_log_has_the_start_and_the_end_with_its_facts(workspace: Workspace) -> None:
    with exclusive_action(workspace, "mask", {"run": "r1"}) as outcome:
        assert [entry.outcome for entry in workspace.log.read()] == ["started"]
        outcome["rows"] = 7
    started, done = workspace.log.read()
    assert (started.action, started.facts) == ("mask", {"run": "r1"})
    assert (done.outcome, done.facts) == ("done", {"of": started.seq, "rows": 7})


def test_a_failure_is_logged_by_its_type(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="Canary"), exclusive_action(workspace, "mask"):
        raise ValueError("Canary Wharfinger")
    assert workspace.log.read()[-1].outcome == "failed: ValueError"
    assert "Canary" not in workspace.log.export().decode()


def test_a_second_action_is_refused_and_not_logged(workspace: Workspace) -> None:
    with exclusive_action(workspace, "mask"):
        with pytest.raises(WorkspaceError), exclusive_action(workspace, "train"):
            pytest.fail("two actions at once")
        assert [entry.action for entry in workspace.log.read()] == ["mask"]
    with exclusive_action(workspace, "train"):
        pass


def test_what_a_killed_process_left_is_removed_first(workspace: Workspace) -> None:
    left = workspace.root / "masked" / "part-00000.parquet.partial"
    left.write_bytes(b"half")
    with exclusive_action(workspace, "mask"):
        assert not left.exists()


def test_what_the_log_keeps_of_a_stage() -> None:
    shards = tuple(ShardResult(index, f"key{index}", 3, f"digest{index}", {}) for index in range(2))
    facts = summarize_manifest(Manifest("mask", shards, done_now=1))
    assert (facts["rows"], facts["shards_done"]) == (6, 1)
    other = summarize_manifest(Manifest("mask", shards[:1], done_now=1))
    assert facts["digest"] != other["digest"]


def test_what_the_log_keeps_of_a_model_and_of_an_audit() -> None:
    kept = {
        "name": "linear-1", "epsilon": 8.0, "delta": 1e-5, "unit": "owner", "population": "p",
        "reservation": "r",
    }  # fmt: skip
    assert summarize_model({**kept, "labels": ["Canary"]}) == kept
    audited: Any = SimpleNamespace(
        card={"failed": ["accounting"]}, saved=SimpleNamespace(name="linear-1"), findings=("a", "b")
    )
    assert summarize_audit(audited) == {"name": "linear-1", "tests": 2, "failed": 1}
