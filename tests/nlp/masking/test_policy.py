"""Policies: the most particular setting decides, and what contradicts itself is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.entities.roles import ROLES
from lexveil.nlp.entity_types import ENTITY_TYPES, GENERALIZED_TYPES, SURROGATE_TYPES
from lexveil.nlp.masking.policy import ACTIONS, REVIEWER, PolicyError, build_policy, decide_action
from lexveil.nlp.text import Span


def span(kind: str, recognizer: str = "T") -> Span:
    return Span(0, 1, kind, 0.9, recognizer)


@pytest.mark.parametrize("kind", ENTITY_TYPES)
@pytest.mark.parametrize("preset", ["balanced", "strict"])
def test_by_default_everything_becomes_a_token(preset: Any, kind: str) -> None:
    assert {decide_action(build_policy(preset), span(kind), role) for role in ROLES} == {"token"}


@pytest.mark.parametrize(
    ("kind", "role", "action"),
    [
        ("PERSON", "judge", "keep"),
        ("PERSON", "counsel", "keep"),
        ("PERSON", "party", "token"),
        ("PERSON", "witness", "token"),
        ("PERSON", "other", "token"),
        ("ORGANIZATION", "company", "keep"),
        ("CASE_NUMBER", "", "keep"),
        ("DATE", "", "keep"),
        ("BIRTH_DATE", "", "generalise"),
        ("ADDRESS", "", "generalise"),
        ("EMAIL", "", "token"),
        ("ID_NUMBER", "", "token"),
    ],
)
def test_a_court_publishes_its_bench_and_companies(kind: str, role: str, action: str) -> None:
    assert decide_action(build_policy("court-publication"), span(kind), role) == action


def test_role_before_type_before_class() -> None:
    policy = build_policy(
        direct="surrogate", types={"PERSON": "generalise", "PHONE": "keep"}, roles={"judge": "keep"}
    )
    assert decide_action(policy, span("PERSON"), "judge") == "keep"
    assert decide_action(policy, span("PERSON"), "party") == "generalise"
    assert decide_action(policy, span("PHONE")) == "keep"
    assert decide_action(policy, span("EMAIL")) == "surrogate"
    assert decide_action(policy, span("CASE_NUMBER")) == "token"  # direct, but it knows no surrogates
    assert decide_action(policy, span("DATE"), "judge") == "token"  # a date has no role


def test_what_a_reviewer_adds_is_never_kept() -> None:
    policy = build_policy("court-publication")
    assert decide_action(policy, span("DATE", REVIEWER)) == "token"
    assert decide_action(policy, span("PERSON", REVIEWER), "judge") == "token"


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"types": {"EMAIL": "generalise"}}, "types.EMAIL"),
        ({"types": {"DATE": "surrogate"}}, "types.DATE"),
        ({"types": {"NAME": "keep"}}, "types"),
        ({"roles": {"king": "keep"}}, "roles"),
        ({"roles": {"company": "generalise"}}, "roles.company"),
        ({"preset": "strict", "types": {"CASE_NUMBER": "keep"}}, "types.CASE_NUMBER"),
        ({"preset": "strict", "types": {"PERSON": "generalise"}}, "types.PERSON"),
        ({"preset": "strict", "direct": "keep"}, "direct"),
        ({"preset": "strict", "roles": {"judge": "keep"}}, "roles.judge"),
        ({"preset": "court-publication", "types": {"PERSON": "keep"}}, "types.PERSON"),
        ({"preset": "court-publication", "direct": "keep"}, "types.PERSON"),
        ({"direct": "keep", "quasi": "keep"}, "types"),
    ],
)
def test_contradictions_are_refused_in_one_line(given: dict[str, Any], setting: str) -> None:
    with pytest.raises(PolicyError) as caught:
        build_policy(**given)
    assert caught.value.setting == setting
    assert str(caught.value).startswith(f"{setting}: ")
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(
    st.sampled_from(["balanced", "strict", "court-publication"]),
    st.sampled_from([None, *ACTIONS]),
    st.sampled_from([None, *ACTIONS]),
    st.dictionaries(st.sampled_from(ENTITY_TYPES), st.sampled_from(ACTIONS), max_size=3),
    st.dictionaries(st.sampled_from(ROLES), st.sampled_from(ACTIONS), max_size=3),
)
def test_no_policy_asks_for_what_a_type_does_not_have(
    preset: Any, direct: Any, quasi: Any, types: Any, roles: Any
) -> None:
    try:
        policy = build_policy(preset, direct, quasi, types, roles)
    except PolicyError:
        return
    for kind in ENTITY_TYPES:
        for role in (*ROLES, ""):
            action = decide_action(policy, span(kind), role)
            assert action != "surrogate" or kind in SURROGATE_TYPES
            assert action != "generalise" or kind in GENERALIZED_TYPES
            assert (preset, kind, action) != ("strict", "PERSON", "keep")
