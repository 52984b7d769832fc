# ruff: noqa: E501  -- patterns read best on one line
"""People who speak in a chat or a transcript: the label before each line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lexveil.nlp.entities.given_names import is_given_name, may_be_given_name
from lexveil.nlp.letters import HAN, LOWER, UPPER
from lexveil.nlp.recognizers.base import SHAPED, SHARED, Finding, RuleRecognizer
from lexveil.nlp.vocabulary import (
    COMPOUND_SURNAMES_ZH,
    INSTITUTION_WORDS,
    JURISDICTIONS,
    LEGAL_WORDS,
    PLACES,
    SURNAMES_ZH,
    TIME_WORDS,
)

_STAMP = r"\[?(?:\d{1,4}[./-]\d{1,2}\.?(?:[./-]?\d{2,4})?,? )?(?:um )?\d{1,2}[:.]\d{2}(?::\d{2})?(?: ?[AaPp]\.?[Mm]\.?)?\]?(?: ?-)? ?"
_LABEL = SHARED.compile(
    rf"(?m)^[ \t>]*(?:({_STAMP})~?((?:[{UPPER}{LOWER}][\w'-]*\.?)(?: [{UPPER}][\w'-]*\.?){{0,2}})|((?:[{UPPER}][{LOWER}][\w'-]*)(?: [{UPPER}][\w'-]*\.?){{0,2}})) ?: ?(?=\S)"
)
# Where nothing has a capital, the speakers have none either.
_LOWER_LABEL = re.compile(rf"(?m)^[ \t>]*(?:({_STAMP})~?([{LOWER}][\w'-]+)|([{LOWER}][\w'-]+)) ?: ?(?=\S)")
_CAPITAL = re.compile(rf"[{UPPER}]")
# "ada.roe  10:02": the line of a sender in a chat at work, and "@ada" in its messages.
_HANDLE = SHARED.compile(rf"(?m)^[ \t>]*@?([{LOWER}]{{2,}}[._-][{LOWER}]+)[ \t]+{_STAMP}$")
_MENTION = SHARED.compile(r"(?<![\w@.])@([A-Za-z][\w.-]{1,30}\w)")
# "景行 22:01": the line of a sender above a message.
_SENDER = SHARED.compile(
    rf"(?m)^[ \t>]*((?:[{HAN}]{{2,4}})|(?:[{UPPER}][{LOWER}][\w'-]*)(?: [{UPPER}][\w'-]*\.?){{0,2}})[ \t,]+{_STAMP}[ \t]*\n(?=[^\n]*\S)"
)
_LABEL_ZH = SHARED.compile(rf"(?m)^[ \t>]*(?:{_STAMP})?([{HAN}]{{2,4}}) ?: ?(?=\S)")
# Roles and the labels of forms end with these: 被告人, 审判员, 地址.
_SURNAMES_ZH = (*COMPOUND_SURNAMES_ZH, *SURNAMES_ZH)
_ENDS_ROLE = re.compile(
    r"[人员长官方告师者号址话名期间由容项点所份额称别族龄历业位码因款院局室注证据组席]\Z|问|答|先生|女士|[上下中正]午|[早晚]上|[今昨明]天|[周星]期?[一二三四五六日天]"
)
_WORD = re.compile(r"[^\W\d_]+")
_CAPITALIZED = re.compile(rf"(?<![\w@./-])[{UPPER}][{LOWER}]{{2,}}(?![\w@-])")
_ROLES = frozenset(
    """
    admin agent antwoord antwort assistant betreff bot chair chairman cc court date datum domanda everyone frage host ich
    interviewer interviewter jury koga me moderator note objet odgovor odpowiedź operator papa mama mum mom dad oma opa
    pergunta pitanje pregunta pytanie question re réponse reply resposta respuesta risposta sent speaker sprecher subject
    support system the to user vorhalt vraag you answer an von from bcc name adresse address anschrift telefon tel
    kläger klägerin beklagte beklagter zeuge zeugin richter richterin angeklagter angeklagte vorsitzende vorsitzender
    président présidente juge témoin giudice teste presidente juez testigo świadek sąd sud svedok getuige rechter
    """.split()  # noqa: SIM905
)
_COMMON = (INSTITUTION_WORDS, JURISDICTIONS, LEGAL_WORDS, PLACES, TIME_WORDS, _ROLES)
_FEWEST_LINES = 3


class SpeakerRecognizer(RuleRecognizer):
    """The names before the lines of a chat.

    A time before the label shows that it is a speaker. Without one, three lines in a row have labels, one of
    them twice, and one label is a first name or one line is a question: forms have labels, too.
    """

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the speakers in `text`."""
        labels = [label for label in _LABEL.finditer(text) if not _is_common(_read(label))]
        if not labels and not _CAPITAL.search(text):
            labels = [label for label in _LOWER_LABEL.finditer(text) if not _is_common(_read(label))]
        stamped = [label for label in labels if label.group(1)]
        bare = [label for label in labels if not label.group(1)]
        speakers = [*stamped, *(bare if _is_talk(text, bare) else ())]
        for label in speakers:
            group = 2 if label.group(1) else 3
            yield Finding(*label.span(group), "PERSON", SHAPED)
            # Whom they speak of they call by first names.
            stop = text.find("\n", label.end())
            for word in _CAPITALIZED.finditer(text, label.end(), len(text) if stop < 0 else stop):
                if is_given_name(word.group().casefold()) and not _is_common(word.group()):
                    yield Finding(*word.span(), "PERSON", SHAPED)
        yield from _find_chinese(text)
        yield from _find_senders(text)
        handles = list(_HANDLE.finditer(text))
        for match in (*handles, *_MENTION.finditer(text)):
            yield Finding(*match.span(1), "PERSON", SHAPED)


