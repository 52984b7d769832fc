"""Names in spaced capitals, as headings have them, and spelled ones: "A D A   R O E", "R-O-E"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import UPPER
from lexveil.nlp.recognizers.base import SHAPED, SHARED, Finding, RuleRecognizer

_WORD = rf"[{UPPER}](?: ?-? ?[{UPPER}']){{2,30}}"
_SPACED = SHARED.compile(rf"(?<![\w.-])(?=[{UPPER}] [{UPPER}'-] ){_WORD}(?: {{2,4}}{_WORD}){{0,4}}(?![\w.-])")
_SPELLED = SHARED.compile(rf"(?<![\w-])[{UPPER}](?:-[{UPPER}]){{2,20}}(?![\w-])")
_GAP = re.compile(" {2,}")


class SpacedNameRecognizer(RuleRecognizer):
    """A first name and what stands beside it in spaced capitals, its words alone, and spelled names."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names in spaced capitals in `text`."""
        runs = list(_SPACED.finditer(text))
        names: set[str] = set()
        for run in runs:
            words = _GAP.split(run.group())
            if len(words) > 1 and any(is_given_name(_join(word)) for word in words):
                names.update(map(_join, words))
        for run in runs:
            if names.intersection(map(_join, _GAP.split(run.group()))):
                yield Finding(*run.span(), "PERSON", SHAPED)
        for spelled in _SPELLED.finditer(text):
            word = spelled.group().replace("-", "")
            if is_given_name(word.casefold()) or re.search(rf"(?<!\w){word.capitalize()}(?!\w)", text):
                yield Finding(*spelled.span(), "PERSON", SHAPED)


def _join(word: str) -> str:
    return word.replace(" ", "").casefold()
