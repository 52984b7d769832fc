# ruff: noqa: E501  -- patterns read best on one line
"""Telephone numbers: libphonenumber's matcher where a cheap pattern has seen enough digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlp.recognizers.base import CHECKED, LABELLED, SHAPED, Found, RuleRecognizer

_LABEL = re.compile(
    r"(?i)\b(?:tele?(?:phone|fax)?|phone|mobile|cell(?:phone)?|fax|facsimile|call(?:ing)?|tel\. ?no)\b\.?"
    r"[^\n\d+(]{0,20}(\+?[\d(][\d ().\-/]{5,20}\d)|(?:电话|手机号?码?|联系方式)[^\n\d+(]{0,8}(\+?[\d(][\d() -]{5,18}\d)"
)
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.-])(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]?\d{2}[ .-]\d{4}"
    r"(?: ?(?:x|ext\.?) ?\d{1,5})?(?![\w-])"
)
_INTERNATIONAL = re.compile(r"(?<![\w+])\+[1-9]\d{0,2}[ ().-]{0,2}\d[\d ().-]{5,17}\d")
_BRITISH = re.compile(r"(?<![\w.-])0[1-9]\d{1,3} ?\d{3,4} ?\d{3,4}(?![\w-])")
_CHINESE = re.compile(r"(?<![\dA-Za-z])1[3-9]\d[\d*xX]{4}\d{4}(?!\d)|(?<!\d)0\d{2,3}-[2-9]\d{6,7}(?!\d)")


class PhoneRecognizer(RuleRecognizer):
    TYPES = ("PHONE",)

    def find(self, text: str) -> Iterator[Found]:
        for match in _LABEL.finditer(text):
            group = 1 if match.group(1) else 2
            if 7 <= sum(c.isdigit() for c in match.group(group)) <= 15:
                yield Found(match.start(group), match.end(group), "PHONE", LABELLED)
        for pattern in (_NORTH_AMERICAN, _CHINESE):
            for match in pattern.finditer(text):
                yield Found(match.start(), match.end(), "PHONE", SHAPED)
        for match in _INTERNATIONAL.finditer(text):
            if _valid(match.group(), None):
                yield Found(match.start(), match.end(), "PHONE", CHECKED)
            else:
                yield Found(match.start(), match.end(), "PHONE", SHAPED)
        for match in _BRITISH.finditer(text):
            if _valid(match.group(), "GB"):
                yield Found(match.start(), match.end(), "PHONE", SHAPED)


def _valid(number: str, region: str | None) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
