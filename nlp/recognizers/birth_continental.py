# ruff: noqa: E501  -- patterns read best on one line
"""Dates of birth in French, Spanish, Italian, Portuguese, Dutch, Polish, Czech, Serbian and Croatian."""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.letters import UPPER
from lexveil.nlp.recognizers.base import CONTINENTAL, LABELED, Finding, RuleRecognizer, find_matches
from lexveil.nlp.recognizers.date import NUMERIC_DATE

_BORN = (
    r"(?:\b(?:[Nn]é(?:e|\(e\)|es|s)?|[Nn]acid[oa]s?|[Nn]at[oa]|[Nn]ascid[oa]|[Gg]eboren|[Gg]eb\.|[Uu]rodzon\w{1,3}|[Uu]r\.|[Rr]ođen[aio]?|[Rr]oj\.|[Nn]arozen\w?|[Nn]ar\.|"
    r"[Dd]ate de naissance|[Ff]echa de nacimiento|[Dd]ata di nascita|[Dd]ata de nascimento|[Gg]eboortedatum|[Dd]ata urodzenia|[Dd]atum rođenja|[Dd]atum narození|[РрPp]ођен[а]?))"
)
_PLACE = rf"(?: (?:a|à|en|em|in|te|w|we|u|у|v|ve) [{UPPER}][\w'-]+(?:[ -][{UPPER}]?[\w'-]+){{0,2}}(?: \([A-Z]{{2}}\))?)?"
_LINK = r"(?:[ :,.]{1,2}(?:le|el(?: día)?|il|em|a|op|dnia|dana|дана|dne|w dniu|r\.)?){0,2} ?"
_MONTH = r"(?:\d{1,2}(?:er|\.|º|°)?(?: de)? [^\W\d_]{3,12}\.?(?: de| del)? (?:1[89]|20)\d\d)"
_BIRTH = CONTINENTAL.compile(
    rf"{_BORN}{_PLACE}{_LINK}(?P<date>{NUMERIC_DATE}|\d{{1,2}}\. ?\d{{1,2}}\. ?(?:1[89]|20)\d\d|{_MONTH})(?!\w)"
)


class ContinentalBirthRecognizer(RuleRecognizer):
    """Dates after the words for being born."""

    TYPES = ("BIRTH_DATE",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the dates of birth in `text`."""
        yield from find_matches(text, "BIRTH_DATE", LABELED + 0.05, _BIRTH, group="date")
