"""The audit's probe of the pipeline finds owners that are not independent, wherever they are mixed up."""

from __future__ import annotations

import random
import secrets
from dataclasses import replace
from typing import Any

import pytest

from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages import neighbors
from lexveil.pipeline.stages.neighbors import audit_owners
from lexveil.pipeline.training.data import OwnerData, Split
from lexveil.pipeline.workspace.documents import DocumentIds


@pytest.mark.parametrize("kind", ["linear", "lstm"])
def test_the_pipeline_keeps_owners_apart(kind: Any) -> None:
    found = audit_owners(Settings(), kind)
    assert (found.name, found.p_value) == ("owners", 1.0)
    assert 0.9 < found.figures["largest_move"] <= 1
    assert found.figures["others_changed"] == 0


def test_documents_kept_for_one_owner_only_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents were identified by their content alone: of a text that several owners had, one kept it."""
    monkeypatch.setattr(DocumentIds, "document", lambda _ids, _owner, content: content)
    # Keyed digests decide who keeps a text: by chance, other owners keep all of theirs once in 256 runs.
    monkeypatch.setattr(secrets, "token_bytes", random.Random(7).randbytes)
    found = audit_owners(Settings(), "linear")
    assert found.p_value == 0
    assert found.figures["others_changed"] >= 4


def test_documents_that_are_their_own_owners_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scattered(OwnerData):
        def __init__(self, split: Split, *more: Any) -> None:
            rows = tuple(replace(row, owner=row.doc_id) for row in split.train)
            super().__init__(replace(split, train=rows), *more)

    monkeypatch.setattr(neighbors, "OwnerData", Scattered)
    found = audit_owners(Settings(), "linear")
    assert found.p_value == 0
    assert found.figures["largest_move"] > 3
