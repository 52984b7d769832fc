# ruff: noqa: E501  -- patterns read best on one line
"""Companies, law firms and other organizations in English texts. Courts and the state are not personal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.entities.identity import guess_gender
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.base import ENGLISH, LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.vocabulary import JURISDICTIONS, LEGAL_WORDS

SUFFIX = (
    r"(?:Inc|INC|Incorporated|Corp|CORP|Corporation|CORPORATION|LLC|L\.L\.C|LLP|L\.L\.P|LP|L\.P|Ltd|LTD|Limited|LIMITED|PLC|plc|P\.C|"
    r"N\.A|Co|CO|Company|COMPANY|GmbH(?: & Co\. KG)?|AG|KG|mbH|e\.V|S\.A\.S|S\.A\.R\.L|S\.a\.r\.l|S\.A|SA|SAS|SARL|S\.p\.A|S\.r\.l|"
    r"B\.V|BV|N\.V|NV|AB|ASA|Oy|A/S|ApS|Pty|Pte|K\.K|A\.Ş|Sp\. z o\.o|d\.o\.o|s\.r\.o|Bhd)"
)
_WORD = (
    rf"(?:[{UPPER}][\w'&-]*(?:\.[\w'&-]+)*|[{UPPER}][a-z]{{0,2}}\.|\d+[A-Za-z][\w'&-]*|&|\([{UPPER}][\w ]+\))"
)
_SUFFIXED = ENGLISH.compile(
    rf"(?<![\w&])(?:{_WORD},?[ ]|(?:of|and|de|the|for|du|des|und|van|der|y|e) ){{0,7}}{_WORD},?[ ]{SUFFIX}\b(?:\.(?=[\s,;:)'\"]|$)|(?<=\.))?"
    rf"(?:,? {SUFFIX}\b\.?)?",
    core=rf"[ ]{SUFFIX}\b",  # of the strings that it begins with, most begin another word: "Court"
)
_FIRM = ENGLISH.compile(
    rf"(?<!\w)[{UPPER}][\w'-]+(?:, [{UPPER}][\w'-]+){{0,4}},? (?:&|and) [{UPPER}][\w'-]+(?=,? (?:LLP|L\.L\.P\.|Solicitors|Attorneys|P\.C\.|PLLC))"
)
_INSTITUTION = ENGLISH.compile(
    rf"(?<!\w)(?:[{UPPER}][{LOWER}{UPPER}'.-]+ ){{1,4}}(?:University|Hospital|College|School|Clinic|Bank|Church|Foundation|Institute|"
    rf"Prison|Airlines|Railways|Insurance|Airport|Cemetery|Trust Company|Savings Bank|Partners|Associates|Holdings|Group|Party|Union|"
    rf"Association|Society|Federation)\b(?: of (?:[{UPPER}][\w'-]+ ?){{1,3}})?"
)
_OF = ENGLISH.compile(
    rf"(?<!\w)(University|Bank|Church|College|Hospital|Institute|Municipality|Diocese) (?:of|for) (?:the )?"
    rf"([{UPPER}][\w'-]+(?: (?:and |of |for )?[{UPPER}][\w'-]+){{0,3}})"
)

_TITLED = re.compile(r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Sir|Dame|Lady|Lord)\.? ")


class EnglishOrganizationRecognizer(RuleRecognizer):
    """Organizations by their legal form, or by the word for what they are."""

    NAME = "OrganisationRecognizer"
    TYPES = ("ORGANIZATION", "PERSON")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the organizations in `text`, and the people whose names run into theirs."""
        for match in _FIRM.finditer(text):
            # "John P. Rogers, Dunn & Partners": the first name is the rest of a person's.
            first = _AFTER_INITIAL.match(text, max(0, match.start() - 3), match.end())
            yield Finding(first.end() if first else match.start(), match.end(), "ORGANIZATION", SHAPED)
        for pattern, score in ((_SUFFIXED, LABELED), (_INSTITUTION, SHAPED)):
            for match in pattern.finditer(text):
                start = _skip_drafting(text, match.start(), match.end())
                other = pattern is _INSTITUTION and (
                    _TITLED.match(text, match.start()) or _is_street(text, match)  # Ms Joy Church
                )
                if start is not None and not other and not _ends_address(text, match.end()):
                    yield from _split_from_person(text, start, match.end(), score)
        for match in _OF.finditer(text):
            kind, name = match.group(1), match.group(2)
            if kind.lower() not in LEGAL_WORDS or is_specific(name):
                yield Finding(match.start(), match.end(), "ORGANIZATION", SHAPED)


