"""Policies of masking: keep a span, or replace it by a token, a surrogate or a generalization.

A `Policy` is data and `decide_action` is pure, so that the two explain the treatment of every span.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from lexveil.nlp.entities.roles import ROLE_TYPES, ROLES, role_applies
from lexveil.nlp.entity_types import DIRECT_TYPES, ENTITY_TYPES, GENERALIZED_TYPES, SURROGATE_TYPES
from lexveil.nlp.recognizers.scores import ALLOWED, DENIED, REVIEWER
from lexveil.nlp.text import Span

Action = Literal["keep", "token", "surrogate", "generalise"]
Preset = Literal["balanced", "strict", "court-publication"]
Dates = Literal["month", "year"]
ACTIONS: tuple[Action, ...] = get_args(Action)


class PolicyError(ValueError):
    """A policy contradicts itself. The message is one line.

    Attributes:
        setting: name of the setting to change.
    """

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Policy:
    """Actions by role, by type and by class of identifier; the most specific one applies.

    Attributes:
        direct: action of the types in `DIRECT_TYPES`.
        quasi: action of the other types. A type without surrogates or generalization gets a token instead.
        types: (type, action), which override the class.
        roles: (role, action), which override the type; only people and companies have roles.
        dates: how much of a date its generalization keeps.
    """

    direct: Action = "token"
    quasi: Action = "token"
    types: tuple[tuple[str, Action], ...] = ()
    roles: tuple[tuple[str, Action], ...] = ()
    dates: Dates = "year"

    @property
    def keeps_any(self) -> bool:
        """True if any type, role or class stays readable."""
        actions = (action for _, action in (*self.types, *self.roles))
        return "keep" in (self.direct, self.quasi, *actions)


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
# (types, roles) of each preset, which settings override.
_PRESETS: dict[Preset, tuple[dict[str, Action], dict[str, Action]]] = {
    "balanced": ({}, {}),
    "strict": ({}, {}),
    "court-publication": (_COURT_PUBLICATION, {"judge": "keep", "counsel": "keep", "company": "keep"}),
}


def build_policy(
    preset: Preset = "balanced",
    direct: Action | None = None,
    quasi: Action | None = None,
    types: Mapping[str, Action] | None = None,
    roles: Mapping[str, Action] | None = None,
    dates: Dates = "year",
) -> Policy:
    """Return the policy of a preset with the settings that override it.

    Args:
        preset: the preset.
        direct: action of all direct identifiers, instead of the preset's.
        quasi: action of all other types, instead of the preset's.
        types: actions by entity type.
        roles: actions by role.
        dates: how much of a date its generalization keeps.

    Raises:
        PolicyError: the policy contradicts itself, or a type does not have the action.
    """
    types = {} if types is None else types
    roles = {} if roles is None else roles
    _check_actions(types, roles)
    if preset == "strict":
        _check_strict(direct, types, roles)
    base_types, base_roles = _PRESETS[preset]
    # An explicit class overrides the preset's actions for the single types of the class.
    kept: dict[str, Action] = {
        kind: action
        for kind, action in base_types.items()
        if (direct if kind in DIRECT_TYPES else quasi) is None
    }
    policy = Policy(
        direct or "token",
        quasi or "token",
        _merge_actions(kept, types),
        _merge_actions(base_roles, roles),
        dates,
    )
    _check_effect(policy, preset)
    return policy


def decide_action(policy: Policy, span: Span, role: str = "", supported: bool = True) -> Action:
    """Return the action for one span. Pure: equal arguments always give the same action.

    A span that a reviewer added, or that the office always wants masked, is never kept, whatever the policy
    says about its type or role. Neither is a span of a type other than PERSON that only a model's guess
    supports: it may be a person, whom the policy masks. A string that the office never wants masked is always
    kept.

    Args:
        policy: the policy.
        span: the span.
        role: role of its entity, or "".
        supported: there is evidence of the span's type besides a model's guess (`evidence.find_unsupported`).
    """
    action = _find_role_action(policy, span, role) or _find_type_action(policy, span.type)
    if span.recognizer == ALLOWED:
        return "keep"
    sure = supported or span.type == "PERSON" or _find_type_action(policy, "PERSON") == "keep"
    doubtful = span.recognizer in (REVIEWER, DENIED) or not sure
    return "token" if action == "keep" and doubtful else action


def explain_action(policy: Policy, span: Span, role: str, action: Action) -> str:
    """Return which rule of the policy led to the action for a span, as a short text without its characters.

    Args:
        policy: the policy.
        span: the span.
        role: role of its entity, or "".
        action: what was done with it.
    """
    by_role, by_type = _find_role_action(policy, span, role), _find_type_action(policy, span.type)
    if by_role is not None:
        rule = f"roles.{role} = {by_role}"
    elif any(kind == span.type for kind, _ in policy.types):
        rule = f"types.{span.type} = {by_type}"
    else:
        rule = f"{'direct' if span.type in DIRECT_TYPES else 'quasi'} = {by_type}"
    planned = by_role or by_type
    if action == planned:
        return rule
    if action == "keep":
        return f"{rule}, but it is kept"
    if planned == "keep":
        return f"{rule}, but only a model says that it is {span.type}"
    return f"{rule}, for which there was no text"


def _find_role_action(policy: Policy, span: Span, role: str) -> Action | None:
    if span.type in ROLE_TYPES and role_applies(role, span.type):
        for name, action in policy.roles:
            if name == role:
                return action
    return None


def _merge_actions(base: Mapping[str, Action], over: Mapping[str, Action]) -> tuple[tuple[str, Action], ...]:
    merged: dict[str, Action] = {**base, **over}
    return tuple((name, merged[name]) for name in sorted(merged))


def _find_type_action(policy: Policy, kind: str) -> Action:
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
            raise PolicyError("types", f"unknown entity type; a type is one of {', '.join(ENTITY_TYPES)}")
        _check_available(f"types.{kind}", kind, action)
    for role, action in roles.items():
        if role not in ROLES:
            raise PolicyError("roles", f"a role is one of {', '.join(ROLES)}")
        _check_available(f"roles.{role}", "ORGANIZATION" if role == "company" else "PERSON", action)


def _check_available(setting: str, kind: str, action: Action) -> None:
    if action == "surrogate" and kind not in SURROGATE_TYPES:
        raise PolicyError(setting, f"{kind} has no surrogates")
    if action == "generalise" and kind not in GENERALIZED_TYPES:
        raise PolicyError(setting, f"{kind} has no generalization")


def _check_effect(policy: Policy, preset: Preset) -> None:
    if preset == "court-publication" and _find_type_action(policy, "PERSON") == "keep":
        raise PolicyError("types.PERSON", "court-publication must mask natural persons")
    keeps_types = all(_find_type_action(policy, kind) == "keep" for kind in ENTITY_TYPES)
    if keeps_types and all(action == "keep" for _, action in policy.roles):
        raise PolicyError("types", "this policy masks nothing")


def _check_strict(direct: Action | None, types: Mapping[str, Action], roles: Mapping[str, Action]) -> None:
    if direct in ("keep", "generalise"):
        raise PolicyError("direct", f"{direct} contradicts the preset strict")
    for kind, action in types.items():
        if kind in DIRECT_TYPES and action in ("keep", "generalise"):
            raise PolicyError(f"types.{kind}", f"{action} contradicts the preset strict")
    for role, action in roles.items():
        if action == "keep":
            raise PolicyError(f"roles.{role}", "keep contradicts the preset strict")
