"""The review page: a document's text with what was masked in it, to accept, reject and add spans by keyboard.

Each page is one HTML file that loads nothing from the network. It contains raw text, so it is written to the
protected root, readable by its owner only (0600), and is named by the document's id. What was masked, and
why,
is read from the vault: nothing is detected again. The browser exports the decisions as a JSON file without
text (`lexveil.pipeline.masking.decisions`).

A reviewed document is gold: `write_gold` writes its text with the spans as decided, for the training of
detectors and for `lexveil detect evaluate`.
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

from markupsafe import Markup

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.readers import escape_name
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
from lexveil.pipeline.reports.charts import get_templates
from lexveil.pipeline.reports.notes import explain_notes
from lexveil.pipeline.workspace.documents import read_origins, read_raw
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import content_id

KEYS = "1234567890qwtyzxcvb"
"""Keys of the entity types on the page, in the order of `ENTITY_TYPES`."""
assert len(KEYS) >= len(ENTITY_TYPES)

_DOUBTFUL_FIRST = ("FAIL", "REVIEW", "PASS")
_GOLDEN_ANGLE = 137.508  # gives neighbors in the list of types very different hues


@dataclass(frozen=True, slots=True)
class ReviewSpan:
    """A span of the original text as the page shows it.

    Attributes:
        start: offset of its first character.
        end: offset behind its last character.
        type: entity type.
        score: score of the detection.
        recognizer: what detected it.
        role: role of the entity.
        entity: number of the entity; "" if it has none.
        token: what replaces it in the masked text.
        kind: "found", "kept" if the policy left it readable, or "doubt" if the second pass asks for a look.
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
    """A masked document, with everything that its page shows.

    Attributes:
        document: the original document.
        spans: what was masked, and what was kept on purpose.
        decisions: earlier decisions.
        digest: digest of the text, by which decisions are bound to it.
        verdict: verdict of the second pass.
        reasons: counts of its reasons.
        language: language of the text.
        notes: what the text does not show, by the codes of the readers.
    """

    document: Document = field(repr=False)
    spans: tuple[ReviewSpan, ...]
    decisions: tuple[Decision, ...]
    digest: str
    verdict: str = ""
    reasons: Mapping[str, int] = field(default_factory=dict)
    language: str = ""
    notes: Mapping[str, int] = field(default_factory=dict)


def write_reviews(workspace: Workspace, names: Sequence[str], progress: Progress | None = None) -> list[Path]:
    """Write the review pages of documents.

    Args:
        workspace: the workspace.
        names: doc_ids, or ids in the source. If there are none, all documents get a page, and a list of them
            begins with those that the second pass doubts.
        progress: is called after each page.

    Returns:
        Paths of the pages; the list comes first.

    Raises:
        WorkspaceError: nothing has been masked.
        SourceError: there is no such document.
    """
    selected = select_documents(workspace, names)
    folder = _make_folder(workspace)
    rows: list[dict[str, Any]] = []
    for reviewable in _read_reviewables(workspace, selected):
        path = _page_path(folder, reviewable.document.doc_id)
        write_bytes(path, render_review(reviewable).encode(), mode=0o600)
        rows.append(_build_row(reviewable))
        if progress is not None:
            progress("review", len(rows), len(selected))
    paths = [_page_path(folder, row["doc_id"]) for row in rows]
    if names:
        return paths
    rows.sort(key=lambda row: (_DOUBTFUL_FIRST.index(row["verdict"]), -len(row["reasons"]), row["doc_id"]))
    style, _ = _read_assets()
    template = get_templates().get_template("review_index.html.j2")
    index = template.render(rows=rows, style=Markup(style), style_hash=_csp_hash(style))  # noqa: S704  ours
    write_bytes(folder / "index.html", index.encode(), mode=0o600)
    return [folder / "index.html", *paths]


def _page_path(folder: Path, doc_id: str) -> Path:
    return folder / f"{doc_id}.html"


def _build_row(reviewable: Reviewable) -> dict[str, Any]:
    return {
        "doc_id": reviewable.document.doc_id,
        "verdict": reviewable.verdict,
        "reasons": _explain_reasons(reviewable.reasons),
        "language": reviewable.language,
        "notes": explain_notes(reviewable.notes),
        "spans": sum(span.kind != "doubt" for span in reviewable.spans),
        "decisions": len(reviewable.decisions),
    }


def _explain_reasons(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(REASONS.get(name, name), n) for name, n in sorted(reasons.items())]


def write_gold(workspace: Workspace) -> dict[str, Any]:
    """Write `gold.jsonl` next to the pages: span-JSONL of every document that has decisions.

    Its spans are what is masked after the decisions: accepted, added, and undecided ones.

    Returns:
        The path (`gold`), and the numbers of documents, spans and undecided spans.

    Raises:
        WorkspaceError: nothing has been masked.
        SourceError: no document has decisions.
    """
    decided = [path.stem.removeprefix("decisions-") for path in review_folder(workspace).glob("decisions-*")]
    reviewed = [
        reviewable
        for reviewable in _read_reviewables(workspace, select_documents(workspace, sorted(decided)))
        if decided and reviewable.decisions
    ]
    if not reviewed:
        raise SourceError("no document of this workspace has decisions; see `lexveil review --help`")
    counts = {"documents": 0, "spans": 0, "undecided": 0}
    lines: list[str] = []
    for reviewable in reviewed:
        spans = [span for span in reviewable.spans if span.kind == "found"]
        upheld = {(decision.start, decision.end) for decision in reviewable.decisions}
        counts["documents"] += 1
        counts["spans"] += len(spans)
        counts["undecided"] += sum((span.start, span.end) not in upheld for span in spans)
        record = {
            "id": reviewable.document.doc_id,
            "text": reviewable.document.text,
            "spans": [{"start": s.start, "end": s.end, "type": s.type, "entity": s.entity} for s in spans],
        }
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    path = _make_folder(workspace) / "gold.jsonl"
    write_bytes(path, "".join(lines).encode("utf-8", "surrogatepass"), mode=0o600)
    return {**counts, "gold": str(path)}


