"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.recognizers.base import CHECKED, Finding, RuleRecognizer

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![^\W_])"
)


class LexveilEmailRecognizer(RuleRecognizer):
    NAME = "EmailRecognizer"
    TYPES = ("EMAIL",)

    def find(self, text: str) -> Iterator[Finding]:
        if "@" not in text:
            return
        for match in _EMAIL.finditer(text):
            start = match.start() + len(match.group()) - len(match.group().lstrip(".'"))
            yield Finding(start, match.end(), "EMAIL", CHECKED)
