"""The masked documents of a workspace, each with what an export may contain about it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lexveil.nlp.masking.mask import Replacement
from lexveil.pipeline.masking.vault import read_vault
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import read_origins, read_raw
from lexveil.pipeline.workspace.workspace import Workspace

COLUMNS = ("doc_id", "text", "label", "split", "owner", "name", "verdict", "n_spans", "spans")
"""Columns that a table may have."""
USUAL_COLUMNS = ("doc_id", "text", "label", "split")
_LEAST = 3  # fewest characters of an original that is searched for in a name
_MASK = "masked"
_UNSAFE = re.compile(r"[^\w.()+,' -]+")
_LONGEST_NAME = 200  # bytes: file systems take 255


@dataclass(frozen=True, slots=True)
class MaskedDocument:
    """A masked document.

    Attributes:
        doc_id: its id.
        name: its name in the source, without what was masked in its text.
        text: the masked text.
        replacements: what was replaced, with the originals: secret.
        row: the other columns of the table of masked documents.
        source_id: its name in the source: secret.
        shard: number of its part.
    """

    doc_id: str
    name: str
    text: str = field(repr=False)
    replacements: tuple[Replacement, ...] = field(repr=False)
    row: dict[str, Any] = field(repr=False)
    source_id: str = field(repr=False)
    shard: int

    def select(self, columns: Sequence[str]) -> dict[str, Any]:
        """Return the values of columns."""
        values = {**self.row, "doc_id": self.doc_id, "text": self.text, "name": self.name}
        if "spans" in columns:
            values["spans"] = [
                {"start": one.start, "end": one.end, "type": one.type} for one in self.replacements
            ]
        return {column: values[column] for column in columns}


def iter_masked(workspace: Workspace) -> Iterator[MaskedDocument]:
    """Iterate over the masked documents, part by part. Needs the master key: names and spans are sealed."""
    shards: dict[int, list[str]] = {}
    for row in workspace.catalogue.read().select(["doc_id", "shard"]).to_pylist():
        shards.setdefault(row["shard"], []).append(row["doc_id"])
    for shard in sorted(shards):
        path = tables.part_path(workspace.masked, shard)
        if not path.exists():
            continue
        wanted = set(shards[shard])
        rows = [row for row in tables.read_part(path).to_pylist() if row["doc_id"] in wanted]
        ids = [row["doc_id"] for row in rows]
        origins = read_origins(workspace, shard, ids)
        vault = read_vault(workspace, shard, ids)
        for row in rows:
            doc_id = row["doc_id"]
            if doc_id not in origins:  # its key is destroyed
                continue
            replacements = vault[doc_id].replacements if doc_id in vault else ()
            source_id = origins[doc_id].source_id
            # Without the originals, the words to remove from its name are unknown.
            is_known = bool(replacements) or not row["n_spans"]
            name = mask_name(source_id, replacements) if is_known else doc_id
            yield MaskedDocument(doc_id, name, row.pop("text"), replacements, row, source_id, shard)


def read_original(workspace: Workspace, document: MaskedDocument) -> str:
    """Return the original text of a document."""
    found = read_raw(workspace, document.shard, [document.doc_id])
    return found[0].text if found else ""


def mask_name(name: str, replacements: Sequence[Replacement]) -> str:
    """Return the name of a file without the words that were masked in its text.

    A name may say who the parties are. Only words that masking found in the text are known to be personal.
    """
    # Some systems write names with their accents apart.
    name = unicodedata.normalize("NFC", name)
    originals = [unicodedata.normalize("NFC", one.original) for one in replacements]
    words = {word for one in originals for word in (one, *re.findall(r"\w+", one)) if len(word) >= _LEAST}
    if not words:
        return name
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", _MASK, name, flags=re.IGNORECASE)


class FileNames:
    """Names of files, each given once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def give(self, name: str, suffix: str) -> str:
        """Return the name of the file of a document: its own, with this suffix."""
        clean = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(" .") or "document"
        stem = clean[: -len(suffix)] if clean.lower().endswith(suffix) else clean
        stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore").strip(" .") or "document"
        number, found = 1, f"{stem}{suffix}"
        while found.lower() in self._taken:
            number += 1
            found = f"{stem}-{number}{suffix}"
        self._taken.add(found.lower())
        return found


def read_labels(label: str | None) -> list[str]:
    """Return the classes of a document: one, or those of a JSON list."""
    if label is None:
        return []
    if label.startswith("["):
        try:
            return [str(one) for one in json.loads(label)]
        except ValueError:
            pass
    return [label]
