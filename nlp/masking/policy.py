"""What becomes of a finding: kept, or replaced by a token, a surrogate or something less exact.

A `Policy` is data and `decide` is pure, so that what was done to a document can be told from the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from lexveil.nlp.entities.roles import ROLE_TYPES, ROLES, role_applies
from lexveil.nlp.entity_types import DIRECT_TYPES, ENTITY_TYPES, GENERALIZED_TYPES, SURROGATE_TYPES
from lexveil.nlp.text import Span

Action = Literal["keep", "token", "surrogate", "generalise"]
Preset = Literal["balanced", "strict", "court-publication"]
Dates = Literal["month", "year"]
ACTIONS: tuple[Action, ...] = get_args(Action)
REVIEWER = "Reviewer"  # the recognizer of what a person added


class PolicyRefused(ValueError):
    """A policy that contradicts itself. `setting` names what to change; the message is one line."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Policy:
    """Actions by role, by type and by class of identifier; the most particular one decides.

    Attributes:
        direct, quasi: actions of the types that are in `DIRECT_TYPES`, and of the others. A type that knows
            no surrogate or generalisation gets a token instead.
        types: (type, action), before the class.
        roles: (role, action), before the type; only people and companies have roles.
        dates: how much of a date its generalisation leaves.
    """

    direct: Action = "token"
    quasi: Action = "token"
    types: tuple[tuple[str, Action], ...] = ()
    roles: tuple[tuple[str, Action], ...] = ()
    dates: Dates = "year"


_COURT_PUBLICATION: dict[str, Action] = {
    "ORGANIZATION": "keep",
    "LOCATION": "keep",
    "CASE_NUMBER": "keep",
    "DATE": "keep",
    "DEMOGRAPHIC": "keep",
    "QUANTITY": "keep",
    "MISC": "keep",
    "AGE": "generalise",
    "BIRTH_DATE": "generalise",
    "ADDRESS": "generalise",
}
# (types, roles) that a preset begins with.
_PRESETS: dict[Preset, tuple[dict[str, Action], dict[str, Action]]] = {
    "balanced": ({}, {}),
    "strict": ({}, {}),
    "court-publication": (_COURT_PUBLICATION, {"judge": "keep", "counsel": "keep", "company": "keep"}),
}


def policy_of(
    preset: Preset = "balanced",
    direct: Action | None = None,
    quasi: Action | None = None,
    types: Mapping[str, Action] | None = None,
    roles: Mapping[str, Action] | None = None,
    dates: Dates = "year",
) -> Policy:
    """A preset with what overrides it.

    Raises:
        PolicyRefused: the policy contradicts itself, or asks for what a type can't have.
    """
    types = {} if types is None else types
    roles = {} if roles is None else roles
    _check_actions(types, roles)
    if preset == "strict":
        _check_strict(direct, types, roles)
    base_types, base_roles = _PRESETS[preset]
    # A class that is named outright takes the place of what the preset says of its types one by one.
    kept: dict[str, Action] = {
        kind: action
        for kind, action in base_types.items()
        if (direct if kind in DIRECT_TYPES else quasi) is None
    }
    policy = Policy(
        direct or "token",
        quasi or "token",
        _pairs(kept, types),
        _pairs(base_roles, roles),
        dates,
    )
    if preset == "court-publication" and _of_type(policy, "PERSON") == "keep":
        raise PolicyRefused("types.PERSON", "court-publication is there to mask natural persons")
    if all(_of_type(policy, kind) == "keep" for kind in ENTITY_TYPES) and not any(
        action != "keep" for _, action in policy.roles
    ):
        raise PolicyRefused("types", "this policy masks nothing")
    return policy


def decide(policy: Policy, span: Span, role: str = "") -> Action:
    """What becomes of one finding. Pure: the same three always have the same answer.

    What a reviewer has added is never kept, whatever the policy says of its type or role.
    """
    action = _by_role(policy, span, role) or _of_type(policy, span.type)
    return "token" if action == "keep" and span.recognizer == REVIEWER else action


def _by_role(policy: Policy, span: Span, role: str) -> Action | None:
    if span.type in ROLE_TYPES and role_applies(role, span.type):
        for name, action in policy.roles:
            if name == role:
                return action
    return None


def _pairs(base: Mapping[str, Action], over: Mapping[str, Action]) -> tuple[tuple[str, Action], ...]:
    merged: dict[str, Action] = {**base, **over}
    return tuple((name, merged[name]) for name in sorted(merged))


def _of_type(policy: Policy, kind: str) -> Action:
    for name, action in policy.types:
        if name == kind:
            return action
    action = policy.direct if kind in DIRECT_TYPES else policy.quasi
    unknown = (action == "surrogate" and kind not in SURROGATE_TYPES) or (
        action == "generalise" and kind not in GENERALIZED_TYPES
    )
    return "token" if unknown else action


def _check_actions(types: Mapping[str, Action], roles: Mapping[str, Action]) -> None:
    for kind, action in types.items():
        if kind not in ENTITY_TYPES:
            raise PolicyRefused("types", "it names a type that there is none of")
        _check_able(f"types.{kind}", kind, action)
    for role, action in roles.items():
        if role not in ROLES:
            raise PolicyRefused("roles", f"a role is one of {', '.join(ROLES)}")
        _check_able(f"roles.{role}", "ORGANIZATION" if role == "company" else "PERSON", action)


def _check_able(setting: str, kind: str, action: Action) -> None:
    if action == "surrogate" and kind not in SURROGATE_TYPES:
        raise PolicyRefused(setting, f"{kind} has no surrogates")
    if action == "generalise" and kind not in GENERALIZED_TYPES:
        raise PolicyRefused(setting, f"{kind} has no generalisation")


def _check_strict(direct: Action | None, types: Mapping[str, Action], roles: Mapping[str, Action]) -> None:
    if direct in ("keep", "generalise"):
        raise PolicyRefused("direct", f"{direct} contradicts the preset strict")
    for kind, action in types.items():
        if kind in DIRECT_TYPES and action in ("keep", "generalise"):
            raise PolicyRefused(f"types.{kind}", f"{action} contradicts the preset strict")
    for role, action in roles.items():
        if action == "keep":
            raise PolicyRefused(f"roles.{role}", "keep contradicts the preset strict")
