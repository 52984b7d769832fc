"""Scopes of matters: one pseudonym for an entity in all documents of an owner."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Sequence

from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.pipeline.masking.decisions import compute_decisions_digests, load_decisions
from lexveil.pipeline.masking.detections import DetectionPart
from lexveil.pipeline.masking.reviewed_spans import apply_decisions
from lexveil.pipeline.records import Document
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.pseudonyms import surrogate_seed


class MatterScopes:
    """The scopes of the owners of some documents: each knows the names in all documents of its owner."""

    def __init__(self, workspace: Workspace, documents: Sequence[Document], key: bytes) -> None:
        """Read the names in all documents of the owners.

        Args:
            workspace: the workspace.
            documents: documents whose owners get a scope.
            key: key of the pseudonyms.
        """
        owners = {document.owner for document in documents}
        owner_of: dict[str, str] = {}
        by_shard: dict[int, list[str]] = defaultdict(list)
        for row in workspace.catalogue.read_owners(owners).to_pylist():
            owner_of[row["doc_id"]] = row["owner"]
            by_shard[row["shard"]].append(row["doc_id"])
        self._key = key
        self._names: dict[str, list[DocumentNames]] = defaultdict(list)
        self._languages: dict[str, Counter[str]] = defaultdict(Counter)
        self._scopes: dict[str, Scope] = {}
        decided = compute_decisions_digests(workspace)
        for index, doc_ids in sorted(by_shard.items()):
            part = DetectionPart(workspace, index, doc_ids, "names")
            to_review = [doc_id for doc_id in doc_ids if doc_id in decided]
            reviewed = _read_reviewed_names(workspace, index, to_review)
            for doc_id in part:
                self._names[owner_of[doc_id]] += reviewed.get(doc_id) or part.names(doc_id)
                self._languages[owner_of[doc_id]][part.language(doc_id)] += 1

    def scope(self, owner: str) -> Scope:
        """Return the scope of an owner, built once."""
        if owner not in self._scopes:
            # The most frequent language; of several, the first by name, whatever the order of the documents.
            languages = sorted(self._languages[owner].items(), key=lambda entry: (-entry[1], entry[0]))
            keyed = functools.partial(surrogate_seed, self._key, owner)
            self._scopes[owner] = Scope(self._names.pop(owner), keyed, languages[0][0], seeded=True)
        return self._scopes[owner]


def _read_reviewed_names(
    workspace: Workspace, index: int, doc_ids: Sequence[str]
) -> dict[str, list[DocumentNames]]:
    """Read the names in documents that a reviewer decided about, after the decisions."""
    if not doc_ids:
        return {}
    documents = read_raw(workspace, index, doc_ids)
    part = DetectionPart(workspace, index, doc_ids, "spans")
    decisions = load_decisions(workspace, documents)
    names: dict[str, list[DocumentNames]] = {}
    for document in documents:
        decided = decisions.get(document.doc_id, ())
        spans = apply_decisions(part.spans(document), decided, document.text)
        names[document.doc_id] = [DocumentNames.read(document.text, spans)]
    return names
