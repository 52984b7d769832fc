"""Policies: the most specific setting applies, and a contradiction is refused by the name of the setting."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.entities.roles import ROLES
from lexveil.nlp.entity_types import DIRECT_TYPES, ENTITY_TYPES, GENERALIZED_TYPES, SURROGATE_TYPES
from lexveil.nlp.masking.policy import ACTIONS, PolicyError, build_policy, decide_action
from lexveil.nlp.recognizers.scores import REVIEWER
from lexveil.nlp.text import Span


def span(kind: str, recognizer: str = "T") -> Span:
    return Span(0, 1, kind, 0.9, recognizer)


@pytest.mark.parametrize("kind", ENTITY_TYPES)
@pytest.mark.parametrize("preset", ["balanced", "strict"])
def test_by_default_everything_becomes_a_token(preset: Any, kind: str) -> None:
    assert {decide_action(build_policy(preset), span(kind), role) for role in ROLES} == {"token"}


# What a court publishes: type, then the action for each role that matters.
COURT_PUBLICATION = {
    "PERSON": "token",
    "AGE": "generalise",
    "BIRTH_DATE": "generalise",
    "FAMILY_MEMBER": "token",
    "ADDRESS": "generalise",
    "LOCATION": "keep",
    "PHONE": "token",
    "EMAIL": "token",
    "URL": "token",
    "IP_ADDRESS": "token",
    "ID_NUMBER": "token",
    "ACCOUNT_NUMBER": "token",
    "PLATE": "token",
    "CASE_NUMBER": "keep",
    "ORGANIZATION": "keep",
    "DATE": "keep",
    "DEMOGRAPHIC": "keep",
    "QUANTITY": "keep",
    "MISC": "keep",
}


@pytest.mark.parametrize("kind", ENTITY_TYPES)
def test_a_court_masks_natural_persons_only(kind: str) -> None:
    assert decide_action(build_policy("court-publication"), span(kind)) == COURT_PUBLICATION[kind]


@pytest.mark.parametrize("role", ROLES)
def test_a_court_publishes_its_bench_and_counsel(role: str) -> None:
    published = role in ("judge", "counsel")
    assert decide_action(build_policy("court-publication"), span("PERSON"), role) == (
        "keep" if published else "token"
    )


@pytest.mark.parametrize("preset", ["balanced", "strict"])
@pytest.mark.parametrize("kind", ENTITY_TYPES)
def test_a_class_gives_its_action_to_the_types_that_have_it(preset: Any, kind: str) -> None:
    surrogates = decide_action(build_policy(preset, direct="surrogate", quasi="surrogate"), span(kind))
    assert surrogates == ("surrogate" if kind in SURROGATE_TYPES else "token")
    quasi = decide_action(build_policy(preset, quasi="generalise"), span(kind))
    generalized = kind in GENERALIZED_TYPES and kind not in DIRECT_TYPES
    assert quasi == ("generalise" if generalized else "token")


def test_an_explicit_class_overrides_a_presets_types() -> None:
    policy = build_policy("court-publication", quasi="token")
    assert decide_action(policy, span("DATE")) == decide_action(policy, span("LOCATION")) == "token"
    assert decide_action(policy, span("CASE_NUMBER")) == "keep"  # a direct identifier
    policy = build_policy("court-publication", quasi="token", types={"DATE": "keep"})
    assert decide_action(policy, span("DATE")) == "keep"


def test_a_policy_does_not_depend_on_the_order_of_its_settings() -> None:
    one = build_policy(types={"DATE": "keep", "AGE": "keep"}, roles={"judge": "keep", "party": "token"})
    other = build_policy(types={"AGE": "keep", "DATE": "keep"}, roles={"party": "token", "judge": "keep"})
    assert one == other


def test_role_before_type_before_class() -> None:
    policy = build_policy(
        direct="surrogate", types={"PERSON": "generalise", "PHONE": "keep"}, roles={"judge": "keep"}
    )
    assert decide_action(policy, span("PERSON"), "judge") == "keep"
    assert decide_action(policy, span("PERSON"), "party") == "generalise"
    assert decide_action(policy, span("PHONE")) == "keep"
    assert decide_action(policy, span("EMAIL")) == "surrogate"
    assert decide_action(policy, span("CASE_NUMBER")) == "token"  # direct, but without surrogates
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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"types": {"DATE": "surrogate"}}, "types.DATE: DATE has no surrogates"),
        ({"types": {"URL": "generalise"}}, "types.URL: URL has no generalization"),
        ({"roles": {"company": "generalise"}}, "roles.company: ORGANIZATION has no generalization"),
        ({"preset": "strict", "direct": "keep"}, "direct: keep contradicts the preset strict"),
        ({"direct": "keep", "quasi": "keep"}, "types: this policy masks nothing"),
        (
            {"preset": "court-publication", "direct": "keep"},
            "types.PERSON: court-publication must mask natural persons",
        ),
    ],
)
def test_a_message_says_what_contradicts_what(given: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        build_policy(**given)
    assert str(caught.value) == message


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(PolicyError, match="PERSON, AGE") as caught:
        build_policy(types={"SHOE_SIZE": "token"})
    assert "SHOE_SIZE" not in str(caught.value)
    with pytest.raises(PolicyError, match="victim, witness"):
        build_policy(roles={"king": "keep"})


def test_a_policy_that_masks_a_single_role_masks_something() -> None:
    policy = build_policy(direct="keep", quasi="keep", roles={"victim": "token"})
    assert decide_action(policy, span("PERSON"), "victim") == "token"
    assert decide_action(policy, span("PERSON"), "judge") == "keep"
