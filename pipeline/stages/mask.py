"""Mask: encrypted documents and their spans -> masked text, and a vault that restores it for the key holder.

What happens to a span is the policy's (`nlp.policy`); who is who is settled within a document, or over all
documents of an owner. Each masked text is looked at again (`nlp.anonymise`): what fails is held back.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import pyarrow as pa

from nlp.anonymise import Checked, anonymise
from nlp.mask import Kept, Place, Replacement, no_seed, restore
from nlp.mask import mask as mask_spans
from nlp.scope import Named, Scope
from nlp.surrogates import Seed
from nlp.text import Span
from pipeline import tables
from pipeline.errors import WorkspaceError
from pipeline.records import Document, ForEach, Manifest, Shard, ShardResult, one_by_one
from pipeline.review import apply_decisions, decisions_digests, stored_decisions
from pipeline.settings import MaskSettings, Settings
from pipeline.stages.find import detect, find, read_found, read_names, wanted_by_shard
from pipeline.stages.ingest import read_catalogue, read_raw
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, code_digest, key_store, run_stage
from privacy.pseudonyms import entity_id, seed
from privacy.vault import seal, unseal

HELD_BACK = "second_pass"  # why a document is in the quarantine
_CODE = (
    "nlp/text",
    "nlp/citations",
    "nlp/recognizers",
    "nlp/identity",
    "nlp/roles",
    "nlp/policy",
    "nlp/scope",
    "nlp/surrogates",
    "nlp/generalise",
    "nlp/mask",
    "nlp/second_pass",
    "nlp/anonymise",
    "pipeline/review",
    "pipeline/stages/mask",
)


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """What the vault holds of one document: how to undo its mask, and why it was put on.

    Attributes:
        entity_ids: keyed id of each replacement's entity, the same in all documents of the owner.
    """

    replacements: tuple[Replacement, ...] = field(repr=False)
    entity_ids: tuple[str, ...]
    kept: tuple[Kept, ...]
    verdict: str
    reasons: Mapping[str, int]
    language: str


def mask(workspace: Workspace, settings: Settings, each: ForEach = one_by_one) -> Manifest:
    """Find and mask the personal information of every kept document.

    The manifest's counts: documents (that came through), spans, `span:<TYPE>`, `verdict:<VERDICT>` (PASS,
    REVIEW, FAIL), `reason:<REASON>`, `quarantine:second_pass`. Another policy, or a reviewer's decisions,
    mask anew without detecting anew.

    Masking is not anonymity: what no recognizer finds stays, and a reader who knows the case may know the
    people in it.

    Raises:
        WorkspaceError: nothing has been ingested.
    """
    found = find(workspace, settings, each)
    facts = [settings.mask.model_dump(mode="json", exclude={"detector"}), code_digest(*_CODE)]
    depends = _dependencies(workspace, settings.mask, found)
    shards = [Shard(entry.index, digest_of([*depends[entry.index], *facts])) for entry in found.shards]
    work = functools.partial(mask_shard, workspace, settings)
    return run_stage(workspace.masked, "mask", shards, work, each)


def mask_shard(workspace: Workspace, settings: Settings, shard: Shard) -> ShardResult:
    """Mask and check one shard's documents."""
    documents = read_raw(workspace, settings, shard.index, wanted_by_shard(workspace)[shard.index])
    reviewed = _reviewed(workspace, settings, shard.index, documents)
    seeds = _Seeds(key_store(workspace, settings).purpose_key("pseudonyms"))
    matters = _Matters(workspace, settings, documents, seeds) if settings.mask.scope == "matter" else None
    policy = settings.mask.policy
    scopes: list[Scope] = []
    outcomes: list[Checked] = []
    for document, found in zip(documents, reviewed, strict=True):
        scope = (
            matters.scope(document.owner)
            if matters
            else Scope([Named.of(document.text, found.spans)], seeds.of(document.doc_id), found.language)
        )
        scopes.append(scope)
        outcomes.append(
            anonymise(document.text, found.spans, policy, scope, served=found.served, readable=found.readable)
        )
    entries = [
        VaultEntry(
            outcome.masked.replacements,
            tuple(
                entity_id(seeds.key, document.owner, r.type, scope.canonical(r.entity).surface)
                for r in outcome.masked.replacements
            ),
            outcome.masked.kept,
            outcome.verdict,
            outcome.reasons,
            found.language,
        )
        for document, found, scope, outcome in zip(documents, reviewed, scopes, outcomes, strict=True)
    ]
    _write_vault(workspace, settings, shard, documents, entries)
    _write_held_back(workspace, shard, documents, outcomes)
    return _write_masked(workspace, shard, documents, outcomes)


