"""Mask: encrypted documents and their spans -> masked text, and a vault that restores it for the key holder.

What happens to a span is the policy's (`nlp.policy`); who is who is settled within a document, or over all
documents of an owner. Each masked text is looked at again (`nlp.anonymise`): what fails is held back.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import pyarrow as pa

from nlp.anonymise import (
    Checked,
    Piece,
    Verdict,
    anonymise,
    anonymise_text,
    pieces_of,
    united,
    verdict_of,
)
from nlp.mask import Kept, Masked, Replacement, restore
from nlp.mask import mask as mask_spans
from nlp.scope import Named, Scope
from nlp.text import Span
from pipeline import tables
from pipeline.code import code_digest
from pipeline.errors import WorkspaceError
from pipeline.keys import key_store
from pipeline.records import Document, ForEach, Manifest, Shard, ShardResult, one_by_one
from pipeline.review import apply_decisions, decisions_digests, stored_decisions
from pipeline.settings import MaskSettings, Settings
from pipeline.stages.find import FoundPart, detect_whole, find, finding_facts, wanted_in
from pipeline.stages.ingest import read_catalogue, read_raw
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, run_stage
from privacy.pseudonyms import entity_id, seed
from privacy.vault import seal, unseal

HELD_BACK = "second_pass"  # why a document is in the quarantine


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """What the vault holds of one document: how to undo its mask, and why it was put on.

    Attributes:
        entity_ids: keyed id of each replacement's entity, the same in all documents of the owner.
        reasons: what the second pass met, by name.
    """

    replacements: tuple[Replacement, ...] = field(repr=False)
    entity_ids: tuple[str, ...]
    kept: tuple[Kept, ...]
    reasons: Mapping[str, int]

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.reasons)


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
    facts = masking_facts(settings.mask)
    depends = _dependencies(workspace, settings, found)
    shards = [
        Shard(entry.index, digest_of([*depends[entry.index], *facts.values()])) for entry in found.shards
    ]
    work = functools.partial(mask_shard, workspace, settings)
    masked = run_stage(workspace.masked, "mask", shards, work, each, facts)
    return replace(masked, redone={**found.redone, **masked.redone})


def masking_facts(mask: MaskSettings) -> dict[str, Any]:
    """What a masked text depends on, beside what was found in it."""
    return {"settings": mask.model_dump(mode="json", exclude={"detector"}), "code": code_digest(__name__)}


def mask_shard(workspace: Workspace, settings: Settings, shard: Shard) -> ShardResult:
    """Mask and check one shard's documents."""
    documents = read_raw(workspace, settings, shard.index, wanted_in(workspace, settings, shard.index))
    pa.default_memory_pool().release_unused()  # a large document's ciphertext would stay beside its text
    work = _Work(workspace, settings, shard.index, documents)
    vault: list[dict[str, Any]] = []
    outcomes = [work.carry_out(document, vault) for document in documents]
    del work
    tables.write_part(workspace.vault, shard, pa.Table.from_pylist(vault, schema=tables.VAULT))
    vault.clear()
    failed = [
        {"doc_id": document.doc_id, "reason": HELD_BACK, "reasons": json.dumps(outcome.reasons)}
        for document, outcome in zip(documents, outcomes, strict=True)
        if outcome.verdict == "FAIL"
    ]
    tables.write_part(workspace.held_back, shard, pa.Table.from_pylist(failed, schema=tables.HELD_BACK))
    made_by = digest_of([finding_facts(settings.mask), masking_facts(settings.mask)])
    return _write_masked(workspace, shard, documents, outcomes, made_by)


@dataclass(frozen=True, slots=True)
class _Outcome:
    text: str = field(repr=False)
    spans: Mapping[str, int]  # by type
    reasons: Mapping[str, int]

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.reasons)


