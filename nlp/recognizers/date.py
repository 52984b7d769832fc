# ruff: noqa: E501  -- patterns read best on one line
"""Dates in English, German, French, Chinese and numeric forms."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import SPACED_WORD
from lexveil.nlp.recognizers.base import LABELED, SHAPED, SHARED, Finding, RuleRecognizer, find_matches

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|JANUARY|FEBRUARY|MARCH|APRIL|MAY|JUNE|JULY|AUGUST|SEPTEMBER|OCTOBER|NOVEMBER|DECEMBER"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\b\.?)"
)
_MONAT = (
    r"(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jänner"
    r"|janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre)"
)
_YEAR = r"(?:1[6-9]|20)\d{2}"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_DAYS = rf"{_DAY}(?:(?:,? and |,? or | to |, ?| ?- ?|/){_DAY})*"
ENGLISH_DATE = (
    rf"(?:{_DAYS}(?: day)?(?: of)?,? ?{_MONTH}(?:(?:,? and |,? or | to |, | ?- ?|/){_DAYS} {_MONTH})*,?(?: ?of)? ?{_YEAR}"
    rf"|{_MONTH} {_DAYS},? ?{_YEAR}"
    rf"|{_MONTH}(?:(?: and | to | or | ?- ?|/){_MONTH})?,?(?: of)? {_YEAR})"
)
NUMERIC_DATE = (
    rf"(?:{_YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d{1, 6})?Z?)?"
    + "".join(
        rf"|(?:0?[1-9]|[12]\d|3[01]){mark}(?:0?[1-9]|[12]\d|3[01]){mark}(?:{_YEAR}|\d{{2}})"
        for mark in ("-", "/", r"\.")
    )
    + ")"
)
GERMAN_DATE = rf"(?:\d{{1,2}}\.? {_MONAT} {_YEAR}|{_MONAT} {_YEAR})"
_DIGIT_ZH = "[〇零一二三四五六七八九]"
# Taiwan counts the years from 1912, and often leaves out the era.
_ERA_YEAR = r"(?:(?:中华)?民国 ?(?:\d{1,3}|[〇零一二三四五六七八九十百]{1,5}|元))"
CHINESE_DATE = (
    rf"(?:(?:\d{{4}}|{_DIGIT_ZH}{{4}}|{_ERA_YEAR}) ?年 ?(?:\d{{1,2}}|[正一二三四五六七八九十]{{1,2}}) ?月"
    rf"(?: ?(?:\d{{1,2}}|[一二三四五六七八九十廿卅]{{1,3}}|初[一二三四五六七八九十]) ?日?)?)"
)
_PART = r"(?:(?:[Tt]he )?(?:beginning|end|middle|start|first half|second half|summer|autumn|spring|winter|course) of |[Ee]arly |[Ll]ate |[Mm]id-)?"
_FULL = SHARED.compile(rf"(?<![\w§]){_PART}(?:{ENGLISH_DATE}|{GERMAN_DATE})(?!\w)")
_NUMERIC = SHARED.compile(rf"(?<![./-])(?<!{SPACED_WORD}){NUMERIC_DATE}(?!{SPACED_WORD}|[/-]|\.\d)")
_CHINESE = SHARED.compile(
    rf"(?<!\d){CHINESE_DATE}|(?<!\d)(?:[6-9]\d|1[01]\d) ?年 ?\d{{1,2}} ?月 ?\d{{1,2}} ?日|(?<!\d)\d{{1,2}}月\d{{1,2}}日|{_ERA_YEAR} ?年(?=[初底末间度以起至,。、])"
)
# A month without a year is a date only with its day: "May" alone is a verb, or a name.
_NO_YEAR = SHARED.compile(rf"(?<![\w§])(?:{_DAYS} {_MONTH}|{_MONTH} {_DAY})(?![\w%]|[.,]\d|,? \d{{4}})")
_YEAR_ALONE = SHARED.compile(
    rf"\b(?:[Ii]n|[Ss]ince|[Uu]ntil|[Bb]y|[Dd]uring|[Bb]efore|[Aa]fter|[Ff]rom|[Bb]etween|early|late|mid-?|year|"
    rf"(?:[Ss]ummer|[Ss]pring|[Aa]utumn|[Ww]inter|[Ff]all)(?: of| in)?|end of|beginning of|half of|years)"
    rf" ({_YEAR}(?:(?: and | to | or | ?- ?|, ){_YEAR})*)(?![\w/§%-]|[.,]\d)"
)
_YEAR_ZH = SHARED.compile(rf"(?<!\d)(?:{_YEAR})年(?=[初底末春夏秋冬以起间至,。、]|上半年|下半年|期间)")


_AFTER_MODAL = re.compile(r"\s+(?:not|be|have|only|also|the|a|by|in its)\b")


class LexveilDateRecognizer(RuleRecognizer):
    """Dates, from a day to a year alone."""

    NAME = "DateRecognizer"
    TYPES = ("DATE",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the dates in `text`."""
        yield from find_matches(text, "DATE", LABELED, _FULL, _CHINESE)
        yield from find_matches(text, "DATE", SHAPED, _NUMERIC, _YEAR_ZH)
        for match in _NO_YEAR.finditer(text):
            if not _is_modal_verb(match):
                yield Finding(match.start(), match.end(), "DATE", SHAPED)
        yield from find_matches(text, "DATE", SHAPED, _YEAR_ALONE, group=1)


def _is_modal_verb(match: re.Match[str]) -> bool:
    """Return True for a number before the verb, as in "Section 5 May be amended"."""
    before = match.string[max(0, match.start() - 12) : match.start()].rstrip()
    follows = _AFTER_MODAL.match(match.string, match.end())
    return "may" in match.group().lower() and (
        follows is not None or before.endswith(("Section", "Article", "Clause", "Paragraph", "Rule"))
    )
