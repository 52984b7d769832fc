"""Which source items form which shard. A plan grows behind, so that known shards keep their work.

Paths, owners and the rows of sidecar files can name people: plans are encrypted like the documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.settings import IngestSettings, Settings
from pipeline.sources import SourceItem, scan
from pipeline.workspace import Workspace, key_store, write_bytes
from privacy.keystore import KeyStore
from privacy.vault import seal, unseal

_PURPOSE = "plan"


def make_plan(workspace: Workspace, settings: Settings, sources: Sequence[Path]) -> list[list[SourceItem]]:
    """The items of every shard: those known keep their place, new ones are added behind.

    An item whose file has changed, or is now read otherwise, leaves its shard; the new one comes in behind.

    Raises:
        SourceError: a source is missing.
    """
    keys = key_store(workspace, settings)
    shards = _read_plans(workspace, keys)
    found = scan(sources, settings.ingest, _by_path(shards))
    paths = {item.path for item in found}
    current = {item.identity for item in found}
    kept = [
        [item for item in items if item.path not in paths or item.identity in current] for items in shards
    ]
    have = {item.identity for items in kept for item in items}
    kept.extend(_pack([item for item in found if item.identity not in have], settings.ingest))
    for index, items in enumerate(kept):
        if index >= len(shards) or len(items) != len(shards[index]):
            _write_plan(workspace, keys, index, items)
    return kept


def planned(workspace: Workspace, settings: Settings) -> dict[str, SourceItem]:
    """An item of every source file that the workspace knows, by path."""
    return _by_path(_read_plans(workspace, key_store(workspace, settings)))


def read_plan(workspace: Workspace, keys: KeyStore, index: int) -> list[SourceItem] | None:
    """The items of one shard; None where there is no such shard."""
    try:
        sealed = _path(workspace, index).read_bytes()
    except FileNotFoundError:
        return None
    entries = json.loads(unseal(keys.purpose_key(_PURPOSE), sealed, f"plan:{index}"))
    return [SourceItem.from_json(entry) for entry in entries]


def _write_plan(workspace: Workspace, keys: KeyStore, index: int, items: list[SourceItem]) -> None:
    content = json.dumps([item.to_json() for item in items]).encode()
    write_bytes(_path(workspace, index), seal(keys.purpose_key(_PURPOSE), content, f"plan:{index}"))


def _by_path(shards: list[list[SourceItem]]) -> dict[str, SourceItem]:
    return {item.path: item for items in shards for item in items}


def _read_plans(workspace: Workspace, keys: KeyStore) -> list[list[SourceItem]]:
    shards: list[list[SourceItem]] = []
    while (items := read_plan(workspace, keys, len(shards))) is not None:
        shards.append(items)
    return shards


def _pack(items: Iterable[SourceItem], ingest: IngestSettings) -> list[list[SourceItem]]:
    shards: list[list[SourceItem]] = []
    documents = size = 0
    for item in items:
        count, weight = item.weight
        if not shards or documents + count > ingest.shard_documents or size + weight > ingest.shard_bytes:
            shards.append([])
            documents = size = 0
        shards[-1].append(item)
        documents += count
        size += weight
    return shards


def _path(workspace: Workspace, index: int) -> Path:
    return workspace.plan / f"{index:05d}.sealed"