def render_review(reviewable: Reviewable) -> str:
    """Render a page as HTML. No string of the document can become markup."""
    style, script = _read_assets()
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
        get_templates()
        .get_template("review.html.j2")
        .render(
            doc_id=reviewable.document.doc_id,
            verdict=reviewable.verdict,
            reasons=_explain_reasons(reviewable.reasons),
            language=reviewable.language,
            notes=explain_notes(reviewable.notes),
            types=list(zip(ENTITY_TYPES, KEYS, strict=False)),
            style=Markup(style),  # noqa: S704  ours
            script=Markup(script),  # noqa: S704  ours
            style_hash=_csp_hash(style),
            script_hash=_csp_hash(script),
            data=_escape_json(data),
        )
    )


def _escape_json(data: Mapping[str, Any]) -> Markup:
    """Encode JSON that neither ends an element nor opens a comment, wherever it is in a page."""
    encoded = json.dumps(data)  # ASCII only
    for character in "<>&":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return Markup(encoded)  # noqa: S704  escaped above


@cache
def _read_assets() -> tuple[str, str]:
    """Return the pages' style sheet and script."""
    assets = Path(__file__).parent / "assets"
    hues = "".join(f".t{n} {{ --h: {n * _GOLDEN_ANGLE % 360:.0f}; }}\n" for n in range(len(ENTITY_TYPES)))
    style = hues + (assets / "review.css").read_text(encoding="utf-8")
    return style, (assets / "review.js").read_text(encoding="utf-8")


def _csp_hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _make_folder(workspace: Workspace) -> Path:
    folder = pages_folder(workspace)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def select_documents(workspace: Workspace, names: Sequence[str]) -> dict[str, int]:
    """Return the shard of each named document, or of all, by doc_id in the order of the catalogue.

    Args:
        workspace: the workspace.
        names: doc_ids, or ids that documents have in the source; none: all documents.

    Raises:
        WorkspaceError: nothing has been masked.
        SourceError: there is no such document.
    """
    if not list(workspace.vault.glob("part-*.parquet")):
        raise WorkspaceError("nothing has been masked in this workspace; run `lexveil mask` first")
    rows = workspace.catalogue.read().select(["doc_id", "source_key", "shard"]).to_pylist()
    if not names:
        return {row["doc_id"]: row["shard"] for row in rows}
    key = workspace.keys.purpose_key("source-id")
    source_keys = {name: content_id(key, escape_name(name).encode()) for name in names}
    known = {row["doc_id"] for row in rows} | {row["source_key"] for row in rows}
    if any(name not in known and source not in known for name, source in source_keys.items()):
        raise SourceError("there is no such document in this workspace")
    either = source_keys.keys() | set(source_keys.values())
    return {
        row["doc_id"]: row["shard"] for row in rows if row["doc_id"] in either or row["source_key"] in either
    }


def _read_reviewables(workspace: Workspace, selected: Mapping[str, int]) -> Iterator[Reviewable]:
    by_shard: dict[int, list[str]] = {}
    for doc_id, shard in selected.items():
        by_shard.setdefault(shard, []).append(doc_id)
    for shard, doc_ids in by_shard.items():
        yield from _read_shard(workspace, shard, doc_ids)


def _read_shard(workspace: Workspace, shard: int, doc_ids: Iterable[str]) -> Iterator[Reviewable]:
    documents = read_raw(workspace, shard, doc_ids)
    origins = read_origins(workspace, shard, [document.doc_id for document in documents])
    entries = read_vault(workspace, shard, [document.doc_id for document in documents])
    detections = DetectionPart(workspace, shard, list(entries), "spans")
    decisions = load_decisions(workspace, documents)
    digests = compute_text_digests(workspace, [document.text for document in documents])
    for document, digest in zip(documents, digests, strict=True):
        entry = entries.get(document.doc_id)
        if entry is not None:  # None: ingested after the last masking
            yield Reviewable(
                document,
                tuple(_list_spans(entry)),
                decisions.get(document.doc_id, ()),
                digest,
                entry.verdict,
                entry.reasons,
                detections.language(document.doc_id),
                origins[document.doc_id].notes,
            )


def _list_spans(entry: VaultEntry) -> Iterator[ReviewSpan]:
    for masked in entry.replacements:
        yield ReviewSpan(
            masked.source_start,
            masked.source_end,
            masked.type,
            masked.score,
            masked.recognizer,
            masked.role,
            str(masked.entity),
            masked.text,
        )
    for kept in entry.kept:
        span = kept.span
        yield ReviewSpan(
            span.start, span.end, span.type, span.score, span.recognizer, kept.role, "", "", "kept"
        )
    for doubt in entry.doubts:
        yield ReviewSpan(doubt.start, doubt.end, doubt.type, 0, REASONS[doubt.reason], "", "", "", "doubt")
