"""Encrypted documents of a workspace, and what could not be used, for the holder of the master key."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.pipeline.records import Document
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id, unseal

_SPACE = re.compile(r"\s")
_PIECE = 1 << 20
AND = "+"  # joins the owners of one document; ids are hexadecimal


def join_owners(ids: Iterable[str]) -> str:
    """Return what tables store for the owners of one document."""
    return AND.join(sorted(set(ids)))


def split_owners(owner: str) -> list[str]:
    """Return the ids of the owners that a table stores for one document."""
    return owner.split(AND)


class DocumentIds:
    """Ids of documents: keyed digests of the owner and the content.

    A text that several owners have is a document of each of them, so that no owner changes what another one
    has. A document that belongs to several owners together has their set in the place of the owner. One
    without an owner is its own owner, and its id is the digest of the content alone. Texts are equal if they
    are after Unicode composition and folding of white space.
    """

    def __init__(self, keys: KeyStore) -> None:
        self._owner = keys.purpose_key("owner-id")
        self._content = keys.purpose_key("doc-id")
        self._pair = keys.purpose_key("doc-id-of-owner")

    def owner(self, *names: str) -> str:
        """Return the id of an owner, or of a set of owners: the sorted ids of its members."""
        return join_owners(content_id(self._owner, name.encode()) for name in names)

    def content(self, text: str) -> str:
        """Return the digest of a content."""
        folded = " ".join(_iter_folded(unicodedata.normalize("NFC", text)))
        return content_id(self._content, folded.encode("utf-8", "surrogatepass"))

    def document(self, owner: str | None, content: str) -> str:
        """Return the id of an owner's document.

        Args:
            owner: id of the owner; None: the document is its own owner.
            content: digest of the content.
        """
        return content if owner is None else self._combine(owner, content)

    def tombstones(self, owner: str | None, content: str) -> list[str]:
        """Return what an erasure of the document leaves in the key table.

        The tombstones keep out the same content of the same owner, and the content without an owner.
        """
        return [content] if owner is None else [self._combine(owner, content), self._combine("", content)]

    def place(self, item: str, source_key: str) -> str:
        """Return the tombstone of a document inside of a file, whatever text is read there.

        Args:
            item: id of the source item, which is another one if the file changes.
            source_key: keyed digest of the document's id in its source.
        """
        return self._combine(f"{item}@", source_key)

    def kept_out_by(self, owner: str | None, content: str, is_new_part: bool = False) -> list[str]:
        """Return the tombstones that keep the document out.

        Args:
            owner: id of the owner; None: the document is its own owner.
            content: digest of the content.
            is_new_part: nobody names its owner, which is the document that contains it, and the workspace
                does not hold it: the owner that it was erased with may have had another text.

        That of a content without an owner keeps it out whoever brings it: earlier versions of Lexveil left no
        others, and a document that was erased must not come back because its records now name an owner.
        """
        stones = [content, self._combine(owner or "", content)]
        return [*stones, self._combine("", content)] if is_new_part else stones

    def _combine(self, owner: str, content: str) -> str:
        return content_id(self._pair, f"{owner}:{content}".encode())


def _iter_folded(text: str) -> Iterator[str]:
    """Yield pieces of a text with single spaces between words: all words at once take much memory."""
    start = 0
    while start < len(text):
        space = _SPACE.search(text, start + _PIECE)
        end = space.start() if space else len(text)
        if piece := " ".join(text[start:end].split()):
            yield piece
        start = end


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Something that could not be used.

    Attributes:
        item: id by which it can be erased; of a document that masking held back, its doc_id.
        reason: reason code.
        where: location of what could not be read; of a document, its doc_id.
        content: keyed hash of what could not be read; None for a document.
        source: id of the source item that contains it; None for a document, and in earlier versions.
    """

    item: str
    reason: str
    where: str = field(repr=False)
    content: str | None = None
    source: str | None = None


def read_quarantine(workspace: Workspace) -> list[Quarantined]:
    """List what could not be read, then the documents that masking held back."""
    rows: list[Quarantined] = []
    for path in sorted(workspace.quarantine.glob("part-*.parquet")):
        rows += read_unreadable(workspace, path)
    for path in sorted(workspace.held_back.glob("part-*.parquet")):
        rows += (
            Quarantined(row["doc_id"], row["reason"], row["doc_id"])
            for row in tables.read_part(path).to_pylist()
        )
    return rows


def read_unreadable(workspace: Workspace, path: Path) -> list[Quarantined]:
    """Read what could not be read from a part of the quarantine, or of a copy of it."""
    rows = tables.add_missing_columns(tables.read_part(path), tables.QUARANTINE).to_pylist()
    keys = workspace.keys.existing_keys([row["source"] for row in rows if row["source"] is not None])
    found: list[Quarantined] = []
    for row in rows:
        # In a part of an earlier version, all locations have one key.
        key = keys.get(row["source"]) if row["source"] else workspace.keys.purpose_key("quarantine")
        if key is not None:  # else it was erased
            where = unseal(key, row["where"], f"quarantine:{row['item']}").decode()
            found.append(Quarantined(row["item"], row["reason"], where, row["content"], row["source"]))
    return found


def read_raw(workspace: Workspace, index: int, doc_ids: Iterable[str]) -> list[Document]:
    """Read and decrypt the given documents of one raw part, in the part's order.

    A document whose key was destroyed is left out.

    Args:
        workspace: the workspace.
        index: index of the part.
        doc_ids: ids of the documents.
    """
    return [
        Document(**row, text=content["text"], fields=content.get("fields", {}))
        for row, content in _iter_raw(workspace, index, doc_ids)
    ]


@dataclass(frozen=True, slots=True)
class Origin:
    """What is sealed beside the text of a document.

    Attributes:
        source_id: id in its source: the name of its file, or the value of the id field.
        fields: facts that its format states, such as court, date and parties. They are personal, as its text.
        notes: what the text does not show, counted by the codes of the readers.
    """

    source_id: str = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    notes: Mapping[str, int] = field(default_factory=dict[str, int])


def read_origins(workspace: Workspace, index: int, doc_ids: Iterable[str]) -> dict[str, Origin]:
    """Read where the given documents of one raw part come from, by their ids; see `read_raw`."""
    return {
        row["doc_id"]: Origin(content["id"], content.get("fields", {}), content.get("notes", {}))
        for row, content in _iter_raw(workspace, index, doc_ids)
    }


def _iter_raw(
    workspace: Workspace, index: int, doc_ids: Iterable[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the row and the unsealed content of documents."""
    wanted = set(doc_ids)
    keys = workspace.keys.existing_keys(sorted(wanted))
    path = tables.part_path(workspace.raw, index)
    columns = ["doc_id", "owner", "label", "split", "payload"]
    for row in tables.read_part(path, columns).to_pylist() if wanted else []:
        doc_id, sealed = row["doc_id"], row.pop("payload")  # frees each ciphertext once its text is there
        if doc_id in wanted and doc_id in keys:
            yield row, json.loads(unseal(keys[doc_id], sealed, f"raw:{doc_id}"))