def mask_texts(texts: Sequence[str], settings: MaskSettings, key: bytes | None = None) -> list[Checked]:
    """Each text masked and checked by itself; surrogates follow `key`, or one made for this call."""
    seeds = _Seeds(key or secrets.token_bytes(32))
    result: list[Checked] = []
    for text, found in zip(texts, detect(settings, texts), strict=True):
        scope = Scope([Named.of(text, found.spans)], seeds.of(""), found.language)
        result.append(anonymise(text, found.spans, settings.policy, scope, served=found.served))
    return result


def spans_to_mask(texts: Sequence[str], settings: MaskSettings) -> list[list[Span]]:
    """The spans of each text that the policy doesn't keep: sorted, none overlapping."""
    result: list[list[Span]] = []
    for text, found in zip(texts, detect(settings, texts), strict=True):
        scope = Scope([Named.of(text, found.spans)], no_seed, found.language)
        masked = mask_spans(text, found.spans, settings.policy, scope)
        kept = {kept.span for kept in masked.kept}
        result.append([span for span in found.spans if span not in kept])
    return result


def restore_document(workspace: Workspace, settings: Settings, doc_id: str) -> str:
    """The exact original of a masked document, from the masked text and the vault. Key holders only.

    Raises:
        WorkspaceError: no such document, or it was erased, or the second pass held it back.
    """
    places = {row["doc_id"]: row["shard"] for row in read_catalogue(workspace).to_pylist()}
    index = places.get(doc_id)
    entry = None if index is None else read_vault(workspace, settings, index, [doc_id]).get(doc_id)
    if index is None or entry is None:
        raise WorkspaceError("there is no such document in this workspace, or it was erased")
    table = tables.read_part(tables.part_path(workspace.masked, index), ["doc_id", "text"])
    text = next((row["text"] for row in table.to_pylist() if row["doc_id"] == doc_id), None)
    if text is None:
        raise WorkspaceError("the second pass held this document back: it has no masked text to restore")
    return restore(text, entry.replacements)


def read_vault(
    workspace: Workspace, settings: Settings, index: int, doc_ids: Iterable[str]
) -> dict[str, VaultEntry]:
    """What the vault holds of those of the documents that lie in one part and were not erased."""
    keys = key_store(workspace, settings).existing(list(doc_ids))
    path = tables.part_path(workspace.vault, index)
    rows = tables.read_part(path).to_pylist() if keys and path.exists() else []
    return {
        row["doc_id"]: _entry_from_json(
            json.loads(unseal(keys[row["doc_id"]], row["payload"], f"vault:{row['doc_id']}"))
        )
        for row in rows
        if row["doc_id"] in keys
    }


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """What was found in a document, after its reviewers' decisions."""

    spans: tuple[Span, ...] = field(repr=False)
    language: str
    served: bool
    readable: tuple[Place, ...] = ()


def _reviewed(
    workspace: Workspace, settings: Settings, index: int, documents: Sequence[Document]
) -> list[_Reviewed]:
    decisions = stored_decisions(workspace, settings, documents)
    result: list[_Reviewed] = []
    for document, found in zip(documents, read_found(workspace, settings, index, documents), strict=True):
        decided = decisions.get(document.doc_id, ())
        spans = apply_decisions(found.spans, decided, document.text)
        rejected = tuple((d.start, d.end) for d in decided if d.verdict == "reject")
        result.append(_Reviewed(tuple(spans), found.language, found.served, rejected))
    return result


@dataclass(frozen=True, slots=True)
class _Seeds:
    """Keyed numbers to draw pseudonyms by, one sequence a scope."""

    key: bytes = field(repr=False)

    def of(self, scope: str) -> Seed:
        return functools.partial(seed, self.key, scope)


class _Matters:
    """The scopes of the owners of some documents: all that is named in all documents of each owner."""

    def __init__(
        self, workspace: Workspace, settings: Settings, documents: Sequence[Document], seeds: _Seeds
    ) -> None:
        owners = {document.owner for document in documents}
        rows = read_catalogue(workspace).select(["doc_id", "owner", "shard"]).to_pylist()
        owner_of = {row["doc_id"]: row["owner"] for row in rows if row["owner"] in owners}
        by_shard: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            if row["doc_id"] in owner_of:
                by_shard[row["shard"]].append(row["doc_id"])
        self._seeds = seeds
        self._named: dict[str, list[Named]] = defaultdict(list)
        self._languages: dict[str, Counter[str]] = defaultdict(Counter)
        self._scopes: dict[str, Scope] = {}
        decided = decisions_digests(workspace)
        for index, doc_ids in sorted(by_shard.items()):
            names = read_names(workspace, settings, index, doc_ids)
            again = read_raw(workspace, settings, index, [doc_id for doc_id in doc_ids if doc_id in decided])
            for document, found in zip(again, _reviewed(workspace, settings, index, again), strict=True):
                names[document.doc_id] = Named.of(document.text, found.spans), found.language
            for doc_id, (named, language) in names.items():
                self._named[owner_of[doc_id]].append(named)
                self._languages[owner_of[doc_id]][language] += 1

    def scope(self, owner: str) -> Scope:
        if owner not in self._scopes:
            # The most frequent language; of several, the first by name, so that the order of work is nothing.
            languages = sorted(self._languages[owner].items(), key=lambda found: (-found[1], found[0]))
            self._scopes[owner] = Scope(
                self._named.pop(owner), self._seeds.of(owner), languages[0][0], seeded=True
            )
        return self._scopes[owner]


