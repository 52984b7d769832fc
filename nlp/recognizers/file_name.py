# ruff: noqa: E501  -- lists of words read best in long lines
"""Names of people in the names of files, such as "Lease_Ada_Quill.pdf", and of home folders."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.vocabulary import AMBIGUOUS_NAMES, LEGAL_WORDS, TIME_WORDS

_SUFFIX = re.compile(
    r"\.(?:docx?|pdf|xlsx?|pptx?|txt|rtf|odt|csv|eml|msg|jpe?g|png|tiff?|gif|heic|mp[34]|wav|m4a|mov|avi|zip)(?![\w-])",
    re.IGNORECASE,
)
_STEM = re.compile(r"[\w.()'-]{3,120}\Z")
_LONGEST = 120
# "AdaQuill" is two words.
_WORD = re.compile(rf"[{UPPER}][{LOWER}]+|[{UPPER}]{{2,}}(?![{LOWER}])|[{LOWER}]{{2,}}")
_HOME = re.compile(r"(?:[\\/][Uu]sers|[\\/]home|[\\/]Benutzer)[\\/]([\w.-]{2,40})(?=[\\/])")
_EVERYBODY = frozenset("public default shared admin administrator user root guest all".split())  # noqa: SIM905
# Further words of the names of files.
_OF_FILES = frozenset(
    """
    statement scan scanned copy draft final version letter mail photo picture image cv resume invoice bill receipt
    signed unsigned redacted original attachment annex enclosure file folder screenshot recording transcript bundle
    report minutes meeting call interview passport licence id card account list form visit medical school
    vertrag kaufvertrag mietvertrag arbeitsvertrag rechnung brief schreiben anlage foto bild gutachten protokoll
    zeugnis lebenslauf bewerbung vollmacht klage antrag bescheid entwurf unterschrieben kopie ausweis
    contrat facture lettre attestation contrato factura carta informe fattura lettera umowa faktura pismo
    """.split()  # noqa: SIM905
)


class FileNameRecognizer(RuleRecognizer):
    """A first name with the word beside it in the name of a file, and the owner of a home folder."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names of people in the names of files in `text`."""
        for suffix in _SUFFIX.finditer(text):
            stem = _STEM.search(text, max(0, suffix.start() - _LONGEST), suffix.start())
            if stem:
                yield from _find_names(text, *stem.span())
        for home in _HOME.finditer(text):
            if home.group(1).casefold() not in _EVERYBODY:
                yield Finding(*home.span(1), "PERSON", LABELED)


def _find_names(text: str, start: int, end: int) -> Iterator[Finding]:
    words = list(_WORD.finditer(text, start, end))
    for index, word in enumerate(words):
        if is_given_name(word.group().casefold()):
            after = words[index + 1] if index + 1 < len(words) else None
            before = words[index - 1] if index else None
            other = next((one for one in (after, before) if one and _may_be_surname(one)), word)
            yield Finding(min(word.start(), other.start()), max(word.end(), other.end()), "PERSON", SHAPED)


def _may_be_surname(word: re.Match[str]) -> bool:
    folded = word.group().casefold()
    if folded in AMBIGUOUS_NAMES:
        return True
    return len(folded) > 1 and not any(folded in known for known in (LEGAL_WORDS, TIME_WORDS, _OF_FILES))
