"""What reviewers decided about single spans: read from files, kept in the workspace, applied when masking.

A decisions file is what the review page (`lexveil.pipeline.reports.review_page`) exports:

    {"doc_id": ..., "digest": ..., "decisions": [{"start", "end", "type", "verdict"}, ...]}

It holds offsets of the original text and types, never text, and is the whole state of its document: storing
another replaces it. `digest` is keyed, so that nobody can confirm a guess of the text by it.

* **accept**: these characters are masked, under this type, whatever a later detector finds.
* **reject**: what was found at or within these characters stays readable, and so does every other span of the
  same string, unless some decision of the document says that this string is personal.
* **add**: these characters are masked, and so is every identical string of the document (as whole words; not
  strings of one or two letters, which are words of their own elsewhere). No policy leaves them readable.

Where decisions contradict each other, what masks more wins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from lexveil.nlp.masking.policy import REVIEWER
from lexveil.nlp.text import NormalizedText, Span
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
    "language": "no detector speaks this language",
    "reviewer": "left readable by a reviewer",
    "repaired": "masked on a second look",
}

Verdict = Literal["accept", "reject", "add"]

_PURPOSE = "review"

_BEYOND_LATIN = "\u2e80"  # from here on, scripts write no space between words


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on characters [start, end) of the original text."""

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

    def decided(self) -> tuple[Decision, ...]:
        return tuple(Decision(e.start, e.end, e.type, e.verdict) for e in self.decisions)


def review_folder(workspace: Workspace) -> Path:
    """Where decisions lie: under the protected root, where every worker finds them."""
    return workspace.protected / "review"


def pages_folder(workspace: Workspace) -> Path:
    """Where pages and gold lie. They hold raw text, so they never leave this machine."""
    return workspace.local / "review"


def compute_text_digests(workspace: Workspace, texts: Sequence[str]) -> list[str]:
    """A keyed digest of each text, to tell whether offsets still belong to it."""
    key = workspace.keys.purpose_key(_PURPOSE)
    return [content_id(key, text.encode("utf-8", "surrogatepass")) for text in texts]


def store_decisions(workspace: Workspace, path: Path) -> int:
    """Keep the decisions of a file, or of all `decisions-*.json` of a folder. Returns how many documents.

    Raises:
        SourceError: a file is no decisions file, or doesn't fit its document; nothing was written.
    """
    files = {found.name: _read(found) for found in _files_of(path)}
    given: dict[str, _File] = {}
    for name, file in files.items():
        if file.doc_id in given:
            raise SourceError(f"{name}: another file decides about the same document")
        given[file.doc_id] = file
    texts = _texts(workspace, given)
    digests = dict(zip(texts, compute_text_digests(workspace, list(texts.values())), strict=True))
    for name, file in files.items():
        if file.doc_id not in texts:
            raise SourceError(f"{name}: this workspace has no such document, or it was erased")
        if file.digest != digests[file.doc_id]:
            raise SourceError(
                f"{name}: the document's text isn't the one that was reviewed; write its page anew"
            )
        _check(file, len(texts[file.doc_id]), name)
    for file in files.values():
        place = _place(workspace, file.doc_id)
        if file.decisions:
            place.parent.mkdir(mode=0o700, exist_ok=True)
            write_bytes(place, (file.model_dump_json() + "\n").encode(), mode=0o600)
        else:
            place.unlink(missing_ok=True)
    return len(files)


def load_decisions(workspace: Workspace, documents: Iterable[Document]) -> dict[str, tuple[Decision, ...]]:
    """The decisions about each of these documents that has any, if its text is still the one reviewed."""
    there = {path.name for path in review_folder(workspace).glob("decisions-*.json")}
    files = {
        document.doc_id: (document, _read(_place(workspace, document.doc_id)))
        for document in documents
        if _place(workspace, document.doc_id).name in there
    }
    digests = compute_text_digests(workspace, [document.text for document, _ in files.values()])
    return {
        doc_id: file.decided()
        for (doc_id, (_, file)), digest in zip(files.items(), digests, strict=True)
        if file.digest == digest
    }


def compute_decisions_digests(workspace: Workspace) -> dict[str, str]:
    """doc_id -> digest of its decisions, for every document that has any: a shard's key depends on them."""
    found = sorted(review_folder(workspace).glob("decisions-*.json"))
    return {
        path.stem.removeprefix("decisions-"): compute_digest(path.read_text(encoding="utf-8"))
        for path in found
    }


