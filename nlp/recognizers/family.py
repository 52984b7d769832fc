# ruff: noqa: E501  -- patterns read best on one line
"""Members of somebody's family, where an English text says whose.

"His wife" and "the applicant's late father" identify somebody through somebody else; "husband and wife" in
the words of a statute identifies nobody and is not found. A name after the relation is left to the person
recognizers, so that a person keeps one pseudonym.
"""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.letters import UPPER
from lexveil.nlp.recognizers.base import ENGLISH, LABELED, Finding, RuleRecognizer

_RELATION = (
    r"(?:(?:ex-|ex |former |late |deceased |elder |eldest |older |oldest |younger |youngest |only |twin |common-law |"
    r"maternal |paternal |minor |infant |adult |adopted |biological |foster |estranged |then |second |first )*"
    r"(?:grand(?:mother|father|son|daughter|parents?|child(?:ren)?)|step-?(?:mother|father|son|daughter|brother|sister|child(?:ren)?)"
    r"|(?:mother|father|sister|brother|son|daughter|parents?)-in-law|half-?(?:brother|sister)"
    r"|wife|husband|spouse|widow(?:er)?|fiancée?|cohabitee|mother|father|mum|dad|parents|sons?|daughters?|brothers?|sisters?|siblings?"
    r"|uncle|aunt|nephews?|nieces?|cousins?|child|children|twins)\b)"
)
_POSSESSED = ENGLISH.compile(
    rf"\b((?:[Hh]is|[Hh]er|[Mm]y|[Tt]heir) {_RELATION})|(?:\b(?:[Tt]he )?(?:applicant|plaintiff|defendant|deceased|victim|witness|"
    rf"claimant|petitioner|respondent|appellant|tenant|accused|testator|decedent|employee)s?'s?|\b[{UPPER}]\w+'s?) ({_RELATION})"
)
_OF = ENGLISH.compile(
    rf"(?:\b(?:the|a) )({_RELATION})(?= of (?:the (?:applicant|plaintiff|defendant|deceased|victim|witness|claimant|petitioner|"
    rf"respondent|appellant|accused|testator|decedent)|(?:Mr|Mrs|Ms|Dr)\b|[{UPPER}]\w+ [{UPPER}]))"
)
_NAMED = ENGLISH.compile(
    rf"(?<!')\b({_RELATION})(?=,? (?:(?:Mr|Mrs|Ms|Miss|Dr)\.? )?[{UPPER}]\w+ [{UPPER}]\w+)"
)


class EnglishFamilyRecognizer(RuleRecognizer):
    """Words of kinship with a possessor, in English texts."""

    NAME = "FamilyRecognizer"
    TYPES = ("FAMILY_MEMBER",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the members of families in `text`."""
        for pattern in (_POSSESSED, _OF, _NAMED):
            for match in pattern.finditer(text):
                group = match.lastindex or 1
                yield Finding(match.start(group), match.end(group), "FAMILY_MEMBER", LABELED)
