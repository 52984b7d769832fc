"""TODO docstring."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from typing import Any

from lexveil.nlp.entities.identity import Mention
from lexveil.nlp.masking.anonymize import Piece
from lexveil.nlp.masking.scope import DocumentNames
from lexveil.nlp.text import Span
from lexveil.pipeline.masking.detector import shift_span
from lexveil.pipeline.records import Document
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal, unseal


class DetectionPart:
    """What was found in documents of one part; opened document by document, piece by piece."""

    def __init__(self, workspace: Workspace, index: int, doc_ids: Iterable[str], what: str) -> None:
        self._keys = workspace.keys.existing_keys(list(doc_ids))
        self._what = what
        names = ["doc_id", "start", "end", "language", "served", what]
        path = tables.part_path(workspace.found, index)
        self._rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in tables.read_part(path, names).to_pylist() if self._keys else []:
            if row["doc_id"] in self._keys:
                self._rows[row["doc_id"]].append(row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def language(self, doc_id: str) -> str:
        return self._rows[doc_id][0]["language"]

    def served(self, doc_id: str) -> bool:
        return all(row["served"] for row in self._rows[doc_id])

    def pieces(self, document: Document) -> Iterator[Piece]:
        """The pieces of a document with their spans. Needs "spans"."""
        for row in self._rows[document.doc_id]:
            spans = tuple(Span(*span) for span in zip(*self._opened(row), strict=True))
            yield Piece(row["start"], document.text[row["start"] : row["end"]], spans)

    def spans(self, document: Document) -> list[Span]:
        """All spans of a document, in its characters."""
        return [shift_span(span, piece.start) for piece in self.pieces(document) for span in piece.spans]

    def named(self, doc_id: str) -> Iterator[DocumentNames]:
        """Who is named in each piece of a document. Needs "names"."""
        return (_named_from_json(self._opened(row)) for row in self._rows[doc_id])

    def _opened(self, row: dict[str, Any]) -> Any:
        place = f"{self._what}:{row['doc_id']}:{row['start']}"
        return json.loads(unseal(self._keys[row["doc_id"]], row[self._what], place))


def group_kept_documents(workspace: Workspace) -> dict[int, list[str]]:
    """The kept documents of each raw part."""
    wanted: dict[int, list[str]] = defaultdict(list)
    catalogue = workspace.catalogue.read()
    for row in catalogue.select(["doc_id", "shard"]).to_pylist():
        wanted[row["shard"]].append(row["doc_id"])
    return wanted


def list_kept_documents(workspace: Workspace, index: int) -> list[str]:
    """The kept documents of one raw part. Every shard asks, so no more than its own rows become objects."""
    return tables.to_strings(workspace.catalogue.read(index), "doc_id")


def seal_json(key: bytes, value: object, context: str) -> bytes:
    return seal(key, json.dumps(value).encode(), context)


def span_columns(spans: Sequence[Span]) -> list[list[object]]:
    return (
        [list(column) for column in zip(*map(astuple, spans), strict=True)] if spans else [[], [], [], [], []]
    )


def named_to_json(named: DocumentNames) -> dict[str, object]:
    mentions = sorted({mention for mention, _ in named.mentions})
    place = {mention: number for number, mention in enumerate(mentions)}
    return {
        "mentions": [astuple(mention) for mention in mentions],
        "roles": sorted([place[mention], role] for mention, role in named.mentions),
        "apart": sorted([place[a], place[b]] for a, b in named.apart),
        "taken": sorted(named.taken),
    }


def _named_from_json(told: dict[str, Any]) -> DocumentNames:
    mentions = [
        Mention(kind, form, tuple(words), generation, gender)
        for kind, form, words, generation, gender in told["mentions"]
    ]
    return DocumentNames(
        frozenset((mentions[place], role) for place, role in told["roles"]),
        frozenset((mentions[a], mentions[b]) for a, b in told["apart"]),
        frozenset((kind, number) for kind, number in told["taken"]),
    )
