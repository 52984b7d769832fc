# ruff: noqa: E501  -- patterns read best on one line
"""Telephone numbers: candidates of a cheap pattern, checked by libphonenumber."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import HAN, SPACED_WORD
from lexveil.nlp.recognizers.base import (
    CHECKED,
    LABELED,
    SHAPED,
    SHARED,
    Finding,
    RuleRecognizer,
    find_matches,
)

_NUMBER = r"(?:\+|00)?[\d(][\d ().\-/]{5,22}\d(?: ?(?:x|ext\.?|extension) ?\d{1,6})?"
_LABEL = SHARED.compile(
    rf"(?i:\b(?:tele?(?:phone|fax)?s?|phone|mobile|cell(?:phone)?|fax|facsimile|call(?:ing|ed)?|reach(?:ed)? (?:\w+ )?(?:at|on)|dial(?:led)?|text|SMS|WhatsApp|Telefon|Tel|Handy|Mobil|téléphone|portable|móvil|teléfono)\b\.?)"
    rf"[^\n\d+(]{{0,20}}({_NUMBER})|(?:电话|手机号?码?|联系方式)[^\n\d+(]{{0,8}}(\+?[\d(][\d() -]{{5,18}}\d)"
)
_CANDIDATE = SHARED.compile(rf"(?:(?<![\w.,/§$€£+(-])|(?<=\()(?=\+)){_NUMBER}(?![\w%€£$-]|[.,/]\d)")
# Among Chinese characters only a number with a country code: any other may count something.
_CANDIDATE_ZH = SHARED.compile(rf"(?<=[{HAN}])(?=\+){_NUMBER}(?!{SPACED_WORD}|[%€£$-]|[.,/]\d)")
# A number that a line end cuts, and one that is said aloud.
_BROKEN = SHARED.compile(r"(?<![\w.])\+\d{1,3}(?:[ .-]?\d){3,9}[ .-]?\n(?:[ .-]?\d){3,9}(?![\d.,/-]*\d|\w)")
_BROKEN_NATIONAL = SHARED.compile(
    r"(?<![\w.,/-])0\d{2,4}[ -]\d{3,4}[ -]?\n ?\d{3,4}(?![\d.,/-]*\d|\w)"
    r"|(?<![\w.,/-])0\d{2,4}[ -]?\n ?\d{3,4}[ -]\d{3,4}(?![\d.,/-]*\d|\w)"
)
_DIGIT = r"(?:oh|zero|nought|one|two|three|four|five|six|seven|eight|nine|(?:double|triple|treble) (?:oh|zero|nought|one|two|three|four|five|six|seven|eight|nine))"
_SPOKEN = SHARED.compile(
    rf"(?i)(?<!\w)(?!one,? two,? three|two,? three,? four|three,? four,? five){_DIGIT}(?:,? ?[ -]{_DIGIT}){{5,16}}(?!\w)"
)
_CHINESE = SHARED.compile(r"(?<![\dA-Za-z])1[3-9]\d[\d*xX]{4}\d{4}(?!\d)|(?<!\d)0\d{2,3}-[2-9]\d{6,7}(?!\d)")
# Nothing else is written like this, so the number need not be a valid one.
_AMERICAN = re.compile(
    r"(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[.-]\d{4}(?: ?(?:x|ext\.?|extension) ?\d{1,6})?"
)
# Dates, years, case numbers, amounts, IP addresses, social security numbers.
_OTHER_NUMBER = re.compile(
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|(?:1[6-9]|20)\d\d ?[-/] ?(?:1[6-9]|20)\d\d|\d{1,6}/\d{2,6}|\d{1,3}(?:[ .]\d{3})+(?:,\d\d?)?|(?:\d{1,3}\.){3}\d{1,3}|\d{3}-\d{2}-\d{4}"
    r"|\d{2}-\d{7}|(?:\d{4}[ -]){3}\d{1,7}|(?:1[6-9]|20)\d\d[ -].*|\d{1,2} \d{4}.*|\d{5}-\d{4}|\(?\d{4}\).*|\d+\).*"
)
# Regions whose numbering plans a number without a country code is checked against.
_REGIONS = ("US", "GB", "DE", "FR", "IT", "ES", "PL", "TR", "IN", "CN", "AU", "BR")
# What the stamps of American courts number: "Document: 00118444702", "Case 12-00777 Doc 83 Entered 04/05/12".
_FILED = re.compile(
    r"(?<!\w)(?:Document|Doc|Case|Docket|Dkt|Entered|Filed|Entry ID|ECF)\.?(?: (?:No|Number)\.?)?[:#]? ?#?\Z"
)
_LONGEST_FILED = 20
_FEWEST, _MOST = 7, 15
_NATIONAL = 9
_LONGEST_RANGE = 500


class LexveilPhoneRecognizer(RuleRecognizer):
    """Telephone numbers of all countries, by a label before them or by their form."""

    NAME = "PhoneRecognizer"
    TYPES = ("PHONE",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the telephone numbers in `text`."""
        for match in _LABEL.finditer(text):
            group = 1 if match.group(1) else 2
            number = match.group(group)
            if _has_length_of_phone(number) and not _OTHER_NUMBER.fullmatch(number):
                yield Finding(match.start(group), match.end(group), "PHONE", LABELED)
        yield from find_matches(text, "PHONE", SHAPED, _CHINESE, _BROKEN, _BROKEN_NATIONAL, _SPOKEN)
        for pattern in (_CANDIDATE, _CANDIDATE_ZH):
            for match in pattern.finditer(text):
                score = _score(match.group())
                if score and not _FILED.search(text, max(0, match.start() - _LONGEST_FILED), match.start()):
                    yield Finding(match.start(), match.end(), "PHONE", score)


def _score(number: str) -> float:
    """Return the score of a candidate without a label; 0 if it is not a telephone number."""
    if not _has_length_of_phone(number):
        return 0.0
    if _is_range(number):
        return 0.0
    if number.startswith(("+", "00")):
        return CHECKED if _is_valid(number, None) else SHAPED
    if _AMERICAN.fullmatch(number):
        return SHAPED + 0.05
    too_short = _count_digits(number) < _NATIONAL and not number.startswith("0")
    if too_short or _OTHER_NUMBER.fullmatch(number):
        return 0.0
    return SHAPED if any(_is_valid(number, region) for region in _REGIONS) else 0.0


def _is_range(number: str) -> bool:
    """Return True for pages of a bundle: "0093-0098"."""
    first, _, last = number.partition("-")
    alike = len(first) == len(last) and first.isdigit() and last.isdigit()
    return alike and 0 < int(last) - int(first) < _LONGEST_RANGE


def _has_length_of_phone(number: str) -> bool:
    return _FEWEST <= _count_digits(number) <= _MOST + 5  # an extension has up to five more


def _count_digits(number: str) -> int:
    return sum(map(str.isdigit, number))


def _is_valid(number: str, region: str | None) -> bool:
    import phonenumbers

    try:
        parsed = phonenumbers.parse("+" + number[2:] if number.startswith("00") else number, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(parsed)
