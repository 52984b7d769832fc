"""E-mail addresses."""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.letters import HAN, SPACED_WORD
from lexveil.nlp.recognizers.base import CHECKED, SHAPED, SHARED, Finding, RuleRecognizer, find_matches

_EMAIL = SHARED.compile(
    rf"(?<![.+%-])(?<!{SPACED_WORD})(?:[.+%'-]|{SPACED_WORD}){{1,64}}@(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?\.){{1,8}}"
    rf"(?:[^\W\d_{HAN}]{{2,24}}(?![^\W_{HAN}])|中国|公司|网络)"
)


# As it is said aloud.
_SPOKEN = SHARED.compile(
    r"(?i)(?<![\w@])[\w-]{2,30}(?: (?:dot|point|underscore|dash|hyphen) [\w-]{1,30}){0,3} at [\w-]{2,40}"
    r"(?: dot [a-z]{2,12}){0,2} dot (?:com|org|net|edu|gov|info|biz|in|uk|us|de|fr|es|it|pt|nl|pl|rs|hr|eu|cn"
    r"|au|ca|ie|ch|at|example)(?!\w)"
)


class LexveilEmailRecognizer(RuleRecognizer):
    """E-mail addresses."""

    NAME = "EmailRecognizer"
    TYPES = ("EMAIL",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the e-mail addresses in `text`."""
        yield from find_matches(text, "EMAIL", SHAPED, _SPOKEN) if " at " in text and " dot " in text else ()
        if "@" not in text:
            return
        for match in _EMAIL.finditer(text):
            start = match.start() + len(match.group()) - len(match.group().lstrip(".'"))
            yield Finding(start, match.end(), "EMAIL", CHECKED)