def _find_chinese(text: str) -> Iterator[Finding]:
    """Yield Chinese speakers: at least three lines in a row have labels that are no roles, one of them twice."""
    labels = [label for label in _LABEL_ZH.finditer(text) if not _ENDS_ROLE.search(label.group(1))]
    counts = Counter(label.group(1) for label in labels)
    if len(counts) > 1 and max(counts.values()) > 1 and _has_run(text, labels):
        for label in labels:
            yield Finding(*label.span(1), "PERSON", SHAPED)


def _find_senders(text: str) -> Iterator[Finding]:
    """Yield the senders of a chat whose messages stand below them: two at least, one with the name of a person.

    In a timetable, one such line follows another.
    """
    lines = [
        line
        for line in _SENDER.finditer(text)
        if not _is_common(line.group(1)) and not _ENDS_ROLE.search(line.group(1))
    ]
    starts = {line.start() for line in lines}
    labels = {line.group(1) for line in lines}
    named = any(
        label.startswith(_SURNAMES_ZH) or may_be_given_name(label.split()[0].casefold()) for label in labels
    )
    if len(labels) > 1 and named and not any(line.end() in starts for line in lines):
        for line in lines:
            yield Finding(*line.span(1), "PERSON", SHAPED)


def _read(label: re.Match[str]) -> str:
    return label.group(2) or label.group(3)


def _is_common(label: str) -> bool:
    words = [word.casefold() for word in _WORD.findall(label)]
    return any(word in known for word in words for known in _COMMON)


def _is_talk(text: str, labels: Sequence[re.Match[str]]) -> bool:
    if len(labels) < _FEWEST_LINES:
        return False
    counts = Counter(_read(label) for label in labels)
    if len(counts) < 2 or max(counts.values()) < 2:
        return False
    asked = "?" in text[labels[0].start() : labels[-1].end() + 200]
    named = any(may_be_given_name(word.casefold()) for label in counts for word in _WORD.findall(label)[:1])
    return (asked or named) and _has_run(text, labels)


def _has_run(text: str, labels: Sequence[re.Match[str]]) -> bool:
    """Return True if some labels stand at the beginning of lines in a row, blank ones aside."""
    run = 1
    for first, second in pairwise(labels):
        between = text[first.end() : second.start()].strip("\n")
        run = run + 1 if "\n" not in between else 1
        if run >= _FEWEST_LINES:
            return True
    return False
