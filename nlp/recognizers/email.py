"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import HAN, SPACED_WORD
from lexveil.nlp.recognizers.base import CHECKED, Finding, RuleRecognizer

_EMAIL = re.compile(
    rf"(?<![.+%-])(?<!{SPACED_WORD})(?:[.+%'-]|{SPACED_WORD}){{1,64}}@(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?\.){{1,8}}"
    rf"(?:[^\W\d_{HAN}]{{2,24}}(?![^\W_{HAN}])|中国|公司|网络)"
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
