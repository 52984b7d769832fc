"""The rule of a policy that led to what was done with a span, in words without the span's own."""

from __future__ import annotations

import pytest

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.policy import Action, Policy, build_policy, decide_action, explain_action
from lexveil.nlp.recognizers.scores import ALLOWED, DENIED, LEARNED
from lexveil.nlp.text import Span

COURT = build_policy("court-publication")
OWN = build_policy(types={"DATE": "generalise"}, quasi="keep", direct="surrogate")


def span(kind: str, recognizer: str = LEARNED) -> Span:
    return Span(0, 4, kind, 0.7, recognizer)


@pytest.mark.parametrize(
    ("kind", "role", "action", "why"),
    [
        ("PERSON", "judge", "keep", "roles.judge = keep"),
        ("PERSON", "witness", "token", "direct = token"),
        ("ORGANIZATION", "company", "keep", "roles.company = keep"),
        (
            "ORGANIZATION",
            "company",
            "token",
            "roles.company = keep, but only a model says that it is ORGANIZATION",
        ),
        ("LOCATION", "", "keep", "types.LOCATION = keep"),
        ("AGE", "", "generalise", "types.AGE = generalise"),
        ("AGE", "", "token", "types.AGE = generalise, for which there was no text"),
        ("FAMILY_MEMBER", "", "token", "quasi = token"),
        ("EMAIL", "", "keep", "direct = token, but it is kept"),
    ],
)
def test_court_publication(kind: str, role: str, action: Action, why: str) -> None:
    assert explain_action(COURT, span(kind), role, action) == why


@pytest.mark.parametrize("policy", [COURT, OWN, build_policy(), build_policy("strict")])
@pytest.mark.parametrize("kind", ENTITY_TYPES)
def test_what_is_decided_is_explained_by_one_rule(policy: Policy, kind: str) -> None:
    decided = decide_action(policy, span(kind))
    why = explain_action(policy, span(kind), "", decided)
    assert why.endswith(f"= {decided}")


def test_lists_of_the_office_are_stronger_than_any_rule() -> None:
    assert decide_action(build_policy("strict"), span("PERSON", ALLOWED)) == "keep"
    assert decide_action(COURT, span("PERSON", DENIED), "judge") == "token"
    assert decide_action(COURT, span("LOCATION", DENIED)) == "token"
    assert decide_action(OWN, span("DATE", DENIED)) == "generalise"
