# ruff: noqa: E501  -- patterns read best on one line
"""Ages and dates of birth."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.recognizers.base import ENGLISH, LABELED, Finding, RuleRecognizer, find_matches
from lexveil.nlp.recognizers.date import ENGLISH_DATE, GERMAN_DATE, NUMERIC_DATE

_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_UNITS = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_COUNT = rf"(?:\d{{1,3}}|(?:{_TENS})(?:[ -](?:{_UNITS}))?|{_TEENS}|{_UNITS})"
_AGE = ENGLISH.compile(
    rf"(?i)(?<![\w.,/-])(?:(?:aged|age[d:]?|at the age of|age of) ({_COUNT})(?=\s*(?:,|\.\s|\.?$|;|\)|\n|and |when|at |years? (?:old|of age)))"
    rf"|({_COUNT}[ -]years?[ -](?:old|of[ -]age))|({_COUNT}[ -](?:months?|weeks?)[ -]old)|(\d{{1,3}} y/?o)\b|\b(?:defendant|plaintiff|victim|suspect|witness|driver|deceased|accused|claimant), (\d{{1,2}})(?=,))"
)
# Words before a threshold of the law, which is nobody's age.
_THRESHOLD = re.compile(
    r"(?i)(?:under|over|least|attain(?:s|ed|ing)?|reach(?:es|ed|ing)?|above|below|than|minimum|maximum|retirement|"
    r"turns?|until|eligible|majority)\b[^.;\n]{0,25}$"
)
_DATE = rf"(?:{ENGLISH_DATE}|{GERMAN_DATE}|{NUMERIC_DATE}|(?:1[89]|20)\d\d)"
_BIRTH = ENGLISH.compile(
    rf"(?:\b[Bb]orn(?: in [^\d\n,.;]{{2,40}})?,? ?(?:on|in)?(?: or about)?|[Dd]ate[ _][Oo]f[ _][Bb]irth|\b(?:D\.?O\.?B|[Dd]\.?o\.?b)\b\.?|[Bb]irth[ _]?[Dd]ate|"
    rf"\b[Bb]irthday|[Gg]eboren(?: am)?|\b[Gg]eb\.(?: am)?|[Gg]eburtsdatum|\b[Nn]ée? le)"
    rf"(?: ?(?:is|was|of|on|on the|为|是))?[:=\"'\s(]{{0,4}}(?P<date>{_DATE})(?!\w)"
)
_PARENTHESIS = ENGLISH.compile(rf"\(\s*(?:born|b\.|\*|DOB:?)\s*(?P<date>{_DATE})\s*\)")


class EnglishAgeBirthRecognizer(RuleRecognizer):
    """Ages and dates of birth in English texts, dates in any of the usual forms."""

    NAME = "AgeBirthRecognizer"
    TYPES = ("AGE", "BIRTH_DATE")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the ages and dates of birth in `text`."""
        for match in _AGE.finditer(text):
            if not _THRESHOLD.search(text[max(0, match.start() - 40) : match.start()]):
                group = match.lastindex or 0
                yield Finding(match.start(group), match.end(group), "AGE", LABELED)
        yield from find_matches(text, "BIRTH_DATE", LABELED + 0.05, _BIRTH, _PARENTHESIS, group="date")
