# ruff: noqa: E501  -- patterns read best on one line
"""Telephone numbers as Chinese documents write them: mobile, landline with an area code, service numbers.

The numbering plan is that of the Ministry of Industry and Information Technology (2017 edition): mobile
numbers have 11 digits and begin with 13 to 19; area codes are 010, 02x and 03xx to 09xx; landline numbers have
7 or 8 digits and begin with 2 to 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.recognizers.base import CHINESE, LABELED, SHAPED, Finding, RuleRecognizer, find_matches

_CODE = r"(?:\(?(?:\+|00)?86\)?[ -]{0,2})?"
_MOBILE = CHINESE.compile(
    rf"(?<![\dA-Za-z.+-]){_CODE}1[3-9](?:\d[ -]?[\d*xX]{{4}}[ -]?\d{{4}}|\d{{3}}[ -]\d{{3}}[ -]\d{{3}}|\d[ -]\d{{3}}[ -]\d{{5}}|[\d*xX]{{9}}(?<=\d))(?![\dA-Za-z])"
)
_AREA = r"(?:010|02\d|0[3-9]\d\d)"
_LINE = CHINESE.compile(
    rf"(?<![\dA-Za-z.+-])(?:\(?(?:\+|00)?86\)?[ -]{{0,2}}0?(?:10|2\d|[3-9]\d\d)[ -]|\({_AREA}\)[ -]?|{_AREA}[ -]{{0,2}})"
    r"[2-8]\d{2,3}[ -]?\d{4}(?:(?: ?转 ?|-)\d{1,6})?(?!\d)"
)
# "0431 2227 982": seven digits in a group of four and one of three.
_GROUPED = CHINESE.compile(rf"(?<![\dA-Za-z.+-])\(?{_AREA}\)?[ -][2-8]\d{{3}}[ -]\d{{3}}(?!\d)")
_SERVICE = CHINESE.compile(r"(?<![\dA-Za-z.+-])[48]00-?\d{3,4}-?\d{3,4}(?!\d)")
_LABELED = CHINESE.compile(
    r"(?:电话|手机|座机|传真|联系方式|热线|Tel|TEL)(?:号码|号)?[^\n\d+(]{0,6}(\(?\+?[\d*][\d() *xX-]{5,18}\d)(?!\d)"
)


class ChinesePhoneRecognizer(RuleRecognizer):
    """Telephone numbers in Chinese texts."""

    TYPES = ("PHONE",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the telephone numbers in `text`."""
        yield from find_matches(text, "PHONE", LABELED, _MOBILE, _LINE, _GROUPED)
        yield from find_matches(text, "PHONE", SHAPED, _SERVICE)
        for match in _LABELED.finditer(text):
            if 7 <= sum(c.isdigit() or c in "*xX" for c in match.group(1)) <= 15:
                yield Finding(match.start(1), match.end(1), "PHONE", LABELED)
