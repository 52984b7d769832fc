"""Encrypted documents of a workspace, and what could not be used, for the holder of the master key."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lexveil.pipeline.records import Document
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import unseal


def read_quarantine(workspace: Workspace) -> list[tuple[str, str]]:
    """List what could not be used.

    Returns:
        (reason, location) of what could not be read, then (reason, doc_id) of what masking held back.
    """
    key = workspace.keys.purpose_key("quarantine")
    rows: list[tuple[str, str]] = []
    for path in sorted(workspace.quarantine.glob("part-*.parquet")):
        for row in tables.read_part(path).to_pylist():
            rows.append((row["reason"], unseal(key, row["where"], f"quarantine:{row['item']}").decode()))
    for path in sorted(workspace.held_back.glob("part-*.parquet")):
        rows += ((row["reason"], row["doc_id"]) for row in tables.read_part(path).to_pylist())
    return rows


def read_raw(workspace: Workspace, index: int, doc_ids: Iterable[str]) -> list[Document]:
    """Read and decrypt the given documents of one raw part, in the part's order.

    A document whose key was destroyed is left out.

    Args:
        workspace: the workspace.
        index: index of the part.
        doc_ids: ids of the documents.
    """
    wanted = set(doc_ids)
    keys = workspace.keys.existing_keys(sorted(wanted))
    path = tables.part_path(workspace.raw, index)
    columns = ["doc_id", "owner", "label", "split", "payload"]
    rows = tables.read_part(path, columns).to_pylist() if wanted else []
    documents: list[Document] = []
    for row in rows:
        doc_id, sealed = row["doc_id"], row.pop("payload")  # frees each ciphertext once its text is there
        if doc_id in wanted and doc_id in keys:
            payload = unseal(keys[doc_id], sealed, f"raw:{doc_id}")
            del sealed
            text = json.loads(payload)["text"]
            documents.append(Document(doc_id, row["owner"], row["label"], row["split"], text))
    return documents
