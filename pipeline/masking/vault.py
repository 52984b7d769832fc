"""The vault: what restores a masked document, sealed with the document's key.

An entry is a JSON object of columns: those of rows that are alike compress to half of the rows' bytes. Places
are distances from the place before.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from io import TextIOWrapper
from itertools import chain
from operator import attrgetter
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

# `dataclasses.astuple` copies what a field holds.
_REPLACEMENT = attrgetter(*(one.name for one in fields(Replacement)))
_SPAN = attrgetter(*(one.name for one in fields(Span)))
# Columns of a row by which its places are found: start, end, and the text between them, if it is in the row.
_IN_MASKED, _IN_SOURCE, _IN_KEPT = (0, 1, 3), (8, 9, 2), (0, 1, None)


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """Entry of the vault for one document.

    Attributes:
        replacements: what was replaced, with the original strings.
        kept: spans that the policy left readable.
        reasons: findings of the second pass by name.
        doubts: places where the second pass asks a person to look.
    """

    replacements: tuple[Replacement, ...] = field(repr=False)
    kept: tuple[KeptSpan, ...]
    reasons: Mapping[str, int]
    doubts: tuple[Leftover, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Verdict that follows from the reasons."""
        return derive_verdict(self.reasons)


def pack_entry(done: CheckedText) -> dict[str, Any]:
    """Return the entry of one piece as a JSON object, which `read_vault` reads."""
    replacements = _to_columns(map(_REPLACEMENT, done.masked.replacements))
    kept = _to_columns((*_SPAN(one.span), one.role) for one in done.masked.kept)
    for places in (_IN_MASKED, _IN_SOURCE):
        _to_distances(replacements, places)
    _to_distances(kept, _IN_KEPT)
    return {
        "length": len(done.text),
        "columns": replacements,
        "kept": kept,
        "reasons": dict(done.reasons),
        "doubts": [[doubt.start, doubt.end, doubt.type, doubt.reason] for doubt in done.doubts],
    }


def unpack_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a packed entry with rows of `replacements` and `kept`, as earlier versions wrote it."""
    if "columns" not in entry:
        return entry
    replacements, kept = entry.pop("columns"), entry["kept"]
    for places in (_IN_MASKED, _IN_SOURCE):
        _to_places(replacements, places)
    _to_places(kept, _IN_KEPT)
    return {**entry, "replacements": [*zip(*replacements, strict=True)], "kept": [*zip(*kept, strict=True)]}


_Places = tuple[int, int, int | None]


def _to_columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _to_distances(columns: list[list[Any]], places: _Places) -> None:
    """Replace starts by distances from the end before, and ends by what a row is longer than its text."""
    if not columns:
        return
    starts, ends, lengths = _measure(columns, places)
    columns[places[0]] = [start - before for start, before in zip(starts, [0, *ends[:-1]], strict=True)]
    columns[places[1]] = [end - start - n for start, end, n in zip(starts, ends, lengths, strict=True)]


def _to_places(columns: list[list[Any]], places: _Places) -> None:
    """Undo `_to_distances`."""
    if not columns:
        return
    distances, longer, lengths = _measure(columns, places)
    starts, ends = list[int](), list[int]()
    for distance, more, length in zip(distances, longer, lengths, strict=True):
        starts.append(distance + (ends[-1] if ends else 0))
        ends.append(starts[-1] + length + more)
    columns[places[0]], columns[places[1]] = starts, ends


def _measure(columns: Sequence[list[Any]], places: _Places) -> tuple[list[int], list[int], list[int]]:
    start, end, text = places
    lengths = [0] * len(columns[start]) if text is None else [len(value) for value in columns[text]]
    return columns[start], columns[end], lengths


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
    for doc_id, start, entry in _read_rows(workspace, index, list(doc_ids)):
        masked = MaskedText(
            " " * entry["length"],  # the text is not needed
            tuple(Replacement(*row) for row in entry["replacements"]),
            tuple(KeptSpan(Span(*row[:-1]), row[-1]) for row in entry["kept"]),
        )
        # Entries of earlier versions have no places.
        doubts = tuple(Leftover(*row) for row in entry.get("doubts", ()))
        done[doc_id].append((Piece(start, "", ()), CheckedText(masked, entry["reasons"], doubts)))
    entries: dict[str, VaultEntry] = {}
    for doc_id, pieces in done.items():
        whole = join_pieces(pieces)
        masked = whole.masked
        entries[doc_id] = VaultEntry(masked.replacements, masked.kept, whole.reasons, whole.doubts)
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
            content = unseal(keys[doc_id], row["payload"], f"vault:{doc_id}:{start}")
            yield doc_id, start, unpack_entry(json.loads(content))
