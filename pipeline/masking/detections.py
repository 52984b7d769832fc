"""What was found in the documents of a workspace: sealed by `find`, read by `mask` and by the review page."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from operator import attrgetter
from sys import intern
from typing import Any, Literal

import numpy as np

from lexveil.nlp.entities.identity import Mention
from lexveil.nlp.masking.anonymize import Piece
from lexveil.nlp.masking.scope import DocumentNames
from lexveil.nlp.text import Span
from lexveil.pipeline.masking.detector import shift_span
from lexveil.pipeline.records import Document
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal, unseal

# `dataclasses.astuple` copies what a field holds.
_SPAN = attrgetter(*(one.name for one in fields(Span)))
_MENTION = attrgetter(*(one.name for one in fields(Mention)))

SealedColumn = Literal["spans", "names"]


class DetectionPart:
    """What was found in some documents of one part, opened piece by piece."""

    def __init__(
        self, workspace: Workspace, index: int, doc_ids: Iterable[str], column: SealedColumn
    ) -> None:
        """Read a part.

        Args:
            workspace: the workspace.
            index: number of the part.
            doc_ids: the documents to read; documents without a key are left out.
            column: the column to open; methods that need the other one fail.
        """
        self._keys = workspace.keys.existing_keys(list(doc_ids))
        self._column: SealedColumn = column
        columns = ["doc_id", "start", "end", "language", "served", column]
        path = tables.part_path(workspace.found, index)
        self._rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in tables.read_part(path, columns).to_pylist() if self._keys else []:
            if row["doc_id"] in self._keys:
                self._rows[row["doc_id"]].append(row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def language(self, doc_id: str) -> str:
        """Return the language of a document: that of its first piece."""
        return self._rows[doc_id][0]["language"]

    def served(self, doc_id: str) -> bool:
        """Return True if the detector covers the language of every piece of a document."""
        return all(row["served"] for row in self._rows[doc_id])

    def starts(self, doc_id: str) -> list[int]:
        """Return where the pieces of a document begin."""
        return [row["start"] for row in self._rows[doc_id]]

    def pieces(self, document: Document) -> Iterator[Piece]:
        """Yield the pieces of a document with their spans. Needs the column "spans"."""
        return self._read_pieces(document.doc_id, lambda start, end: document.text[start:end])

    def pack(self, document: Document) -> Callable[[], Iterator[Piece]]:
        """Return `pieces` as a function that does not hold the document, only its compressed text.

        One Chinese character makes a text take two bytes a character, one rare symbol four.
        """
        doc_id, text = document.doc_id, document.text
        rows = self._rows[doc_id]
        if len(rows) == 1:
            return partial(self.pieces, document)
        packed = {
            row["start"]: zlib.compress(text[row["start"] : row["end"]].encode("utf-8", "surrogatepass"), 1)
            for row in rows
        }

        def unpack(start: int, _: int) -> str:
            return zlib.decompress(packed[start]).decode("utf-8", "surrogatepass")

        return partial(self._read_pieces, doc_id, unpack)

    def spans(self, document: Document) -> list[Span]:
        """Return all spans of a document, with offsets in the document. Needs the column "spans"."""
        return [shift_span(span, piece.start) for piece in self.pieces(document) for span in piece.spans]

    def names(self, doc_id: str) -> Iterator[DocumentNames]:
        """Yield the names in each piece of a document. Needs the column "names"."""
        return (_names_from_json(self._open(row)) for row in self._rows[doc_id])

    def _read_pieces(self, doc_id: str, read: Callable[[int, int], str]) -> Iterator[Piece]:
        for row in self._rows[doc_id]:
            spans = tuple(Span(*span) for span in zip(*self._open(row), strict=True))
            yield Piece(row["start"], read(row["start"], row["end"]), spans)

    def _open(self, row: dict[str, Any]) -> Any:
        context = _seal_context(self._column, row["doc_id"], row["start"])
        return json.loads(unseal(self._keys[row["doc_id"]], row[self._column], context))


def seal_spans(key: bytes, doc_id: str, start: int, spans: Sequence[Span]) -> bytes:
    """Seal the spans of the piece of a document that begins at `start`."""
    columns = [list(column) for column in zip(*map(_SPAN, spans), strict=True)]
    content = json.dumps(columns or [[]] * 5).encode()
    return seal(key, content, _seal_context("spans", doc_id, start), compress=True)


def seal_names(key: bytes, doc_id: str, start: int, names: DocumentNames) -> bytes:
    """Seal the names in the piece of a document that begins at `start`."""
    content = json.dumps(_names_to_json(names)).encode()
    return seal(key, content, _seal_context("names", doc_id, start), compress=True)


def digest_kept_documents(workspace: Workspace) -> dict[int, str]:
    """Return a digest of the kept documents of every raw part that has some, by its index."""
    catalogue = workspace.catalogue.read(columns=["doc_id", "shard"])
    ids: list[str] = tables.to_strings(catalogue, "doc_id")
    shards: Any = catalogue.column("shard").to_numpy()
    if not ids:
        return {}
    order = np.argsort(shards, kind="stable")
    numbers, starts = np.unique(shards[order], return_index=True)
    return {
        int(number): hashlib.sha256("\n".join(ids[row] for row in rows.tolist()).encode()).hexdigest()[:32]
        for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True)
    }


def list_kept_documents(workspace: Workspace, index: int) -> list[str]:
    """Return the kept documents of one raw part, without converting the rows of other parts."""
    return tables.to_strings(workspace.catalogue.read(index), "doc_id")


def _seal_context(column: SealedColumn, doc_id: str, start: int) -> str:
    return f"{column}:{doc_id}:{start}"


def _names_to_json(names: DocumentNames) -> dict[str, object]:
    mentions = sorted({mention for mention, _ in names.mentions})
    number = {mention: index for index, mention in enumerate(mentions)}
    return {
        "mentions": [_MENTION(mention) for mention in mentions],
        "roles": sorted([number[mention], role] for mention, role in names.mentions),
        "apart": sorted([number[a], number[b]] for a, b in names.apart),
        "taken": sorted(names.taken),
    }


def _names_from_json(data: dict[str, Any]) -> DocumentNames:
    # Interned: the names of a large document have few different words.
    mentions = [
        Mention(intern(kind), form, tuple(map(intern, words)), intern(generation), intern(gender))
        for kind, form, words, generation, gender in data["mentions"]
    ]
    return DocumentNames(
        frozenset((mentions[number], intern(role)) for number, role in data["roles"]),
        frozenset((mentions[a], mentions[b]) for a, b in data["apart"]),
        frozenset((kind, number) for kind, number in data["taken"]),
    )
