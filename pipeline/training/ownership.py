"""Documents of several owners: which are used, so that no owner is in more than one clipped group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lexveil.pipeline.workspace.documents import AND, split_owners


def choose_groups(owners: Iterable[str]) -> frozenset[str]:
    """Choose groups of documents such that no two have an owner in common.

    A group is all documents with the same set of owners. Greedily, the group with the most documents per
    owner comes first (a set packing); of equal ones, that with fewer owners, then that with the least keyed
    id. Where every document has one owner, all groups are chosen.

    Args:
        owners: for each document its owners, as tables store them.

    Returns:
        The chosen groups, each by its owners.

    Formal guarantee:
        Training clips each group's gradient as a whole and draws each group by itself, so one owner moves the
        sum of a step by at most one clipping norm: fixed-graph differential privacy with a contribution bound
        of one group (Ganesh, McKenna, McMahan, Smith, Wu 2025, arXiv 2503.03622, with groups in the place of
        examples). Neighbors differ in the content of all documents that one owner has, alone or with others:
        in one of them these documents are void. Assumption: which documents there are and who their owners
        are is fixed and public; the choice depends on nothing else, not on what a document says.
    """
    documents = Counter(owners)
    if not any(AND in group for group in documents):
        return frozenset(documents)
    members = {group: split_owners(group) for group in documents}

    def rank(group: str) -> tuple[float, int, str]:
        return (-documents[group] / len(members[group]), len(members[group]), group)

    taken: set[str] = set()
    chosen: set[str] = set()
    for group in sorted(documents, key=rank):
        if taken.isdisjoint(members[group]):
            chosen.add(group)
            taken.update(members[group])
    return frozenset(chosen)
