from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.records import Document
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.workspace import Workspace

Ingested = Callable[..., Workspace]


@pytest.fixture
def ingested(tmp_path: Path, write_jsonl: Callable[..., Path]) -> Ingested:
    """Ingest records into a workspace that masks by rules."""

    def make(records: Iterable[Mapping[str, Any]], **mask: Any) -> Workspace:
        settings = Settings.model_validate(
            {
                "ingest": {"owner_field": "owner", "shard_documents": 2},
                "mask": {"detector": "rules", **mask},
            }
        )
        workspace = Workspace.create_or_open(tmp_path / "workspace", settings)
        ingest(workspace, [write_jsonl(records)])
        return workspace

    return make


@pytest.fixture
def documents_of() -> Callable[[Workspace], list[Document]]:
    """Read all documents of a workspace, in the order of the catalogue."""

    def read(workspace: Workspace) -> list[Document]:
        rows = workspace.catalogue.read().select(["doc_id", "shard"]).to_pylist()
        return [
            document
            for shard in sorted({row["shard"] for row in rows})
            for document in read_raw(
                workspace, shard, [row["doc_id"] for row in rows if row["shard"] == shard]
            )
        ]

    return read
