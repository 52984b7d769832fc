# ruff: noqa: E501  -- patterns read best on one line
"""Names of people: by title, role, signature, label and caption."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import CHECKED, GUESSED, LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.recognizers.organization import SUFFIX
from lexveil.nlp.vocabulary import (
    AMBIGUOUS_NAMES,
    COURTESY_TITLES,
    FOLDED_TITLES,
    GENERATIONS,
    JURISDICTIONS,
    LEGAL_WORDS,
    OFFICE_TITLES,
)

_INITIALS = rf"(?:[{UPPER}]\.[ ]?-?){{1,4}}"
_WORD = rf"(?:(?:[OD]'|Mc|Mac)?[{UPPER}][{LOWER}]+(?:[-'][{UPPER}]?[{LOWER}]+)*|[{UPPER}]{{2,}}(?:[-'][{UPPER}]+)*|[{UPPER}]'[{UPPER}]+)"
_PARTICLE = r"(?:van der|van den|van de|von der|de la|de los|van|von|der|den|del|della|di|da|dos|de|du|la|le|al|el|bin|bint|ibn|ben|ter|ten|zu|af|y|e)"
# At least one word; initials, particles and further words about it.
NAME = (
    rf"(?<![\w])(?:{_INITIALS}[ ]?)?(?:{_PARTICLE}[ ])?{_WORD}(?:[ ]\"[^\"\n]{{2,20}}\"|[ ]\({_WORD}\))?"
    rf"(?:[ ](?:{_INITIALS}[ ]?)?(?:{_PARTICLE}[ ])?{_WORD}){{0,4}}(?:,? (?:{'|'.join(GENERATIONS)})\b\.?)?"
)
_NAME_OR_INITIALS = rf"(?:{NAME}|(?:[{UPPER}]\. ?){{1,4}}(?![\w])|[{UPPER}]\.?(?=[ ,;:)'\n]|$))"
_TITLE = rf"(?:{'|'.join((*COURTESY_TITLES, *OFFICE_TITLES))})"
_TITLED = re.compile(
    rf"(?<![\w'-])(?:the )?{_TITLE}\.?[ \n]((?:{_TITLE}\.? )*)({_NAME_OR_INITIALS}(?:(?:,? and |, | & )(?:{_TITLE}\.? ){_NAME_OR_INITIALS})*)"
)
_ROLE = (
    r"(?:plaintiff|defendant|applicant|petitioner|respondent|appellant|appellee|claimant|complainant|witness|accused|victim|deceased|"
    r"decedent|testator|tenant|landlord|landlady|lessee|lessor|borrower|guarantor|buyer|seller|purchaser|vendor|employee|employer|"
    r"patient|driver|passenger|suspect|officer|counsel|attorney|lawyer|solicitor|barrister|expert|guardian|trustee|executor|"
    r"executrix|administrator|beneficiary|mediator|arbitrator|notary|clerk|registrar|judge|prosecutor|neighbou?r|colleague|manager|"
    r"supervisor|director|shareholder|partner|client|insured|debtor|creditor|intervenor|relator|wife|husband|son|daughter|mother|"
    r"father|brother|sister|Angeklagter?|Kläger(?:in)?|Beklagter?|Zeugen?|Zeugin)"
)
_ROLED = re.compile(rf"\b(?:{_ROLE}|{_ROLE.title()}|{_ROLE.upper()})s?,? ({NAME})")
_ROLED_FULL = re.compile(rf"\b(?i:{_ROLE})s?(?:,|:| is| was| named| called)? ({NAME})")
_CALLED = re.compile(
    rf"(?:\b(?:named|called|known as|a/k/a|aka|f/k/a|née|alias|my name is|I,|we,|represented by|lodged by|signed by|by and between|"
    rf"care of|c/o|Attn:?|ATTN:?|Attention:?|Signed:?|Name:|NAME:|Dear|Cc:|From:|To:|residents?|citizens?|nationals?)[ \t]*,? ?(?:{_TITLE}\.? )*)({NAME})"
)
_SIGNATURE = re.compile(rf"(?:/s/|/S/|\bs/)[ \t_]*({NAME})")
_LABEL = re.compile(
    rf"(?im)^[ \t]*(?:(?:print(?:ed)? |full |legal |type )?name|by|witness|attorney|signature|from|to|attn|attention|{_ROLE}|reporting officer|prepared by)"
    rf"(?: \d)?[ \t]*:[ \t_]*(?:/s/[ \t]*)?(?-i:(?:{_TITLE}\.? )*({NAME}))[ \t]*(?=$|[,(;\t]|  )"
)
_TRAILING_ROLE = re.compile(
    rf"({NAME}),? ?\(?(?:[Pp]resident|Registrar|Deputy Registrar|Section Registrar|Esq\b|ESQ\b|J\.D\.|M\.D\.|Ph\.?D|Q\.?C\.?\b|K\.?C\.?\b|JJ?\.(?=[ ,)]))"
)
_BORN = re.compile(
    rf"({NAME}),? (?:\(?(?:born|b\.|aged|age|geboren|geb\.)|\(\"|, an individual|, individually|, residing|, who (?:was|is|lives))"
)
_PARTY_BLOCK = re.compile(
    rf"(?m)^[ \t]*({NAME}(?:(?: and|,| &) {NAME})*),?(?: et al\.?,?)?[ \t)]*\n\s*(?:[)|:]\s*)*(?i:{_ROLE})(?:s|\(s\))?(?:[-/ ]\w+)*[.,]?[ \t]*[)|]?[ \t]*$"
)
_CAPTION = re.compile(
    r"(?m)^[ \t]*(?:CASE OF |In the case of |IN THE CASE OF |Re: |RE: |AFFAIRE )?([^\n]{2,90}?),? (?:v|vs|V|VS)\.? ([^\n]{2,90}?)[,.]?[ \t]*$"
)
_MAIDEN = re.compile(
    rf"\b(?:maiden name|née|formerly|nicknamed|alias|surname|nickname)[ ,:]{{1,2}}(?:is |was )?[\"']?({NAME})"
)
# "J.P." in a judgment is somebody whom the court left half anonymous.
_HALF_ANONYMOUS = re.compile(rf"(?<![\w.&-])((?:[{UPPER}]\. ?-?){{2,3}})(?![\w.&/-]| ?[{UPPER}\d(§])")
_NO_INITIALS = frozenset(
    "US UK EU EC EEC UN SA NV BV LP LLP LLC PC NA PO DC NY AM PM JD MD PHD DOB USA USC CFR PLC ID QC KC FRG GDR RA IE EG PS NB".split()  # noqa: SIM905
)
_CASE_OF = re.compile(rf"(?:[Ii]n the case of|CASE OF) ({NAME}(?: and Others| AND OTHERS)?) v\.")
_IN_RE = re.compile(
    rf"(?m)^[ \t]*(?:In re|IN RE|In the Matter of|IN THE MATTER OF|Estate of|ESTATE OF)(?: the)?:?[ \t]+({NAME})"
)
_SPLIT = re.compile(r",? (?:and|AND) | ?& |, ")
_OTHERS = re.compile(r"(?i),? (?:and|&) (?:others?|another)|,? et al\.?|\([^)]*\)")
_NOT_A_PARTY = re.compile(
    rf"\b{SUFFIX}\b|\d|(?i:\b(?:state|states|people|united|commonwealth|republic|kingdom|crown|regina|county|city|department|inc|university|bank|council)\b)"
)
# Words before a name that are no part of it.
_LEADING = FOLDED_TITLES | {"messrs", "hon", "the", "by"}


class EnglishPersonRecognizer(RuleRecognizer):
    """Names by the words about them, in English and its neighbours."""

    NAME = "PersonRecognizer"
    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        for match in _TITLED.finditer(text):
            yield from _each_name(text, match.start(2), match.end(2), CHECKED - 0.05, single=True)
        for match in _ROLED.finditer(text):
            yield from _each_name(text, match.start(1), match.end(1), SHAPED, single=False)
        for pattern, score in (
            (_ROLED_FULL, SHAPED),
            (_CALLED, SHAPED),
            (_TRAILING_ROLE, SHAPED),
            (_BORN, SHAPED),
            (_LABEL, LABELED),
            (_SIGNATURE, CHECKED - 0.05),
            (_IN_RE, SHAPED),
        ):
            for match in pattern.finditer(text):
                yield from _each_name(text, match.start(1), match.end(1), score, single=pattern is _SIGNATURE)
        for match in _MAIDEN.finditer(text):
            yield from _each_name(text, match.start(1), match.end(1), SHAPED, single=True)
        for match in _HALF_ANONYMOUS.finditer(text):
            if re.sub(r"[^\w]", "", match.group()) not in _NO_INITIALS:
                yield Finding(
                    match.start(), match.start() + len(match.group().rstrip(" -")), "PERSON", GUESSED + 0.1
                )
        for match in _PARTY_BLOCK.finditer(text):
            yield from _parties(text, match.start(1), match.end(1))
        for match in _CASE_OF.finditer(text):
            yield from _parties(text, match.start(1), match.end(1))
        for match in _CAPTION.finditer(text):
            for group in (1, 2):
                yield from _parties(text, match.start(group), match.end(group))


def _each_name(text: str, start: int, end: int, score: float, *, single: bool) -> Iterator[Finding]:
    """The names of a list; a lone word counts only if `single`, for a role is often followed by a verb."""
    last = start
    pieces: list[tuple[int, int]] = []
    for separator in _SPLIT.finditer(text, start, end):
        pieces.append((last, separator.start()))
        last = separator.end()
    pieces.append((last, end))
    for piece_start, piece_end in pieces:
        trimmed = trim_name(text, piece_start, piece_end, titled=single)
        if trimmed and (single or " " in text[trimmed[0] : trimmed[1]]):
            yield Finding(*trimmed, "PERSON", score)


def _parties(text: str, start: int, end: int) -> Iterator[Finding]:
    others = _OTHERS.search(text, start, end)
    if others:
        end = others.start()
    if _NOT_A_PARTY.search(text, start, end) or text[start:end].strip().lower() in JURISDICTIONS:
        return
    for found in _each_name(text, start, end, SHAPED, single=True):
        if text[found.start : found.end].lower() not in JURISDICTIONS:
            yield found


_TOKEN = re.compile(r"[^\s]+")
_EDGE = " \t\n,.;:()[]\"'-_/*•|&"


def trim_name(text: str, start: int, end: int, *, titled: bool = False) -> tuple[int, int] | None:
    """[start, end) without titles, and cut where drafting words begin; None if no name is left."""
    tokens = [m.span() for m in _TOKEN.finditer(text, start, end)]

    def bare(span: tuple[int, int]) -> str:
        word = text[span[0] : span[1]].strip(_EDGE)
        return word[:-2] if word.endswith("'s") else word

    def begins(index: int) -> bool:
        word = bare(tokens[index]).lower()
        alone = len(tokens) == index + 1 or _is_drafting(bare(tokens[index + 1]))
        return word not in _LEADING and not (
            _is_drafting(word) and (word not in AMBIGUOUS_NAMES or (alone and not titled))
        )

    while tokens and not begins(0):
        tokens.pop(0)
    for index, token in enumerate(tokens):
        word = bare(token)
        if index and _is_drafting(word) and (word.lower() not in AMBIGUOUS_NAMES or word.islower()):
            tokens = tokens[:index]
            break
    while tokens and not any(c.isupper() for c in bare(tokens[-1])):
        tokens.pop()
    if not tokens:
        return None
    start, end = tokens[0][0], tokens[-1][1]
    while start < end and text[start] in _EDGE:
        start += 1
    while start < end and text[end - 1] in _EDGE and not (text[end - 1] == "." and text[end - 2].isupper()):
        end -= 1
    if text[start:end].endswith("'s"):
        end -= 2
    return (start, end) if any(c.isalpha() for c in text[start:end]) else None


def _is_drafting(word: str) -> bool:
    return len(word) > 1 and (word.lower() in LEGAL_WORDS or word.isdigit())


def is_a_name(text: str, start: int, end: int) -> bool:
    """Whether what a model calls a name can be one."""
    name = text[start:end]
    words = name.split()
    if any(c.isdigit() for c in name) or not name[0].isupper() or len(name) < 3 or len(words) > 6:
        return False
    if name.lower() in JURISDICTIONS or _in_heading(text, start, end):
        return False
    # One capital word may be any defined term; the sentence's first word any word.
    return not (name.isupper() and len(words) == 1 and len(name) <= 4)


def _in_heading(text: str, start: int, end: int) -> bool:
    """In a line of capitals of four words or more."""
    if not text[start:end].isupper():
        return False
    line = text[text.rfind("\n", 0, start) + 1 : (text.find("\n", end) + 1 or len(text) + 1) - 1]
    return line.isupper() and len(line.split()) >= 4
