"""TODO docstring."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Sequence

from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.pipeline.masking.decisions import apply_decisions, compute_decisions_digests, load_decisions
from lexveil.pipeline.masking.detections import DetectionPart
from lexveil.pipeline.records import Document
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.pseudonyms import surrogate_seed


class Matters:
    """The scopes of the owners of some documents: all that is named in all documents of each owner."""

    def __init__(self, workspace: Workspace, documents: Sequence[Document], key: bytes) -> None:
        owners = {document.owner for document in documents}
        rows = workspace.catalogue.read().select(["doc_id", "owner", "shard"]).to_pylist()
        owner_of = {row["doc_id"]: row["owner"] for row in rows if row["owner"] in owners}
        by_shard: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            if row["doc_id"] in owner_of:
                by_shard[row["shard"]].append(row["doc_id"])
        self._key = key
        self._named: dict[str, list[DocumentNames]] = defaultdict(list)
        self._languages: dict[str, Counter[str]] = defaultdict(Counter)
        self._scopes: dict[str, Scope] = {}
        decided = compute_decisions_digests(workspace)
        for index, doc_ids in sorted(by_shard.items()):
            names = DetectionPart(workspace, index, doc_ids, "names")
            again = [doc_id for doc_id in doc_ids if doc_id in decided]
            reviewed = _named_after_review(workspace, index, again)
            for doc_id in names:
                self._named[owner_of[doc_id]] += reviewed.get(doc_id) or names.named(doc_id)
                self._languages[owner_of[doc_id]][names.language(doc_id)] += 1

    def scope(self, owner: str) -> Scope:
        if owner not in self._scopes:
            # The most frequent language; of several, the first by name, so that the order of work is nothing.
            languages = sorted(self._languages[owner].items(), key=lambda found: (-found[1], found[0]))
            keyed = functools.partial(surrogate_seed, self._key, owner)
            self._scopes[owner] = Scope(self._named.pop(owner), keyed, languages[0][0], seeded=True)
        return self._scopes[owner]


def _named_after_review(
    workspace: Workspace, index: int, doc_ids: Sequence[str]
) -> dict[str, list[DocumentNames]]:
    """Who is named in documents that a reviewer decided about."""
    if not doc_ids:
        return {}
    documents = read_raw(workspace, index, doc_ids)
    found = DetectionPart(workspace, index, doc_ids, "spans")
    decisions = load_decisions(workspace, documents)
    return {
        document.doc_id: [
            DocumentNames.read(
                document.text,
                apply_decisions(found.spans(document), decisions.get(document.doc_id, ()), document.text),
            )
        ]
        for document in documents
    }