class _Work:
    """The documents of one shard with what was found in them, their reviewers' decisions and their scopes."""

    def __init__(
        self, workspace: Workspace, settings: Settings, index: int, documents: Sequence[Document]
    ) -> None:
        doc_ids = [document.doc_id for document in documents]
        self._policy = settings.mask.policy
        self._found = FoundPart(workspace, settings, index, doc_ids, "spans")
        self._names = FoundPart(workspace, settings, index, doc_ids, "names")
        self._decisions = stored_decisions(workspace, settings, documents)
        store = key_store(workspace, settings)
        self._keys = store.existing(doc_ids)
        self._pseudonym_key = store.purpose_key("pseudonyms")
        matter = settings.mask.scope == "matter"
        self._matters = _Matters(workspace, settings, documents, self._pseudonym_key) if matter else None

    def carry_out(self, document: Document, vault: list[dict[str, Any]]) -> _Outcome:
        """Mask one document; its rows of the vault go into `vault`."""
        doc_id = document.doc_id
        pieces, scope = self._prepared(document)
        texts: list[str] = []
        spans: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        checked = anonymise(pieces, self._policy, scope, self._found.served(doc_id))
        for piece, done in zip(pieces(), checked, strict=True):
            texts.append(done.text)
            spans.update(r.type for r in done.masked.replacements)
            reasons.update(done.reasons)
            payload = json.dumps(self._entry(document.owner, scope, done)).encode()
            sealed = seal(self._keys[doc_id], payload, f"vault:{doc_id}:{piece.start}")
            vault.append({"doc_id": doc_id, "start": piece.start, "payload": sealed})
        return _Outcome("".join(texts), spans, dict(sorted(reasons.items())))

    def _prepared(self, document: Document) -> tuple[Callable[[], Iterable[Piece]], Scope]:
        """The document's pieces after review, and who is who in it."""
        doc_id = document.doc_id
        decided = self._decisions.get(doc_id, ())
        if decided:
            spans = apply_decisions(self._found.spans(document), decided, document.text)
            rejected = [(d.start, d.end) for d in decided if d.verdict == "reject"]
            cut = list(pieces_of(document.text, spans, rejected))
            named = [Named.of(document.text, spans)]
            pieces: Callable[[], Iterable[Piece]] = functools.partial(iter, cut)
        else:
            named = self._names.named(doc_id)
            pieces = functools.partial(self._found.pieces, document)
        if self._matters:
            return pieces, self._matters.scope(document.owner)
        keyed = functools.partial(seed, self._pseudonym_key, doc_id)
        return pieces, Scope(named, keyed, self._found.language(doc_id))

    def _entry(self, owner: str, scope: Scope, done: Checked) -> dict[str, Any]:
        def known(entity: int) -> str:
            name = scope.canonical(entity)
            return entity_id(self._pseudonym_key, owner, name.type, name.surface)

        ids = {entity: known(entity) for entity in {r.entity for r in done.masked.replacements}}
        return {
            "length": len(done.text),
            "replacements": [astuple(replacement) for replacement in done.masked.replacements],
            "entity_ids": [ids[r.entity] for r in done.masked.replacements],
            "kept": [[*astuple(kept.span), kept.role] for kept in done.masked.kept],
            "reasons": dict(done.reasons),
        }


def mask_texts(texts: Sequence[str], settings: MaskSettings, key: bytes | None = None) -> list[Checked]:
    """Each text masked and checked by itself; surrogates follow `key`, or one made for this call."""
    keyed = functools.partial(seed, key or secrets.token_bytes(32), "")
    result: list[Checked] = []
    for text, found in zip(texts, detect_whole(settings, texts), strict=True):
        scope = Scope([Named.of(text, found.spans)], keyed, found.language)
        result.append(anonymise_text(text, found.spans, settings.policy, scope, found.served))
    return result


def spans_to_mask(texts: Sequence[str], settings: MaskSettings) -> list[list[Span]]:
    """The spans of each text that the policy doesn't keep: sorted, none overlapping."""
    result: list[list[Span]] = []
    for text, found in zip(texts, detect_whole(settings, texts), strict=True):
        kept = {kept.span for kept in mask_spans(text, found.spans, settings.policy).kept}
        result.append([span for span in found.spans if span not in kept])
    return result


