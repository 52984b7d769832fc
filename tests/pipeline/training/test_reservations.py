"""Who is charged: the population, whatever becomes of its documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.workspace import Workspace


def settings() -> Settings:
    return Settings.model_validate(
        {
            "ingest": {"owner_field": "owner"},
            "mask": {"detector": "rules"},
            "train": {"steps": 2, "held_out": 0.0, "epsilon": 2},
        }
    )


def account(workspace: Workspace) -> tuple[float, list[str]]:
    """What is spent, and the hashes of all entries."""
    ledger, population = open_ledger(workspace.with_settings(settings()))
    try:
        assert ledger.verify().ok
        assert len(ledger.populations()) == 1
        return ledger.spent_epsilon(population, 1e-5), [entry.hash for entry in ledger.entries()]
    finally:
        ledger.close()


Write = Callable[..., Path]
DOCUMENTS = [
    {
        "id": n,
        "text": f"The lessee pays the rent of month {n}.",
        "label": "ab"[n % 2],
        "owner": f"o{n // 2}",
    }
    for n in range(12)
]


@pytest.fixture
def trained(tmp_path: Path, write_jsonl: Write) -> Workspace:
    workspace = Workspace.create_or_open(tmp_path / "workspace")
    ingest(workspace.with_settings(settings()), [write_jsonl(DOCUMENTS)])
    mask(workspace.with_settings(settings()))
    train(workspace.with_settings(settings()))
    return workspace


def test_an_erasure_refunds_nothing_and_the_next_run_is_charged_in_addition(trained: Workspace) -> None:
    before = account(trained)
    erase(trained.with_settings(settings()), "3")
    assert account(trained) == before
    assert train(trained.with_settings(settings())).new  # the documents are others
    after = account(trained)
    assert after[0] > before[0]
    assert after[1][: len(before[1])] == before[1]


def test_an_old_owners_new_document_is_charged_to_the_same_population(
    trained: Workspace, write_jsonl: Write
) -> None:
    before = account(trained)
    new = DOCUMENTS[3] | {"id": 99, "text": "The deposit is returned within a month."}
    ingest(trained.with_settings(settings()), [write_jsonl([*DOCUMENTS, new])])
    mask(trained.with_settings(settings()))
    assert train(trained.with_settings(settings())).new
    after = account(trained)
    assert after[0] > before[0]
    assert len(after[1]) == len(before[1]) + 2


def test_no_new_document_is_no_new_charge(trained: Workspace, write_jsonl: Write) -> None:
    before = account(trained)
    ingest(trained.with_settings(settings()), [write_jsonl(DOCUMENTS)])
    mask(trained.with_settings(settings()))
    assert not train(trained.with_settings(settings())).new
    assert account(trained) == before
