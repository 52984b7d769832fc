"""Decisions of reviewers about single spans: read from files and stored in the workspace.

The review page (`lexveil.pipeline.reports.review_page`) exports a decisions file:

    {"doc_id": ..., "digest": ..., "decisions": [{"start", "end", "type", "verdict"}, ...]}

It contains offsets of the original text and types, never text. It is the complete state of its document:
another file about the document replaces it. `digest` is keyed, so that nobody can use it to confirm a guess
of the text.

* **accept**: these characters are masked, under this type, whatever a later detector finds.
* **reject**: spans at or within these characters stay readable, and so does every other span of the same
  string, unless another decision of the document marks this string as personal.
* **add**: these characters are masked, and so is every identical string of the document (as whole words; not
  strings of one or two letters, which are other words elsewhere). No policy leaves them readable.

Where decisions contradict each other, the one that masks more wins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.records import Document
from lexveil.pipeline.settings import EntityType
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import content_id

REASONS: Mapping[str, str] = {
    "string": "a masked string is left",
    "surname": "a masked surname is left",
    "rule": "a rule finds more",
    "revealed": "a replacement gives itself away",
    "near": "spellings near a masked name",
    "ambiguous": "words that may be a masked name",
    "case": "passages without capitals, where names are easily missed",
    "unseen": "words that look like a name",
    "likely": "words that are probably names, by all signs together",
    "rare": "words that the language lacks, which may be names",
    "language": "no detector covers this language",
    "reviewer": "left readable by a reviewer",
    "repaired": "masked on a second look",
}

Verdict = Literal["accept", "reject", "add"]

_PURPOSE = "review"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on characters [start, end) of the original text.

    Attributes:
        start: offset of the first character.
        end: offset after the last character.
        type: entity type.
        verdict: the verdict.
    """

    start: int
    end: int
    type: str
    verdict: Verdict


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: StrictInt = Field(ge=0)
    end: StrictInt
    type: EntityType
    verdict: Verdict


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    doc_id: str = Field(pattern=r"^[0-9a-f]{8,64}$")
    digest: str
    decisions: list[_Entry]

    def to_decisions(self) -> tuple[Decision, ...]:
        return tuple(Decision(e.start, e.end, e.type, e.verdict) for e in self.decisions)


def review_folder(workspace: Workspace) -> Path:
    """Folder of the decisions, under the protected root, where every worker can read them."""
    return workspace.protected / "review"


def pages_folder(workspace: Workspace) -> Path:
    """Folder of review pages and gold. They contain original text, so they never leave this machine."""
    return workspace.local / "review"


def compute_text_digests(workspace: Workspace, texts: Sequence[str]) -> list[str]:
    """Return a keyed digest of each text, which shows whether offsets still belong to it."""
    key = workspace.keys.purpose_key(_PURPOSE)
    return [content_id(key, text.encode("utf-8", "surrogatepass")) for text in texts]


def store_decisions(workspace: Workspace, path: Path) -> int:
    """Store the decisions of a file, or of all `decisions-*.json` of a folder.

    Returns:
        Number of documents.

    Raises:
        SourceError: a file is not a decisions file, or does not match its document; nothing is stored.
    """
    files = {file.name: _read(file) for file in _list_files(path)}
    _check_files(workspace, files)
    for file in files.values():
        stored = _decisions_path(workspace, file.doc_id)
        if file.decisions:
            stored.parent.mkdir(mode=0o700, exist_ok=True)
            write_bytes(stored, (file.model_dump_json() + "\n").encode(), mode=0o600)
        else:
            stored.unlink(missing_ok=True)
    return len(files)


def load_decisions(workspace: Workspace, documents: Iterable[Document]) -> dict[str, tuple[Decision, ...]]:
    """Return doc_id -> decisions for each document that has any, if its text is still the reviewed one."""
    names = {path.name for path in review_folder(workspace).glob("decisions-*.json")}
    files = {
        document.doc_id: (document, _read(_decisions_path(workspace, document.doc_id)))
        for document in documents
        if _decisions_path(workspace, document.doc_id).name in names
    }
    digests = compute_text_digests(workspace, [document.text for document, _ in files.values()])
    return {
        doc_id: file.to_decisions()
        for (doc_id, (_, file)), digest in zip(files.items(), digests, strict=True)
        if file.digest == digest
    }


