"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.recognizers.base import CHECKED, Finding, RuleRecognizer

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![^\W_])"
)


class LexveilEmailRecognizer(RuleRecognizer):
    """E-mail addresses."""

    NAME = "EmailRecognizer"
    TYPES = ("EMAIL",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the e-mail addresses in `text`."""
        if "@" not in text:
            return
        for match in _EMAIL.finditer(text):
            start = match.start() + len(match.group()) - len(match.group().lstrip(".'"))
            yield Finding(start, match.end(), "EMAIL", CHECKED)
