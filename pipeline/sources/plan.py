"""The plan: which source items form which shard. New shards are appended, so known ones keep their work.

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
    """Update the plan and return the items of every shard: known items stay, new ones are appended.

    An item whose content has changed, or which is now read in another way, is replaced in its shard, so that
    only this shard is redone; if it no longer fits, it is appended. Items whose files have disappeared from a
    source folder stay, or are removed with `ingest.removed` = "erase".

    Args:
        workspace: the workspace.
        sources: files, folders and prefixes of object stores.

    Raises:
        SourceMissingError: a source is missing.
        RemovalRefusedError: more would be removed than is allowed at once.
    """
    keys, ingest = workspace.keys, workspace.settings.ingest
    shards = _read_plans(workspace, keys)
    known = _group_by_path(shards)
    scanned = scan_sources(sources, ingest, known)
    changes = _Changes(scanned, shards, find_removed(known, scanned, sources, ingest))
    for index, items in enumerate(shards):
        updated = changes.update(items, ingest)
        if updated != items:
            shards[index] = updated
            _write_plan(workspace, keys, index, updated)
    more = _pack(changes.list_new(), ingest)
    for index, items in enumerate(more, start=len(shards)):
        _write_plan(workspace, keys, index, items)
    return [*shards, *more]


class _Changes:
    """What a scan found, against the items of the plan."""

    def __init__(
        self, scanned: Sequence[SourceItem], shards: Sequence[Sequence[SourceItem]], removed: set[str]
    ) -> None:
        self._removed = removed
        self._paths = {item.path for item in scanned}
        self._scanned = {item.identity: item for item in scanned}
        planned = {item.identity for items in shards for item in items}
        self._new: dict[str, deque[SourceItem]] = defaultdict(deque)
        for identity, item in self._scanned.items():
            if identity not in planned:
                self._new[item.path].append(item)

    def update(self, items: Sequence[SourceItem], ingest: IngestSettings) -> list[SourceItem]:
        """Return the items of a shard as they are now; takes the new items that replace old ones."""
        updated: list[SourceItem] = []
        for position, item in enumerate(items):
            new = self._new[item.path]
            if item.path not in self._paths:
                updated += [] if item.path in self._removed else [item]
            elif (same := self._scanned.get(item.identity)) is not None:
                updated.append(same)
            elif new and _fits(new[0], [*updated, *items[position + 1 :]], ingest):
                updated.append(new.popleft())
        return updated

    def list_new(self) -> list[SourceItem]:
        """Return the new items that have replaced no old one."""
        return [item for items in self._new.values() for item in items]


def find_removed(
    known: Mapping[str, Sequence[SourceItem]],
    scanned: Iterable[SourceItem],
    sources: Sequence[Path],
    ingest: IngestSettings,
) -> set[str]:
    """Find the known files that have disappeared from a source folder; none if they are to be kept.

    Files of other sources, and files that cannot be accessed, are not among them.

    Args:
        known: items of earlier scans, by path.
        scanned: items of this scan.
        sources: files, folders and prefixes of object stores.
        ingest: settings.

    Returns:
        Paths of the files.

    Raises:
        RemovalRefusedError: they contain more than `ingest.removed_share` of the folder's documents.
    """
    if ingest.removed == "keep":
        return set()
    present = {item.path for item in scanned}
    removed: set[str] = set()
    for prefix in folder_prefixes(sources):
        inside = [items for path, items in known.items() if path.startswith(prefix)]
        missing = [items for items in inside if items[0].path not in present and is_gone(items[0])]
        total, lost = (sum(item.weight[0] for items in some for item in items) for some in (inside, missing))
        if lost > ingest.removed_share * total:
            raise RemovalRefusedError(
                f"the files of {lost} of a source folder's {total} documents are gone, and ingest.removed is "
                f'"erase"; nothing was done: if the folder is complete, allow it once with --removed-share 1'
            )
        removed |= {items[0].path for items in missing}
    return removed


def read_known_items(workspace: Workspace) -> dict[str, list[SourceItem]]:
    """Read the items of every source file that the workspace knows, by path."""
    return _group_by_path(_read_plans(workspace, workspace.keys))


def read_plan(workspace: Workspace, keys: KeyStore, index: int) -> list[SourceItem] | None:
    """Read the items of one shard; None if there is no such shard."""
    try:
        sealed = _plan_path(workspace, index).read_bytes()
    except FileNotFoundError:
        return None
    return _unseal_items(keys.purpose_key(_PURPOSE), sealed, index)


def _unseal_items(key: bytes, sealed: bytes, index: int) -> list[SourceItem]:
    return [SourceItem.from_json(entry) for entry in json.loads(unseal(key, sealed, f"plan:{index}"))]


def _write_plan(workspace: Workspace, keys: KeyStore, index: int, items: list[SourceItem]) -> None:
    content = json.dumps([item.to_json() for item in items]).encode()
    write_bytes(_plan_path(workspace, index), seal(keys.purpose_key(_PURPOSE), content, f"plan:{index}"))


def _group_by_path(shards: list[list[SourceItem]]) -> dict[str, list[SourceItem]]:
    groups: dict[str, list[SourceItem]] = defaultdict(list)
    for items in shards:
        for item in items:
            groups[item.path].append(item)
    return dict(groups)


def _fits(item: SourceItem, others: Sequence[SourceItem], ingest: IngestSettings) -> bool:
    documents, size = (sum(part) for part in zip(*(one.weight for one in (item, *others)), strict=True))
    return not others or (documents <= ingest.shard_documents and size <= ingest.shard_bytes)


def _read_plans(workspace: Workspace, keys: KeyStore) -> list[list[SourceItem]]:
    names = {path.name for path in workspace.plan.glob("*.sealed")}
    known = itertools.takewhile(
        lambda path: path.name in names, (_plan_path(workspace, index) for index in itertools.count())
    )
    key = keys.purpose_key(_PURPOSE)
    return [_unseal_items(key, sealed, index) for index, sealed in enumerate(read_files(list(known)))]


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


def _plan_path(workspace: Workspace, index: int) -> Path:
    return workspace.plan / f"{index:05d}.sealed"
