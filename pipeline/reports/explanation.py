"""Why each span of a document was masked or kept: from what its masking has stored, sealed, in the vault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lexveil.nlp.masking.policy import Action, Policy, explain_action
from lexveil.nlp.recognizers.scores import ALLOWED, DENIED, REVIEWER, SECOND_PASS
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.masking.vault import VaultEntry, read_vault
from lexveil.pipeline.reports.review_page import select_documents
from lexveil.pipeline.stages.find import describe_detection
from lexveil.pipeline.stages.mask import describe_masking
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.tables import compute_digest, part_path
from lexveil.pipeline.workspace.workspace import Workspace

_OTHER_SETTINGS = "other settings or another version masked this document: which rule led to it is not stored"
# Recognizers whose spans no rule of the policy decides.
_DECIDED = {
    SECOND_PASS: "the second pass found it readable, as a form of something that is masked",
    REVIEWER: "a reviewer added it",
    DENIED: "mask.deny lists it",
}


def explain_document(workspace: Workspace, name: str, with_text: bool = False) -> dict[str, Any]:
    """Explain the spans of a masked document. Needs the master key.

    Args:
        workspace: the workspace.
        name: its doc_id, or the id that it has in the source.
        with_text: also return the characters of each span.

    Returns:
        `doc_id`, `verdict`, `reasons` (findings of the second pass by name), `policy` and `spans`: a row each
        with start and end in the original, type, what was done, recognizer, score, role, and why.

    Raises:
        SourceError: there is no such document.
        WorkspaceError: nothing has been masked, or the document was ingested after the last masking.
    """
    ((doc_id, shard),) = [*select_documents(workspace, [name]).items()][:1] or [("", 0)]
    entry = read_vault(workspace, shard, [doc_id]).get(doc_id)
    if entry is None:
        raise WorkspaceError("this document has not been masked yet, or its key is destroyed")
    mask = workspace.settings.mask
    made_by = tables.read_notes(part_path(workspace.masked, shard)).get("settings")
    is_current = made_by == compute_digest([describe_detection(mask), describe_masking(mask)])
    policy = mask.policy if is_current else None
    text = read_raw(workspace, shard, [doc_id])[0].text if with_text else ""
    rows = sorted(_list_rows(entry, policy), key=lambda row: row["start"])
    if with_text:
        rows = [{**row, "text": text[row["start"] : row["end"]]} for row in rows]
    return {
        "doc_id": doc_id,
        "verdict": entry.verdict,
        "reasons": dict(entry.reasons),
        "policy": f"preset {mask.preset} with the settings in use" if is_current else _OTHER_SETTINGS,
        "spans": rows,
    }


def _list_rows(entry: VaultEntry, policy: Policy | None) -> Iterator[dict[str, Any]]:
    for one in entry.replacements:
        span = Span(one.source_start, one.source_end, one.type, one.score, one.recognizer)
        yield _describe(span, one.action, one.role, policy)
    for kept in entry.kept:
        yield _describe(kept.span, "keep", kept.role, policy)


def _describe(span: Span, action: Action, role: str, policy: Policy | None) -> dict[str, Any]:
    return {
        "start": span.start,
        "end": span.end,
        "type": span.type,
        "done": action,
        "recognizer": span.recognizer,
        "score": span.score,
        "role": role,
        "why": _explain(span, action, role, policy),
    }


def _explain(span: Span, action: Action, role: str, policy: Policy | None) -> str:
    if span.recognizer in _DECIDED and action != "keep":
        return _DECIDED[span.recognizer]
    if span.recognizer == ALLOWED:
        return (
            "mask.allow lists it" if action == "keep" else "mask.allow lists it, but it is a part of a name"
        )
    return explain_action(policy, span, role, action) if policy else "not stored"
