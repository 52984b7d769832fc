"""The vault: what restores a masked document, sealed with the document's key."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.nlp.masking.anonymize import CheckedText, Piece, Verdict, derive_verdict, join_pieces
from lexveil.nlp.masking.mask import KeptSpan, MaskedText, Replacement, restore_text
from lexveil.nlp.masking.second_pass import Leftover
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import unseal


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """Entry of the vault for one document.

    Attributes:
        replacements: what was replaced, with the original strings.
        entity_ids: keyed id of each replacement's entity, the same in all documents of the owner.
        kept: spans that the policy left readable.
        reasons: findings of the second pass by name.
        doubts: places where the second pass asks a person to look.
    """

    replacements: tuple[Replacement, ...] = field(repr=False)
    entity_ids: tuple[str, ...]
    kept: tuple[KeptSpan, ...]
    reasons: Mapping[str, int]
    doubts: tuple[Leftover, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Verdict that follows from the reasons."""
        return derive_verdict(self.reasons)


def restore_document(workspace: Workspace, doc_id: str) -> str:
    """Restore the exact original of a masked document. Needs the master key.

    Raises:
        WorkspaceError: there is no such document, it was erased, or the second pass held it back.
    """
    return "".join(restore_pieces(workspace, doc_id))


def restore_pieces(workspace: Workspace, doc_id: str) -> Iterator[str]:
    """Yield the exact original of a masked document, piece by piece: see `restore_document`.

    A large document takes less memory so: its replacements take more than its text, and one rare symbol makes
    each character of a string take four bytes.
    """
    shards = {row["doc_id"]: row["shard"] for row in workspace.catalogue.read().to_pylist()}
    index = shards.get(doc_id)
    rows = _read_rows(workspace, index, [doc_id]) if index is not None else iter(())
    first = next(rows, None)
    if index is None or first is None:
        raise WorkspaceError("there is no such document in this workspace, or it was erased")
    table = tables.read_part(tables.part_path(workspace.masked, index), ["doc_id", "text"])
    row = pc.index(table.column("doc_id"), doc_id).as_py()
    if row < 0:
        raise WorkspaceError("the second pass held this document back: it has no masked text to restore")
    # Read as a file, which decodes no more than a piece.
    content = pa.BufferReader(table.column("text")[row].as_buffer())
    with TextIOWrapper(content, "utf-8", newline="") as text:  # pyright: ignore[reportArgumentType]
        for _, _, entry in chain([first], rows):
            replacements = [Replacement(*row) for row in entry["replacements"]]
            yield restore_text(text.read(entry["length"]), replacements)


def read_vault(workspace: Workspace, index: int, doc_ids: Iterable[str]) -> dict[str, VaultEntry]:
    """Read the entries of those documents that are in one part and were not erased: doc_id -> entry."""
    done: dict[str, list[tuple[Piece, CheckedText]]] = defaultdict(list)
    ids: dict[str, list[str]] = defaultdict(list)
    for doc_id, start, entry in _read_rows(workspace, index, list(doc_ids)):
        masked = MaskedText(
            " " * entry["length"],  # the text is not needed
            tuple(Replacement(*row) for row in entry["replacements"]),
            tuple(KeptSpan(Span(*row[:-1]), row[-1]) for row in entry["kept"]),
        )
        # Entries of earlier versions have no places.
        doubts = tuple(Leftover(*row) for row in entry.get("doubts", ()))
        done[doc_id].append((Piece(start, "", ()), CheckedText(masked, entry["reasons"], doubts)))
        ids[doc_id] += entry["entity_ids"]
    entries: dict[str, VaultEntry] = {}
    for doc_id, pieces in done.items():
        whole = join_pieces(pieces)
        masked = whole.masked
        entries[doc_id] = VaultEntry(
            masked.replacements, tuple(ids[doc_id]), masked.kept, whole.reasons, whole.doubts
        )
    return entries


def _read_rows(
    workspace: Workspace, index: int, doc_ids: Sequence[str]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield (doc_id, start of the piece, entry of the piece), in order."""
    keys = workspace.keys.existing_keys(doc_ids)
    path = tables.part_path(workspace.vault, index)
    for row in tables.read_part(path).to_pylist() if keys and path.exists() else []:
        doc_id, start = row["doc_id"], row["start"]
        if doc_id in keys:
            yield doc_id, start, json.loads(unseal(keys[doc_id], row["payload"], f"vault:{doc_id}:{start}"))
