"""Which source items form which shard. A plan grows behind, so that known shards keep their work.

Paths, owners and the rows of sidecar files can name people: plans are encrypted like the documents.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lexveil.pipeline.errors import RemovalRefusedError
from lexveil.pipeline.settings import IngestSettings
from lexveil.pipeline.sources.documents import SourceItem, folder_prefixes, is_gone, scan_sources
from lexveil.pipeline.workspace.storage import read_files, write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import seal, unseal

_PURPOSE = "plan"


def make_plan(workspace: Workspace, sources: Sequence[Path]) -> list[list[SourceItem]]:
    """The items of every shard: those known keep their place, new ones are added behind.

    An item whose content has changed, or is now read otherwise, is replaced where it stands, so that no shard
    but its own is done again; one that no longer fits there goes behind. Items whose files are gone from a
    folder that was walked stay, or leave with `ingest.removed` = "erase".

    Raises:
        SourceMissingError: a source is missing.
        RemovalRefusedError: more would leave than may at once.
    """
    keys = workspace.keys
    shards = _read_plans(workspace, keys)
    known = _by_path(shards)
    found = scan_sources(sources, workspace.settings.ingest, known)
    gone = find_removed(known, found, sources, workspace.settings.ingest)
    paths = {item.path for item in found}
    current = {item.identity: item for item in found}
    old = {item.identity for items in shards for item in items}
    fresh: dict[str, deque[SourceItem]] = defaultdict(deque)
    for identity, item in current.items():
        if identity not in old:
            fresh[item.path].append(item)
    for index, items in enumerate(shards):
        renewed: list[SourceItem] = []
        for place, item in enumerate(items):
            waiting = fresh[item.path]
            if item.path not in paths:
                renewed += [] if item.path in gone else [item]
            elif (same := current.get(item.identity)) is not None:
                renewed.append(same)
            elif waiting and _fits(waiting[0], [*renewed, *items[place + 1 :]], workspace.settings.ingest):
                renewed.append(waiting.popleft())
        if renewed != items:
            shards[index] = renewed
            _write_plan(workspace, keys, index, renewed)
    more = _pack([item for items in fresh.values() for item in items], workspace.settings.ingest)
    for index, items in enumerate(more, start=len(shards)):
        _write_plan(workspace, keys, index, items)
    return [*shards, *more]


def find_removed(
    known: Mapping[str, Sequence[SourceItem]],
    found: Iterable[SourceItem],
    sources: Sequence[Path],
    ingest: IngestSettings,
) -> set[str]:
    """Paths of known files that have left a folder which was walked; none where they are to be kept.

    Files of a source that was not named, or that can't be looked at, are not among them.

    Raises:
        RemovalRefusedError: they hold more than `ingest.removed_share` of the folder's documents.
    """
    if ingest.removed == "keep":
        return set()
    there = {item.path for item in found}
    gone: set[str] = set()
    for root in folder_prefixes(sources):
        inside = [items for path, items in known.items() if path.startswith(root)]
        missing = [items for items in inside if items[0].path not in there and is_gone(items[0])]
        total, lost = (sum(item.weight[0] for items in some for item in items) for some in (inside, missing))
        if lost > ingest.removed_share * total:
            raise RemovalRefusedError(
                f"the files of {lost} of a source folder's {total} documents are gone, and ingest.removed is "
                f'"erase"; nothing was done: if the folder is whole, allow it once with --removed-share 1'
            )
        gone |= {items[0].path for items in missing}
    return gone


def read_known_items(workspace: Workspace) -> dict[str, list[SourceItem]]:
    """The items of every source file that the workspace knows, by path."""
    return _by_path(_read_plans(workspace, workspace.keys))


def read_plan(workspace: Workspace, keys: KeyStore, index: int) -> list[SourceItem] | None:
    """The items of one shard; None where there is no such shard."""
    try:
        sealed = _path(workspace, index).read_bytes()
    except FileNotFoundError:
        return None
    return _opened(keys.purpose_key(_PURPOSE), sealed, index)


def _opened(key: bytes, sealed: bytes, index: int) -> list[SourceItem]:
    return [SourceItem.from_json(entry) for entry in json.loads(unseal(key, sealed, f"plan:{index}"))]


def _write_plan(workspace: Workspace, keys: KeyStore, index: int, items: list[SourceItem]) -> None:
    content = json.dumps([item.to_json() for item in items]).encode()
    write_bytes(_path(workspace, index), seal(keys.purpose_key(_PURPOSE), content, f"plan:{index}"))


def _by_path(shards: list[list[SourceItem]]) -> dict[str, list[SourceItem]]:
    found: dict[str, list[SourceItem]] = defaultdict(list)
    for items in shards:
        for item in items:
            found[item.path].append(item)
    return dict(found)


def _fits(item: SourceItem, beside: Sequence[SourceItem], ingest: IngestSettings) -> bool:
    documents, size = (sum(part) for part in zip(*(other.weight for other in (item, *beside)), strict=True))
    return not beside or (documents <= ingest.shard_documents and size <= ingest.shard_bytes)


def _read_plans(workspace: Workspace, keys: KeyStore) -> list[list[SourceItem]]:
    there = {path.name for path in workspace.plan.glob("*.sealed")}
    known = itertools.takewhile(
        lambda path: path.name in there, (_path(workspace, index) for index in itertools.count())
    )
    key = keys.purpose_key(_PURPOSE)
    return [_opened(key, sealed, index) for index, sealed in enumerate(read_files(list(known)))]


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
