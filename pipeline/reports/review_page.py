"""The review page: one document's text with what was masked in it, to accept, reject and add by keyboard.

Each page is one HTML file that asks nothing of the network. It holds raw text, so it is written under the
protected root only, for its owner's eyes (0600), and named by the document's id. What was masked, and why,
comes from the vault: nothing is detected again. Its decisions are exported by the browser as a JSON file
without text (`lexveil.pipeline.review`).

A document that was reviewed is gold: `write_gold` gives its text with the spans as decided, for the script
that trains detectors, and for `lexveil detect evaluate`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.pipeline.errors import SourceError, WorkspaceError
from lexveil.pipeline.masking.decisions import (
    REASONS,
    Decision,
    compute_text_digests,
    load_decisions,
    pages_folder,
    review_folder,
)
from lexveil.pipeline.masking.detections import DetectionPart
from lexveil.pipeline.masking.vault import VaultEntry, read_vault
from lexveil.pipeline.records import Document, Progress
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import content_id

KEYS = "1234567890qwtyzxcvb"
"""The key of each entity type on the page, in the order of `ENTITY_TYPES`."""
assert len(KEYS) >= len(ENTITY_TYPES)

_DOUBTFUL_FIRST = ("FAIL", "REVIEW", "PASS")
_GOLDEN_ANGLE = 137.508  # neighbours in the list of types get hues far apart


@dataclass(frozen=True, slots=True)
class ReviewSpan:
    """A span of the original text as the page shows it.

    token: what stands in its place. kind: "found", or "kept" where the policy left it readable.
    """

    start: int
    end: int
    type: str
    score: float
    recognizer: str
    role: str
    entity: str
    token: str = field(repr=False)
    kind: str = "found"


@dataclass(frozen=True, slots=True)
class Reviewable:
    """A masked document with all that its page shows."""

    document: Document = field(repr=False)
    spans: tuple[ReviewSpan, ...]
    decisions: tuple[Decision, ...]
    digest: str
    verdict: str = ""
    reasons: Mapping[str, int] = field(default_factory=dict)
    language: str = ""


def write_reviews(
    workspace: Workspace, names: Sequence[str], progress: Progress | None = None
) -> list[Path]:
    """Write the page of each of these documents (doc_id, or id in the source).

    Where none is named, of all documents, and first of all a list of them that begins with what the second
    pass doubts. Returns the paths.

    Raises:
        WorkspaceError: nothing has been masked. SourceError: there is no such document.
    """
    wanted = _wanted(workspace, names)
    folder = _folder(workspace)
    rows: list[dict[str, Any]] = []
    for reviewable in _read(workspace, wanted):
        write_bytes(_page(folder, reviewable.document.doc_id), render_review(reviewable).encode(), mode=0o600)
        rows.append(_row(reviewable))
        if progress is not None:
            progress("review", len(rows), len(wanted))
    paths = [_page(folder, row["doc_id"]) for row in rows]
    if names:
        return paths
    rows.sort(key=lambda row: (_DOUBTFUL_FIRST.index(row["verdict"]), -len(row["reasons"]), row["doc_id"]))
    style, _ = _assets()
    template = _environment().get_template("review_index.html.j2")
    listed = template.render(rows=rows, style=Markup(style), style_hash=_csp_hash(style))  # noqa: S704  ours
    write_bytes(folder / "index.html", listed.encode(), mode=0o600)
    return [folder / "index.html", *paths]


def _page(folder: Path, doc_id: str) -> Path:
    return folder / f"{doc_id}.html"


def _row(reviewable: Reviewable) -> dict[str, Any]:
    return {
        "doc_id": reviewable.document.doc_id,
        "verdict": reviewable.verdict,
        "reasons": _in_words(reviewable.reasons),
        "language": reviewable.language,
        "spans": len(reviewable.spans),
        "decisions": len(reviewable.decisions),
    }


def _in_words(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(REASONS.get(name, name), n) for name, n in sorted(reasons.items())]


def write_gold(workspace: Workspace) -> dict[str, Any]:
    """Write `gold.jsonl` beside the pages: span-JSONL of every document that has decisions.

    Its spans are what is masked after the decisions: accepted, added, and whatever nobody objected to.
    Returns the path, and how many documents, spans and undecided spans it holds.

    Raises:
        WorkspaceError: nothing has been masked. SourceError: no document has decisions.
    """
    decided = [path.stem.removeprefix("decisions-") for path in review_folder(workspace).glob("decisions-*")]
    reviewed = [
        found
        for found in _read(workspace, _wanted(workspace, sorted(decided)))
        if decided and found.decisions
    ]
    if not reviewed:
        raise SourceError("no document of this workspace has decisions; see `lexveil review --help`")
    counts = {"documents": 0, "spans": 0, "undecided": 0}
    lines: list[str] = []
    for found in reviewed:
        spans = [span for span in found.spans if span.kind == "found"]
        upheld = {(d.start, d.end) for d in found.decisions}
        counts["documents"] += 1
        counts["spans"] += len(spans)
        counts["undecided"] += sum((span.start, span.end) not in upheld for span in spans)
        record = {
            "id": found.document.doc_id,
            "text": found.document.text,
            "spans": [{"start": s.start, "end": s.end, "type": s.type, "entity": s.entity} for s in spans],
        }
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    path = _folder(workspace) / "gold.jsonl"
    write_bytes(path, "".join(lines).encode("utf-8", "surrogatepass"), mode=0o600)
    return {**counts, "gold": str(path)}


def render_review(reviewable: Reviewable) -> str:
    """The page as HTML. No string of the document is markup on it."""
    style, script = _assets()
    data = {
        "doc_id": reviewable.document.doc_id,
        "digest": reviewable.digest,
        "types": ENTITY_TYPES,
        "keys": list(KEYS[: len(ENTITY_TYPES)]),
        "text": reviewable.document.text,
        "spans": [astuple(span) for span in reviewable.spans],
        "decisions": [astuple(decision) for decision in reviewable.decisions],
    }
    return (
        _environment()
        .get_template("review.html.j2")
        .render(
            doc_id=reviewable.document.doc_id,
            verdict=reviewable.verdict,
            reasons=_in_words(reviewable.reasons),
            language=reviewable.language,
            types=list(zip(ENTITY_TYPES, KEYS, strict=False)),
            style=Markup(style),  # noqa: S704  ours
            script=Markup(script),  # noqa: S704  ours
            style_hash=_csp_hash(style),
            script_hash=_csp_hash(script),
            data=_inert(data),
        )
    )


def _inert(data: Mapping[str, Any]) -> Markup:
    """JSON that ends no element and opens no comment, wherever it stands in a page."""
    written = json.dumps(data)  # ASCII only
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return Markup(written)  # noqa: S704  just made so


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _assets() -> tuple[str, str]:
    assets = Path(__file__).parent / "assets"
    hues = "".join(f".t{n} {{ --h: {n * _GOLDEN_ANGLE % 360:.0f}; }}\n" for n in range(len(ENTITY_TYPES)))
    style = hues + (assets / "review.css").read_text(encoding="utf-8")
    return style, (assets / "review.js").read_text(encoding="utf-8")


def _csp_hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _folder(workspace: Workspace) -> Path:
    folder = pages_folder(workspace)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _wanted(workspace: Workspace, names: Sequence[str]) -> dict[str, int]:
    """doc_id -> shard of the named documents, in the order of the catalogue."""
    if not list(workspace.vault.glob("part-*.parquet")):
        raise WorkspaceError("nothing has been masked in this workspace; run `lexveil mask` first")
    rows = workspace.catalogue.read().select(["doc_id", "source_key", "shard"]).to_pylist()
    if not names:
        return {row["doc_id"]: row["shard"] for row in rows}
    key = workspace.keys.purpose_key("source-id")
    asked = {name: content_id(key, name.encode()) for name in names}
    known = {row["doc_id"] for row in rows} | {row["source_key"] for row in rows}
    if any(name not in known and source not in known for name, source in asked.items()):
        raise SourceError("there is no such document in this workspace")
    either = asked.keys() | set(asked.values())
    return {
        row["doc_id"]: row["shard"] for row in rows if row["doc_id"] in either or row["source_key"] in either
    }


def _read(workspace: Workspace, wanted: Mapping[str, int]) -> Iterator[Reviewable]:
    by_shard: dict[int, list[str]] = {}
    for doc_id, shard in wanted.items():
        by_shard.setdefault(shard, []).append(doc_id)
    for shard, doc_ids in by_shard.items():
        yield from _of_shard(workspace, shard, doc_ids)


def _of_shard(workspace: Workspace, shard: int, doc_ids: Iterable[str]) -> Iterator[Reviewable]:
    documents = read_raw(workspace, shard, doc_ids)
    entries = read_vault(workspace, shard, [document.doc_id for document in documents])
    found = DetectionPart(workspace, shard, list(entries), "spans")
    decisions = load_decisions(workspace, documents)
    digests = compute_text_digests(workspace, [document.text for document in documents])
    for document, digest in zip(documents, digests, strict=True):
        entry = entries.get(document.doc_id)
        if entry is not None:  # None: ingested since
            yield Reviewable(
                document,
                tuple(_spans(entry)),
                decisions.get(document.doc_id, ()),
                digest,
                entry.verdict,
                entry.reasons,
                found.language(document.doc_id),
            )


def _spans(entry: VaultEntry) -> Iterator[ReviewSpan]:
    for r in entry.replacements:
        yield ReviewSpan(
            r.source_start, r.source_end, r.type, r.score, r.recognizer, r.role, str(r.entity), r.text
        )
    for kept in entry.kept:
        span = kept.span
        yield ReviewSpan(
            span.start, span.end, span.type, span.score, span.recognizer, kept.role, "", "", "kept"
        )