def _dependencies(workspace: Workspace, settings: MaskSettings, found: Manifest) -> dict[int, list[Any]]:
    """What the outcome of each shard rests on: what was found in it, or in all documents of its owners."""
    rows = read_catalogue(workspace).select(["doc_id", "owner", "shard"]).to_pylist()
    digests = {shard.index: shard.digest for shard in found.shards}
    decided = decisions_digests(workspace)
    facts: dict[int, list[Any]] = {index: [digest] for index, digest in digests.items()}
    by_owner: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        facts[row["shard"]].append([row["doc_id"], decided.get(row["doc_id"])])
        by_owner[row["owner"]].append([digests[row["shard"]], row["doc_id"], decided.get(row["doc_id"])])
    if settings.scope == "matter":
        of_owner = {owner: digest_of(rested) for owner, rested in by_owner.items()}
        for row in rows:
            facts[row["shard"]].append(of_owner[row["owner"]])
    return facts


def _write_masked(
    workspace: Workspace, shard: Shard, documents: Sequence[Document], outcomes: Sequence[Checked]
) -> ShardResult:
    passed = [
        (document, outcome)
        for document, outcome in zip(documents, outcomes, strict=True)
        if outcome.verdict != "FAIL"
    ]
    counts: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        counts[f"verdict:{outcome.verdict}"] += 1
        for reason, n in outcome.reasons.items():
            counts[f"reason:{reason}"] += n
    for _, outcome in passed:
        for replacement in outcome.masked.replacements:
            counts[f"span:{replacement.type}"] += 1
        counts["spans"] += len(outcome.masked.replacements)
    counts["documents"] = len(passed)
    if len(passed) < len(outcomes):
        counts[f"quarantine:{HELD_BACK}"] = len(outcomes) - len(passed)
    table = pa.table(
        {
            **tables.document_columns([document for document, _ in passed]),
            "text": [outcome.text for _, outcome in passed],
            "n_spans": [len(outcome.masked.replacements) for _, outcome in passed],
            "verdict": [outcome.verdict for _, outcome in passed],
            "reasons": [json.dumps(outcome.reasons) for _, outcome in passed],
        },
        schema=tables.MASKED,
    )
    return tables.write_part(workspace.masked, shard, table, counts)


def _write_held_back(
    workspace: Workspace, shard: Shard, documents: Sequence[Document], outcomes: Sequence[Checked]
) -> None:
    failed = [
        {"doc_id": document.doc_id, "reason": HELD_BACK, "reasons": json.dumps(outcome.reasons)}
        for document, outcome in zip(documents, outcomes, strict=True)
        if outcome.verdict == "FAIL"
    ]
    tables.write_part(workspace.held_back, shard, pa.Table.from_pylist(failed, schema=tables.HELD_BACK))


def _write_vault(
    workspace: Workspace,
    settings: Settings,
    shard: Shard,
    documents: Sequence[Document],
    entries: Sequence[VaultEntry],
) -> None:
    keys = key_store(workspace, settings).existing([document.doc_id for document in documents])
    payloads = [
        seal(keys[document.doc_id], json.dumps(_entry_to_json(entry)).encode(), f"vault:{document.doc_id}")
        for document, entry in zip(documents, entries, strict=True)
    ]
    ids = [document.doc_id for document in documents]
    tables.write_part(
        workspace.vault, shard, pa.table({"doc_id": ids, "payload": payloads}, schema=tables.VAULT)
    )


def _entry_to_json(entry: VaultEntry) -> dict[str, Any]:
    return {
        "replacements": [astuple(replacement) for replacement in entry.replacements],
        "entity_ids": entry.entity_ids,
        "kept": [[*astuple(kept.span), kept.role] for kept in entry.kept],
        "verdict": entry.verdict,
        "reasons": dict(entry.reasons),
        "language": entry.language,
    }


def _entry_from_json(told: dict[str, Any]) -> VaultEntry:
    return VaultEntry(
        tuple(Replacement(*row) for row in told["replacements"]),
        tuple(told["entity_ids"]),
        tuple(Kept(Span(*row[:-1]), row[-1]) for row in told["kept"]),
        told["verdict"],
        told["reasons"],
        told["language"],
    )