def compute_decisions_digests(workspace: Workspace) -> dict[str, str]:
    """Return doc_id -> digest of the decisions, for each document that has any. Keys of shards contain it."""
    return {
        path.stem.removeprefix("decisions-"): compute_digest(path.read_text(encoding="utf-8"))
        for path in sorted(review_folder(workspace).glob("decisions-*.json"))
    }


def remove_review(workspace: Workspace, doc_id: str) -> int:
    """Remove the page, the decisions and the gold of a document.

    Returns:
        Number of files and lines removed.
    """
    folder = pages_folder(workspace)
    candidates = (_decisions_path(workspace, doc_id), folder / f"{doc_id}.html")
    existing = [path for path in candidates if path.exists()]
    if existing:
        (folder / "index.html").unlink(missing_ok=True)  # it names the document
    for path in existing:
        path.unlink()
    gold = folder / "gold.jsonl"
    lines = gold.read_bytes().strip().split(b"\n") if gold.exists() else []
    kept = [line for line in lines if json.loads(line)["id"] != doc_id]
    if len(kept) < len(lines):
        write_bytes(gold, b"".join(line + b"\n" for line in kept), mode=0o600)
    return len(existing) + len(lines) - len(kept)


def _decisions_path(workspace: Workspace, doc_id: str) -> Path:
    return review_folder(workspace) / f"decisions-{doc_id}.json"


def _list_files(path: Path) -> list[Path]:
    if path.is_dir():
        if files := sorted(path.glob("decisions-*.json")):
            return files
        raise SourceError(f"there is no decisions-*.json in {path}")
    if path.is_file():
        return [path]
    raise SourceError(f"there is no file or folder {path}")


def _read(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_bytes())
    except OSError:
        raise SourceError(f"cannot read {path}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SourceError(f"{path.name}: {field or 'not a decisions file'}: {first['msg']}") from None


def _check_files(workspace: Workspace, files: Mapping[str, _File]) -> None:
    by_document: dict[str, _File] = {}
    for name, file in files.items():
        if file.doc_id in by_document:
            raise SourceError(f"{name}: another file has decisions about the same document")
        by_document[file.doc_id] = file
    texts = _read_texts(workspace, by_document)
    digests = dict(zip(texts, compute_text_digests(workspace, list(texts.values())), strict=True))
    for name, file in files.items():
        if file.doc_id not in texts:
            raise SourceError(f"{name}: this workspace has no such document, or it was erased")
        if file.digest != digests[file.doc_id]:
            raise SourceError(f"{name}: the document's text is not the reviewed one; write its page again")
        _check_ranges(file, len(texts[file.doc_id]), name)


def _check_ranges(file: _File, length: int, name: str) -> None:
    seen: set[tuple[int, int]] = set()
    for number, entry in enumerate(file.decisions):
        if not entry.start < entry.end <= length:
            raise SourceError(
                f"{name}: decisions.{number}: [{entry.start}, {entry.end}) is outside the document's text"
            )
        if (entry.start, entry.end) in seen:
            raise SourceError(f"{name}: decisions.{number}: it repeats a decision about the same characters")
        seen.add((entry.start, entry.end))


def _read_texts(workspace: Workspace, doc_ids: Iterable[str]) -> dict[str, str]:
    """Read the texts of these documents, as far as the workspace has them."""
    wanted = set(doc_ids)
    by_shard: dict[int, list[str]] = {}
    for row in workspace.catalogue.read().select(["doc_id", "shard"]).to_pylist():
        if row["doc_id"] in wanted:
            by_shard.setdefault(row["shard"], []).append(row["doc_id"])
    return {
        document.doc_id: document.text
        for shard, ids in sorted(by_shard.items())
        for document in read_raw(workspace, shard, ids)
    }