def remove_review(workspace: Workspace, doc_id: str) -> int:
    """Remove the page, the decisions and the gold of a document. Returns how many were there."""
    folder = pages_folder(workspace)
    there = [path for path in (_place(workspace, doc_id), folder / f"{doc_id}.html") if path.exists()]
    if there:
        (folder / "index.html").unlink(missing_ok=True)  # it names the document
    for path in there:
        path.unlink()
    gold = folder / "gold.jsonl"
    lines = gold.read_bytes().strip().split(b"\n") if gold.exists() else []
    kept = [line for line in lines if json.loads(line)["id"] != doc_id]
    if len(kept) < len(lines):
        write_bytes(gold, b"".join(line + b"\n" for line in kept), mode=0o600)
    return len(there) + len(lines) - len(kept)


def apply_decisions(spans: Sequence[Span], decisions: Sequence[Decision], text: str) -> list[Span]:
    """The spans after review: sorted, none overlapping, in characters of `text`.

    Spans that a reviewer made have score 1 and `Reviewer` as recognizer; accepted ones keep theirs.
    """
    if not decisions:
        return list(spans)
    rejected = [d for d in decisions if d.verdict == "reject"]
    upheld = [d for d in decisions if d.verdict != "reject"]
    personal = {_folded(text, d.start, d.end) for d in upheld}
    readable = {_folded(text, d.start, d.end) for d in rejected} - personal
    found = {(span.start, span.end): span for span in spans}

    def stays(start: int, end: int) -> bool:
        return any(d.start <= start and end <= d.end for d in rejected)

    made = [
        replace(found[d.start, d.end], type=d.type)
        if d.verdict == "accept" and (d.start, d.end) in found
        else Span(d.start, d.end, d.type, 1.0, REVIEWER)
        for d in upheld
    ]
    added = [d for d in upheld if d.verdict == "add"]
    document = NormalizedText.of(text if added else "")
    made += [
        Span(start, end, d.type, 1.0, REVIEWER)
        for d in added
        for start, end in _identical(document, text[d.start : d.end])
        if not stays(start, end)
    ]
    left = [
        span
        for span in spans
        if not stays(span.start, span.end) and _folded(text, span.start, span.end) not in readable
    ]
    return _united(made, left)


def _united(made: Sequence[Span], left: Sequence[Span]) -> list[Span]:
    """Overlapping spans as one, under the reviewer's type, so that nothing that was masked comes free."""
    ranked = sorted([(span, True) for span in made] + [(span, False) for span in left], key=_by_place)
    result: list[tuple[Span, bool]] = []
    for span, by_person in ranked:
        last, last_by_person = result[-1] if result else (span, by_person)
        if not result or span.start >= last.end:
            result.append((span, by_person))
            continue
        first = by_person > last_by_person
        leading = span if first else last
        union = replace(leading, start=min(last.start, span.start), end=max(last.end, span.end))
        result[-1] = (union, by_person or last_by_person)
    return [span for span, _ in result]


def _by_place(entry: tuple[Span, bool]) -> tuple[int, int]:
    return entry[0].start, -entry[0].end


def _folded(text: str, start: int, end: int) -> str:
    return " ".join(NormalizedText.of(text[start:end]).text.casefold().split())


def _identical(document: NormalizedText, surface: str) -> Iterator[tuple[int, int]]:
    """Every place of a string, in characters of the original text."""
    words = NormalizedText.of(surface).text.split()
    string = "".join(words)
    shortest = 2 if string[:1] >= _BEYOND_LATIN else 3
    if len(string) < shortest:
        return
    before = r"(?<!\w)" if string[0].isalnum() and string[0] < _BEYOND_LATIN else ""
    after = r"(?!\w)" if string[-1].isalnum() and string[-1] < _BEYOND_LATIN else ""
    for match in re.finditer(before + r"\s+".join(map(re.escape, words)) + after, document.text):
        yield document.to_original(match.start(), match.end())


def _place(workspace: Workspace, doc_id: str) -> Path:
    return review_folder(workspace) / f"decisions-{doc_id}.json"


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        if found := sorted(path.glob("decisions-*.json")):
            return found
        raise SourceError(f"there is no decisions-*.json in {path}")
    if path.is_file():
        return [path]
    raise SourceError(f"there is no file or folder {path}")


def _read(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_bytes())
    except OSError:
        raise SourceError(f"can't read {path}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SourceError(f"{path.name}: {where or 'no decisions file'}: {first['msg']}") from None


def _check(file: _File, length: int, name: str) -> None:
    seen: set[tuple[int, int]] = set()
    for number, entry in enumerate(file.decisions):
        if not entry.start < entry.end <= length:
            raise SourceError(
                f"{name}: decisions.{number}: [{entry.start}, {entry.end}) is outside of the document's text"
            )
        if (entry.start, entry.end) in seen:
            raise SourceError(f"{name}: decisions.{number}: the same characters are decided about twice")
        seen.add((entry.start, entry.end))


def _texts(workspace: Workspace, doc_ids: Iterable[str]) -> dict[str, str]:
    """The text of each of these documents that is there."""
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
