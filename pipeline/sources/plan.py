"""The plan: which source items form which shard. New shards are appended, so known ones keep their work.

Paths, owners and the rows of sidecar files can name people. So each item is sealed with its own key, which is
in the key table beside those of the documents, and is destroyed when nothing of the item's file is kept any
more. Of an erased item, the plan keeps its id, a keyed digest, in its place: the shard's key stays the same.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import RemovalRefusedError
from lexveil.pipeline.settings import IngestSettings
from lexveil.pipeline.sources.documents import FIELDS, SourceItem, folder_prefixes, is_gone, scan_sources
from lexveil.pipeline.sources.files import SourceFile
from lexveil.pipeline.workspace.storage import read_files, write_bytes
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id, seal, unseal

_PURPOSE = "plan"
_SCANNED = "scanned"  # note beside the keys
_ITEM_PURPOSE = "source-id"  # also the purpose of the column `item` of the encrypted documents

Items = dict[str, SourceItem | None]  # of a shard, by id, in order; None: the item was erased


@dataclass(frozen=True, slots=True)
class Scan:
    """The present content of the sources, and what the workspace knows of them.

    Attributes:
        known: items of earlier scans, by path.
        items: items of the sources, without those of erased files.
    """

    known: Mapping[str, Sequence[SourceItem]] = field(repr=False)
    items: Sequence[SourceItem] = field(repr=False)


def make_plan(workspace: Workspace, sources: Sequence[Path]) -> list[Items]:
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
    id_key = keys.purpose_key(_ITEM_PURPOSE)
    shards, outdated = _read_plans(workspace, keys)
    known = _group_by_path(shards)
    scanned = _scan(keys, sources, ingest, known)
    found = {identify_item(id_key, item): item for item in scanned}
    changes = _Changes(found, shards, find_removed(known, scanned, sources, ingest))
    before = {item_id for items in shards for item_id, item in items.items() if item is not None}
    erased = _find_erased_items(keys, {i: item for i, item in found.items() if i not in before})
    changes.leave_out(erased)
    for index, items in enumerate(shards):
        updated = changes.update(items, ingest)
        if updated != items or list(updated) != list(items) or index in outdated:
            shards[index] = updated
            _write_plan(workspace, keys, index, updated)
    more = _pack(changes.list_new(), ingest)
    for index, items in enumerate(more, start=len(shards)):
        _write_plan(workspace, keys, index, items)
    plan = [*shards, *more]
    if gone := before.difference(*plan):
        keys.destroy_keys(sorted(gone), tombstones=())
    now = digest_items(item for item_id, item in found.items() if item_id not in erased)
    if keys.recall(_SCANNED) != now:
        keys.remember(_SCANNED, now)
    return plan


def digest_items(items: Iterable[SourceItem]) -> str:
    """Return the digest of the items that a scan found, without erased ones."""
    return compute_digest([item.identity for item in items])


def recall_scanned(workspace: Workspace) -> str | None:
    """Return the digest of what the last plan was made from (`digest_items`); None if it is not known."""
    return workspace.keys.recall(_SCANNED)


def scan_known_sources(workspace: Workspace, sources: Sequence[Path]) -> Scan:
    """Scan sources without reading what the workspace knows or has erased.

    Raises:
        SourceMissingError: a source is missing or unreadable.
    """
    keys = workspace.keys
    known = _group_by_path(_read_plans(workspace, keys)[0])
    return Scan(known, _scan(keys, sources, workspace.settings.ingest, known))


def _scan(
    keys: KeyStore,
    sources: Sequence[Path],
    ingest: IngestSettings,
    known: Mapping[str, Sequence[SourceItem]],
) -> list[SourceItem]:
    key = keys.purpose_key(_ITEM_PURPOSE)
    fields = {name: getattr(ingest, name) for name in FIELDS}

    def find_erased(files: Sequence[SourceFile]) -> set[str]:
        places = {
            _identify_place(key, file.address, file.size, file.modified, file.meta, fields): file.address
            for file in files
        }
        return {places[place] for place in keys.erased_ids(list(places))}

    return scan_sources(sources, ingest, known, find_erased)


def identify_item(key: bytes, item: SourceItem) -> str:
    """Return the id of an item: a keyed digest of its path, content, metadata and fields."""
    return content_id(key, item.identity.encode())


def _identify_place(key: bytes, *facts: Any) -> str:
    """Return a keyed digest of all that is known of a file that is not read."""
    return content_id(key, compute_digest(["place", *facts]).encode())


def _identify_places(key: bytes, items: Iterable[SourceItem]) -> list[str]:
    return [
        _identify_place(key, item.path, item.size, item.modified, item.meta, item.fields) for item in items
    ]


def _find_erased_items(keys: KeyStore, new: Mapping[str, SourceItem]) -> set[str]:
    """Return the ids of those items that were erased; their files were touched since."""
    erased = keys.erased_ids(list(new))
    if erased:
        key = keys.purpose_key(_ITEM_PURPOSE)
        keys.destroy_keys(_identify_places(key, (new[item_id] for item_id in erased)))
    return erased


class _Changes:
    """What a scan found, against the items of the plan."""

    def __init__(self, scanned: Mapping[str, SourceItem], shards: Sequence[Items], removed: set[str]) -> None:
        self._removed = removed
        self._paths = {item.path for item in scanned.values()}
        self._scanned = scanned
        planned = {item_id for items in shards for item_id in items}
        self._new: dict[str, deque[str]] = defaultdict(deque)
        for item_id, item in scanned.items():
            if item_id not in planned:
                self._new[item.path].append(item_id)

    def update(self, items: Items, ingest: IngestSettings) -> Items:
        """Return the items of a shard as they are now; takes the new items that replace old ones."""
        updated: Items = {}
        later = dict(items)
        for item_id, item in items.items():
            del later[item_id]
            if item is None:
                updated[item_id] = None
                continue
            new = self._new[item.path]
            if item.path not in self._paths:
                updated |= {} if item.path in self._removed else {item_id: item}
            elif (same := self._scanned.get(item_id)) is not None:
                updated[item_id] = same
            elif new and _fits(self._scanned[new[0]], [*updated.values(), *later.values()], ingest):
                replacing = new.popleft()
                updated[replacing] = self._scanned[replacing]
        return updated

    def leave_out(self, erased: set[str]) -> None:
        """Treat these items as erased: they are not new."""
        for path, new in self._new.items():
            self._new[path] = deque(item_id for item_id in new if item_id not in erased)

    def list_new(self) -> dict[str, SourceItem]:
        """Return the new items that have replaced no old one."""
        return {item_id: self._scanned[item_id] for new in self._new.values() for item_id in new}


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


def read_plan(workspace: Workspace, keys: KeyStore, index: int) -> Items:
    """Read the items of one shard; none if there is no such shard."""
    try:
        sealed = _plan_path(workspace, index).read_bytes()
    except FileNotFoundError:
        return {}
    return open_plan(keys, index, sealed)


def open_plan(keys: KeyStore, index: int, sealed: bytes) -> Items:
    """Open the plan of one shard.

    Raises:
        TamperedError: it is of another workspace, or was altered.
    """
    ((items, _),) = _unseal_items(keys, {index: sealed})
    return items


def read_plans(workspace: Workspace) -> list[Items]:
    """Read the items of all shards, in the order of the shards."""
    return _read_plans(workspace, workspace.keys)[0]


def list_erased_ids(workspace: Workspace, items: Mapping[str, SourceItem]) -> list[str]:
    """List the ids whose tombstones keep the files of erased items unread, wherever they still lie."""
    key = workspace.keys.purpose_key(_ITEM_PURPOSE)
    return [*items, *_identify_places(key, items.values())]


def rewrite_plans(workspace: Workspace, erased: Collection[str] = (), dropped: Collection[str] = ()) -> None:
    """Rewrite the plans that have these items; those of earlier versions too, which gives items their keys.

    Args:
        workspace: the workspace.
        erased: items of which the plan keeps the id alone, so that their shard stays as it is.
        dropped: items that leave the plan: if their files come back, they are new.
    """
    keys = workspace.keys
    shards, outdated = _read_plans(workspace, keys)
    for index, shard in enumerate(shards):
        left = {
            item_id: None if item_id in erased else item
            for item_id, item in shard.items()
            if item_id not in dropped
        }
        if index in outdated or not {*erased, *dropped}.isdisjoint(shard):
            _write_plan(workspace, keys, index, left)


def _unseal_items(keys: KeyStore, plans: Mapping[int, bytes]) -> list[tuple[Items, bool]]:
    """Return the items of each shard, and whether its plan is of an earlier version, without their keys."""
    plan_key, id_key = keys.purpose_key(_PURPOSE), keys.purpose_key(_ITEM_PURPOSE)
    content: list[list[Any]] = [
        json.loads(unseal(plan_key, sealed, f"plan:{index}")) for index, sealed in plans.items()
    ]
    ids = [entry[0] for entries in content for entry in entries if isinstance(entry, list)]
    item_keys = keys.existing_keys(ids)
    erased = keys.erased_ids([item_id for item_id in ids if item_id not in item_keys])
    shards: list[tuple[Items, bool]] = []
    for entries in content:
        items: Items = {}
        for entry in entries:
            if isinstance(entry, dict):
                item = SourceItem.from_json(entry)
                items[identify_item(id_key, item)] = item
            elif (key := item_keys.get(entry[0])) is not None:
                items[entry[0]] = _unseal_item(key, *entry)
            elif entry[0] in erased:
                items[entry[0]] = None
            # One that has neither key nor tombstone, as after a loss of keys, is unknown: it is read again.
        shards.append((items, any(isinstance(entry, dict) for entry in entries)))
    return shards


def _unseal_item(key: bytes, item_id: str, sealed: str) -> SourceItem:
    return SourceItem.from_json(json.loads(unseal(key, bytes.fromhex(sealed), f"item:{item_id}")))


def _write_plan(workspace: Workspace, keys: KeyStore, index: int, items: Items) -> None:
    item_keys = keys.ensure_keys([item_id for item_id, item in items.items() if item is not None])
    entries = [
        [
            item_id,
            None
            if item is None
            else seal(item_keys[item_id], json.dumps(item.to_json()).encode(), f"item:{item_id}").hex(),
        ]
        for item_id, item in items.items()
    ]
    # Only ids and sealed entries, in hexadecimal digits: their length tells nothing more when compressed.
    plan = json.dumps(entries).encode()
    content = seal(keys.purpose_key(_PURPOSE), plan, f"plan:{index}", compress=True)
    write_bytes(_plan_path(workspace, index), content)


def _group_by_path(shards: Iterable[Items]) -> dict[str, list[SourceItem]]:
    groups: dict[str, list[SourceItem]] = defaultdict(list)
    for items in shards:
        for item in items.values():
            if item is not None:
                groups[item.path].append(item)
    return dict(groups)


def _fits(item: SourceItem, others: Iterable[SourceItem | None], ingest: IngestSettings) -> bool:
    weights = [one.weight for one in others if one is not None]
    documents, size = (sum(part) for part in zip(*(item.weight, *weights), strict=True))
    return not weights or (documents <= ingest.shard_documents and size <= ingest.shard_bytes)


def _read_plans(workspace: Workspace, keys: KeyStore) -> tuple[list[Items], set[int]]:
    """Return the items of all shards, and the indexes of the plans that are of an earlier version."""
    names = {path.name for path in workspace.plan.glob("*.sealed")}
    known = itertools.takewhile(
        lambda path: path.name in names, (_plan_path(workspace, index) for index in itertools.count())
    )
    shards = _unseal_items(keys, dict(enumerate(read_files(list(known)))))
    return [items for items, _ in shards], {index for index, (_, earlier) in enumerate(shards) if earlier}


def _pack(new: Mapping[str, SourceItem], ingest: IngestSettings) -> list[Items]:
    shards: list[Items] = []
    documents = size = 0
    for item_id, item in new.items():
        count, weight = item.weight
        if not shards or documents + count > ingest.shard_documents or size + weight > ingest.shard_bytes:
            shards.append({})
            documents = size = 0
        shards[-1][item_id] = item
        documents += count
        size += weight
    return shards


def _plan_path(workspace: Workspace, index: int) -> Path:
    return workspace.plan / f"{index:05d}.sealed"
