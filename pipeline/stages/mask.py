"""Mask: encrypted documents and their spans -> masked text, and a vault that restores it for the key holder.

The policy (`lexveil.nlp.masking.policy`) decides what happens to a span. Entities are resolved within a
document, or over all documents of an owner. A second pass checks each masked text
(`lexveil.nlp.masking.anonymize`): a document that fails is held back.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.nlp.masking.anonymize import (
    Piece,
    Verdict,
    anonymize_pieces,
    derive_verdict,
    split_pieces,
)
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.pipeline.masking.decisions import compute_decisions_digests, load_decisions
from lexveil.pipeline.masking.detections import DetectionPart, list_kept_documents
from lexveil.pipeline.masking.matters import MatterScopes
from lexveil.pipeline.masking.reviewed_spans import apply_decisions
from lexveil.pipeline.masking.texts import HELD_BACK
from lexveil.pipeline.masking.vault import pack_entry
from lexveil.pipeline.records import (
    CountKind,
    Document,
    ForEach,
    Manifest,
    Shard,
    ShardResult,
    run_one_by_one,
)
from lexveil.pipeline.settings import OWN_RULES, MaskSettings
from lexveil.pipeline.stages.find import describe_detection, find
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.documents import DocumentIds, read_raw
from lexveil.pipeline.workspace.shards import run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.pseudonyms import surrogate_seed
from lexveil.privacy.vault import seal


def mask(workspace: Workspace, each: ForEach = run_one_by_one) -> Manifest:
    """Find and mask the personal information of every kept document.

    Another policy or a reviewer's decisions mask documents again without another detection.

    Masking is not anonymity: what no recognizer finds stays, and a reader who knows the case may recognize
    the people in it.

    Args:
        workspace: the workspace.
        each: runs the shards.

    Returns:
        The manifest, with the counts `documents` (that passed), `spans`, `span:<TYPE>`, `verdict:<VERDICT>`
        (PASS, REVIEW, FAIL), `reason:<REASON>` and `quarantine:second_pass`.

    Raises:
        WorkspaceError: nothing has been ingested.
    """
    found = find(workspace, each)
    facts = describe_masking(workspace.settings.mask)
    dependencies = _collect_dependencies(workspace, found)
    shards = [
        Shard(entry.index, compute_digest([*dependencies[entry.index], *facts.values()]))
        for entry in found.shards
    ]
    work = functools.partial(mask_shard, workspace)
    beside = (workspace.vault, workspace.held_back)
    masked = run_stage(workspace.masked, "mask", shards, work, each, facts, beside)
    return replace(masked, redone={**found.redone, **masked.redone})


def describe_masking(mask: MaskSettings) -> dict[str, Any]:
    """Return what a masked text depends on, apart from what was found in it."""
    settings = mask.model_dump(mode="json", exclude={"detector", *OWN_RULES})
    return {"settings": settings, "code": code_digest(__name__)}


def mask_shard(workspace: Workspace, shard: Shard) -> ShardResult:
    """Mask and check the documents of one shard."""
    documents = read_raw(workspace, shard.index, list_kept_documents(workspace, shard.index))
    # Otherwise the ciphertext of a large document would stay in memory with its text.
    pa.default_memory_pool().release_unused()
    masking = _ShardMasking(workspace, shard.index, documents)
    vault: list[pa.RecordBatch] = []
    documents.reverse()
    # Popped, so that no document's text stays in memory with the masked texts.
    outcomes = [masking.mask(documents.pop(), vault) for _ in range(len(documents))]
    del masking  # frees the names of whole matters
    tables.write_part(workspace.vault, shard, pa.Table.from_batches(vault, tables.VAULT))
    vault.clear()
    failed = [
        {"doc_id": outcome.document.doc_id, "reason": HELD_BACK, "reasons": json.dumps(outcome.reasons)}
        for outcome in outcomes
        if outcome.verdict == "FAIL"
    ]
    tables.write_part(workspace.held_back, shard, pa.Table.from_pylist(failed, schema=tables.HELD_BACK))
    made_by = compute_digest(
        [describe_detection(workspace.settings.mask), describe_masking(workspace.settings.mask)]
    )
    return _write_masked(workspace, shard, outcomes, made_by)


@dataclass(frozen=True, slots=True)
class _Outcome:
    document: Document  # without its text
    text: bytearray = field(repr=False)  # UTF-8: in a `str`, one dash makes every character take two bytes
    spans: Mapping[str, int]  # by type
    reasons: Mapping[str, int]

    @property
    def verdict(self) -> Verdict:
        return derive_verdict(self.reasons)


class _ShardMasking:
    """Masking of one shard's documents: what was found in them, the reviewers' decisions and the scopes."""

    def __init__(self, workspace: Workspace, index: int, documents: Sequence[Document]) -> None:
        doc_ids = [document.doc_id for document in documents]
        self._policy = workspace.settings.mask.policy
        self._found = DetectionPart(workspace, index, doc_ids, "spans")
        self._names = DetectionPart(workspace, index, doc_ids, "names")
        self._decisions = load_decisions(workspace, documents)
        store = workspace.keys
        self._keys = store.existing_keys(doc_ids)
        self._pseudonym_key = store.purpose_key("pseudonyms")
        self._ids = DocumentIds(store)
        matter = workspace.settings.mask.scope == "matter"
        self._matters = MatterScopes(workspace, documents, self._pseudonym_key) if matter else None

    def mask(self, document: Document, vault: list[pa.RecordBatch]) -> _Outcome:
        """Mask one document, and append its rows to `vault`."""
        doc_id = document.doc_id
        starts, pieces, scope = self._prepare(document)
        document = replace(document, text="")  # freed, if it is large
        text = bytearray()
        spans: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        checked = anonymize_pieces(
            pieces,
            self._policy,
            scope,
            self._found.served(doc_id),
            language=self._found.language(doc_id),
        )
        for start in starts:
            done = next(checked)
            text += done.text.encode()
            spans.update(r.type for r in done.masked.replacements)
            reasons.update(done.reasons)
            payload = json.dumps(pack_entry(done), separators=(",", ":")).encode()
            sealed = seal(self._keys[doc_id], payload, f"vault:{doc_id}:{start}", compress=True)
            row = {"doc_id": doc_id, "start": start, "payload": sealed}
            vault.append(pa.RecordBatch.from_pylist([row], tables.VAULT))  # rows of Python would be copied
            del done, payload  # before the next piece is read
        return _Outcome(document, text, spans, dict(sorted(reasons.items())))

    def _prepare(self, document: Document) -> tuple[Sequence[int], Callable[[], Iterable[Piece]], Scope]:
        """Prepare to mask a document.

        Returns:
            Where its pieces begin, a function that yields them after review, and the scope of its entities.
        """
        doc_id = document.doc_id
        decided = self._decisions.get(doc_id, ())
        if decided:
            spans = apply_decisions(self._found.spans(document), decided, document.text)
            rejected = [(d.start, d.end) for d in decided if d.verdict == "reject"]
            reviewed = list(split_pieces(document.text, spans, rejected))
            names = [DocumentNames.read(document.text, spans)]
            starts = [piece.start for piece in reviewed]
            pieces: Callable[[], Iterable[Piece]] = functools.partial(iter, reviewed)
        else:
            names = self._names.names(doc_id)
            starts = self._found.starts(doc_id)
            pieces = self._found.pack(document)
        if self._matters:
            return starts, pieces, self._matters.scope(document.owner)
        # Not `doc_id`: in a workspace of an earlier version it depends on which owner brought the text first.
        own_id = self._ids.document(document.named_owner, self._ids.content(document.text))
        keyed = functools.partial(surrogate_seed, self._pseudonym_key, own_id)
        return starts, pieces, Scope(names, keyed, self._found.language(doc_id))


def _collect_dependencies(workspace: Workspace, found: Manifest) -> dict[int, list[Any]]:
    """Return what the masking of each shard depends on: what was found in it, or in its owners' documents.

    What was found in a shard says which documents it has.
    """
    facts: dict[int, list[Any]] = {shard.index: [shard.digest] for shard in found.shards}
    decided = compute_decisions_digests(workspace)
    by_matter = workspace.settings.mask.scope == "matter"
    if not decided and not by_matter:
        return facts
    catalogue = workspace.catalogue.read(columns=["doc_id", "owner", "shard"])
    if not by_matter:
        ids = pa.array(sorted(decided), pa.string())
        catalogue = catalogue.filter(pc.is_in(catalogue.column("doc_id"), value_set=ids))
    # By document, not by shard: one changed file must not mask again the matters of other files in its shard.
    finding = compute_digest(describe_detection(workspace.settings.mask))
    by_owner: dict[str, list[Any]] = defaultdict(lambda: [finding])
    rows = catalogue.to_pylist()
    for row in rows:
        entry = [row["doc_id"], decided.get(row["doc_id"])]
        facts[row["shard"]].append(entry)
        by_owner[row["owner"]].append(entry)
    if by_matter:
        of_owner = {owner: compute_digest(entries) for owner, entries in by_owner.items()}
        for row in rows:
            facts[row["shard"]].append(of_owner[row["owner"]])
    return facts


def _write_masked(
    workspace: Workspace,
    shard: Shard,
    outcomes: Sequence[_Outcome],
    made_by: str,
) -> ShardResult:
    passed = [outcome for outcome in outcomes if outcome.verdict != "FAIL"]
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts[CountKind.VERDICT.key(outcome.verdict)] += 1
        counts.update({CountKind.REASON.key(reason): n for reason, n in outcome.reasons.items()})
    for outcome in passed:
        counts.update({CountKind.SPAN.key(kind): n for kind, n in outcome.spans.items()})
        counts["spans"] += sum(outcome.spans.values())
    counts["documents"] = len(passed)
    if len(passed) < len(outcomes):
        counts[CountKind.QUARANTINE.key(HELD_BACK)] = len(outcomes) - len(passed)
    table = pa.table(
        {
            **tables.build_document_columns([outcome.document for outcome in passed]),
            "text": tables.build_text_column([outcome.text for outcome in passed]),
            "n_spans": [sum(outcome.spans.values()) for outcome in passed],
            "spans": [json.dumps(outcome.spans, sort_keys=True) for outcome in passed],
            "verdict": [outcome.verdict for outcome in passed],
            "reasons": [json.dumps(outcome.reasons) for outcome in passed],
        },
        schema=tables.MASKED,
    )
    return tables.write_part(workspace.masked, shard, table, counts, {"settings": made_by})
