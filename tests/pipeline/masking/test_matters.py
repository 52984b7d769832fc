"""Matters: one entity has one replacement in all documents of an owner, and another elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable

from lexveil.pipeline.masking.decisions import Decision, compute_text_digests, store_decisions
from lexveil.pipeline.masking.matters import MatterScopes
from lexveil.pipeline.records import Document
from lexveil.pipeline.stages.find import find
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.storage import write_json
from lexveil.pipeline.workspace.workspace import Workspace

Ingested = Callable[..., Workspace]
DocumentsOf = Callable[[Workspace], list[Document]]
ADA, BEN = "ada.quill@example.org", "ben.roe@example.org"
CANONICAL = {"adaquillexampleorg", "benroeexampleorg"}
RECORDS = [
    {"id": 1, "owner": "m1", "text": f"The tenant wrote to {ADA} on Monday."},
    {"id": 2, "owner": "m2", "text": f"The landlord wrote to {BEN} and then to {ADA}."},
    {"id": 3, "owner": "m1", "text": f"The court wrote to {BEN}. The tenant wrote to {ADA} again."},
]
TOKEN = re.compile(r"\[EMAIL_\d+\]")


def tokens(workspace: Workspace) -> dict[int, list[str]]:
    """Tokens of each record, by the number of its words: the texts are gone."""
    texts = {
        row["doc_id"]: row["text"]
        for path in sorted(workspace.masked.glob("part-*"))
        for row in tables.read_part(path).to_pylist()
    }
    order = tables.to_strings(workspace.catalogue.read(), "doc_id")
    return {number: TOKEN.findall(texts[doc_id]) for number, doc_id in enumerate(order, 1)}


def test_an_address_has_one_token_in_all_documents_of_its_matter(ingested: Ingested) -> None:
    workspace = ingested(RECORDS, scope="matter")
    mask(workspace)
    found = tokens(workspace)
    assert [len(found[number]) for number in (1, 2, 3)] == [1, 2, 2]
    assert found[1][0] == found[3][1]
    assert found[3][0] != found[3][1]
    assert found[2][0] != found[2][1]


def test_by_document_numbers_follow_the_first_appearance(ingested: Ingested) -> None:
    workspace = ingested(RECORDS, scope="document")
    mask(workspace)
    assert tokens(workspace) == {
        1: ["[EMAIL_1]"],
        2: ["[EMAIL_1]", "[EMAIL_2]"],
        3: ["[EMAIL_1]", "[EMAIL_2]"],
    }


def test_a_scope_is_built_once_and_for_the_owners_of_the_documents_only(
    ingested: Ingested, documents_of: DocumentsOf
) -> None:
    workspace = ingested(RECORDS, scope="matter")
    find(workspace)
    documents = documents_of(workspace)
    scopes = MatterScopes(workspace, documents[:1], bytes(32))
    owner = documents[0].owner
    assert scopes.scope(owner) is scopes.scope(owner)
    assert set(scopes._names) == set()  # pyright: ignore[reportPrivateUsage]  # m2 was never read


def test_the_order_of_the_documents_decides_nothing(ingested: Ingested, documents_of: DocumentsOf) -> None:
    workspace = ingested(RECORDS, scope="matter")
    find(workspace)
    documents = documents_of(workspace)

    def describe(chosen: list[Document]) -> set[str]:
        scope = MatterScopes(workspace, chosen, bytes(32)).scope(documents[0].owner)
        return {scope.canonical(entity).surface for entity in range(2)}

    assert describe(documents) == describe(documents[::-1]) == CANONICAL


def test_names_that_a_reviewer_added_belong_to_the_matter(
    ingested: Ingested, documents_of: DocumentsOf
) -> None:
    workspace = ingested(RECORDS, scope="matter")
    find(workspace)
    documents = documents_of(workspace)
    document = next(d for d in documents if "Monday" in d.text)
    start = document.text.index("tenant")
    decision = Decision(start, start + len("tenant"), "PERSON", "add")
    (digest,) = compute_text_digests(workspace, [document.text])
    path = workspace.root.parent / "decisions-a.json"
    entry = {"start": decision.start, "end": decision.end, "type": decision.type, "verdict": decision.verdict}
    write_json(path, {"doc_id": document.doc_id, "digest": digest, "decisions": [entry]})
    store_decisions(workspace, path)
    scope = MatterScopes(workspace, documents, bytes(32)).scope(document.owner)
    surfaces = {scope.canonical(entity).surface for entity in range(3)}
    assert surfaces == {*CANONICAL, "tenant"}