def restore_document(workspace: Workspace, settings: Settings, doc_id: str) -> str:
    """The exact original of a masked document, from the masked text and the vault. Key holders only.

    Raises:
        WorkspaceError: no such document, or it was erased, or the second pass held it back.
    """
    places = {row["doc_id"]: row["shard"] for row in read_catalogue(workspace, settings).to_pylist()}
    index = places.get(doc_id)
    rows = [] if index is None else list(_vault_rows(workspace, settings, index, [doc_id]))
    if index is None or not rows:
        raise WorkspaceError("there is no such document in this workspace, or it was erased")
    table = tables.read_part(tables.part_path(workspace.masked, index), ["doc_id", "text"])
    text = next((row["text"] for row in table.to_pylist() if row["doc_id"] == doc_id), None)
    if text is None:
        raise WorkspaceError("the second pass held this document back: it has no masked text to restore")
    originals: list[str] = []
    place = 0
    for _, _, told in rows:
        replacements = [Replacement(*row) for row in told["replacements"]]
        originals.append(restore(text[place : place + told["length"]], replacements))
        place += told["length"]
    return "".join(originals)


def read_vault(
    workspace: Workspace, settings: Settings, index: int, doc_ids: Iterable[str]
) -> dict[str, VaultEntry]:
    """What the vault holds of those of the documents that lie in one part and were not erased."""
    done: dict[str, list[tuple[Piece, Checked]]] = defaultdict(list)
    ids: dict[str, list[str]] = defaultdict(list)
    for doc_id, start, told in _vault_rows(workspace, settings, index, list(doc_ids)):
        masked = Masked(
            " " * told["length"],
            tuple(Replacement(*row) for row in told["replacements"]),
            tuple(Kept(Span(*row[:-1]), row[-1]) for row in told["kept"]),
        )
        done[doc_id].append((Piece(start, "", ()), Checked(masked, told["reasons"])))
        ids[doc_id] += told["entity_ids"]
    entries: dict[str, VaultEntry] = {}
    for doc_id, pieces in done.items():
        whole = united(pieces)
        masked = whole.masked
        entries[doc_id] = VaultEntry(masked.replacements, tuple(ids[doc_id]), masked.kept, whole.reasons)
    return entries