_OPENING = re.compile(
    r"(?:The|This|That|Between|And|Of|By|And|For|To|In|With|From|of|and|the|for|de|e|y|und|du)[ ]"
)


_AFTER_INITIAL = re.compile(rf" ?[{UPPER}]\. [\w'-]+, ")
# "Ann B. Roe, Dunn & Partners LLP", "Ann Roe of Dunn LLP": a person and a firm.
_PERSON_OF = re.compile(
    rf"([{UPPER}][\w'-]+(?: [{UPPER}]\.)*(?: [{UPPER}][\w'-]+)+)(?:,| of| at) (?=[{UPPER}][\w&'. -]*[ ,])"
)
# "Ann B. Roe for Dunn & Partners LLP": a person acts for a firm, or beside it.
_PERSON_FOR = re.compile(
    rf"([{UPPER}][\w'-]+(?: [{UPPER}]\.)* [{UPPER}][\w'-]+) (?:for|and) (?=[{UPPER}][\w&'. -]*[ ,])"
)
_MIDDLE_INITIAL = re.compile(r" [A-Z]\. ")
# Before the name of a street that ends as that of an institution does: "135 Lydia Union, Leeds".
_HOUSE_NUMBER = re.compile(r"(?<![\w.])\d{1,3}[A-Za-z]? \Z")
_LONGEST_NUMBER = 6
# Two capitals before a postal code are a state, not the legal form that they also abbreviate.
_STATE = re.compile(r"\b[A-Z]{2} (?=\d{5}\b)")
_POSTCODE = re.compile(r".*\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b(?:,? and )?")


def _split_from_person(text: str, start: int, end: int, score: float) -> Iterator[Finding]:
    """Yield an organization, without the person or the address before it."""
    address = _POSTCODE.match(text, start, end)
    if address:
        start = address.end()
    person = _PERSON_OF.match(text, start, end)
    if not (person and (_MIDDLE_INITIAL.search(person[1]) or guess_gender(_get_first_word(person[1])))):
        person = _PERSON_FOR.match(text, start, end)
        if person and not _MIDDLE_INITIAL.search(person[1]):
            known = is_given_name(_get_first_word(person[1])) and person[0].endswith(" for ")
            person = person if known and not is_ordinary(person[1].split()[-1].casefold()) else None
    if person:
        yield Finding(person.start(1), person.end(1), "PERSON", SHAPED)
        start = person.end()
    if start < end:
        yield Finding(start, end, "ORGANIZATION", score)


def _get_first_word(name: str) -> str:
    return name.split()[0].casefold()


def _is_street(text: str, match: re.Match[str]) -> bool:
    """Return True for the name of a street between a house number and a comma."""
    before = text[max(0, match.start() - _LONGEST_NUMBER) : match.start()]
    return text[match.end() : match.end() + 1] == "," and _HOUSE_NUMBER.search(before) is not None


def _ends_address(text: str, end: int) -> bool:
    """Return True if a match ends with the state of an address: "Springfield, CO 80210"."""
    return any(m.start() < end <= m.end() for m in _STATE.finditer(text, max(0, end - 3), end + 8))


def _skip_drafting(text: str, start: int, end: int) -> int | None:
    """Return where the name begins after "The", "of", ...; None if only words of drafting are left."""
    while (opening := _OPENING.match(text, start, end)) is not None:
        start = opening.end()
    words = re.findall(r"[^\W\d_]+", text[start:end])
    specific = any(word[0].isupper() and word.lower() not in LEGAL_WORDS for word in words[:-1])
    return start if specific else None


def is_specific(name: str) -> bool:
    """Return True if `name` is more than a jurisdiction or words of drafting."""
    words = re.findall(r"[^\W\d_]+", name)
    return name.lower() not in JURISDICTIONS and any(
        word[0].isupper() and word.lower() not in LEGAL_WORDS for word in words
    )