def _vault_rows(
    workspace: Workspace, settings: Settings, index: int, doc_ids: Sequence[str]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(doc_id, start of the piece, what is told of it), in order."""
    keys = key_store(workspace, settings).existing(doc_ids)
    path = tables.part_path(workspace.vault, index)
    for row in tables.read_part(path).to_pylist() if keys and path.exists() else []:
        doc_id, start = row["doc_id"], row["start"]
        if doc_id in keys:
            yield doc_id, start, json.loads(unseal(keys[doc_id], row["payload"], f"vault:{doc_id}:{start}"))


class _Matters:
    """The scopes of the owners of some documents: all that is named in all documents of each owner."""

    def __init__(
        self, workspace: Workspace, settings: Settings, documents: Sequence[Document], key: bytes
    ) -> None:
        owners = {document.owner for document in documents}
        rows = read_catalogue(workspace, settings).select(["doc_id", "owner", "shard"]).to_pylist()
        owner_of = {row["doc_id"]: row["owner"] for row in rows if row["owner"] in owners}
        by_shard: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            if row["doc_id"] in owner_of:
                by_shard[row["shard"]].append(row["doc_id"])
        self._key = key
        self._named: dict[str, list[Named]] = defaultdict(list)
        self._languages: dict[str, Counter[str]] = defaultdict(Counter)
        self._scopes: dict[str, Scope] = {}
        decided = decisions_digests(workspace)
        for index, doc_ids in sorted(by_shard.items()):
            names = FoundPart(workspace, settings, index, doc_ids, "names")
            again = [doc_id for doc_id in doc_ids if doc_id in decided]
            reviewed = _named_after_review(workspace, settings, index, again)
            for doc_id in names:
                self._named[owner_of[doc_id]] += reviewed.get(doc_id) or names.named(doc_id)
                self._languages[owner_of[doc_id]][names.language(doc_id)] += 1

    def scope(self, owner: str) -> Scope:
        if owner not in self._scopes:
            # The most frequent language; of several, the first by name, so that the order of work is nothing.
            languages = sorted(self._languages[owner].items(), key=lambda found: (-found[1], found[0]))
            keyed = functools.partial(seed, self._key, owner)
            self._scopes[owner] = Scope(self._named.pop(owner), keyed, languages[0][0], seeded=True)
        return self._scopes[owner]


def _named_after_review(
    workspace: Workspace, settings: Settings, index: int, doc_ids: Sequence[str]
) -> dict[str, list[Named]]:
    """Who is named in documents that a reviewer decided about."""
    if not doc_ids:
        return {}
    documents = read_raw(workspace, settings, index, doc_ids)
    found = FoundPart(workspace, settings, index, doc_ids, "spans")
    decisions = stored_decisions(workspace, settings, documents)
    return {
        document.doc_id: [
            Named.of(
                document.text,
                apply_decisions(found.spans(document), decisions.get(document.doc_id, ()), document.text),
            )
        ]
        for document in documents
    }


def _dependencies(workspace: Workspace, settings: Settings, found: Manifest) -> dict[int, list[Any]]:
    """What the outcome of each shard rests on: what was found in it, or in all documents of its owners."""
    rows = read_catalogue(workspace, settings).select(["doc_id", "owner", "shard"]).to_pylist()
    digests = {shard.index: shard.digest for shard in found.shards}
    decided = decisions_digests(workspace)
    facts: dict[int, list[Any]] = {index: [digest] for index, digest in digests.items()}
    # By document: a shard's digest would have one changed file mask the matters of its neighbours anew.
    finding = digest_of(finding_facts(settings.mask))
    by_owner: dict[str, list[Any]] = defaultdict(lambda: [finding])
    for row in rows:
        entry = [row["doc_id"], decided.get(row["doc_id"])]
        facts[row["shard"]].append(entry)
        by_owner[row["owner"]].append(entry)
    if settings.mask.scope == "matter":
        of_owner = {owner: digest_of(rested) for owner, rested in by_owner.items()}
        for row in rows:
            facts[row["shard"]].append(of_owner[row["owner"]])
    return facts


def _write_masked(
    workspace: Workspace,
    shard: Shard,
    documents: Sequence[Document],
    outcomes: Sequence[_Outcome],
    made_by: str,
) -> ShardResult:
    pairs = zip(documents, outcomes, strict=True)
    passed = [(document, outcome) for document, outcome in pairs if outcome.verdict != "FAIL"]
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts[f"verdict:{outcome.verdict}"] += 1
        counts.update({f"reason:{reason}": n for reason, n in outcome.reasons.items()})
    for _, outcome in passed:
        counts.update({f"span:{kind}": n for kind, n in outcome.spans.items()})
        counts["spans"] += sum(outcome.spans.values())
    counts["documents"] = len(passed)
    if len(passed) < len(outcomes):
        counts[f"quarantine:{HELD_BACK}"] = len(outcomes) - len(passed)
    table = pa.table(
        {
            **tables.document_columns([document for document, _ in passed]),
            "text": [outcome.text for _, outcome in passed],
            "n_spans": [sum(outcome.spans.values()) for _, outcome in passed],
            "spans": [json.dumps(outcome.spans, sort_keys=True) for _, outcome in passed],
            "verdict": [outcome.verdict for _, outcome in passed],
            "reasons": [json.dumps(outcome.reasons) for _, outcome in passed],
        },
        schema=tables.MASKED,
    )
    return tables.write_part(workspace.masked, shard, table, counts, {"settings": made_by})
