# ruff: noqa: E501  -- patterns read best on one line
"""A first name of a public list and a further word with a capital, wherever a detector may have missed them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.entities.given_names import is_given_name, may_be_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.base import GUESSED, SHAPED, SHARED, Finding, RuleRecognizer
from lexveil.nlp.recognizers.person import ABBREVIATIONS, PARTICLE
from lexveil.nlp.vocabulary import (
    DEMONYMS,
    INSTITUTION_WORDS,
    JURISDICTIONS,
    LEGAL_FORMS,
    LEGAL_WORDS,
    PLACES,
    TIME_WORDS,
)

# What is called after people, and places that people are called after.
_THINGS = frozenset(
    """
    street road avenue lane drive place square boulevard way court park hall house tower building school college university
    hospital church county city town island river lake bay beach valley hill mountain airport station bridge bank group
    company foundation institute center centre report act rule award prize disease syndrome test method scale index model
    brother son sierra savannah brooklyn dakota carolina asia kenya america
    """.split()  # noqa: SIM905
)
_COMMON = (DEMONYMS, INSTITUTION_WORDS, JURISDICTIONS, LEGAL_FORMS, LEGAL_WORDS, PLACES, TIME_WORDS, _THINGS)
# "Ada Roe Street" is no Ada Roe.
_NEXT_THING = rf"(?! (?i:{'|'.join(sorted(_THINGS))})s?\b)"
# Patterns that begin with a capital, and look back over it, are tried at capitals only.
_CAPITAL, _AT_START = rf"[{UPPER}](?<![\w.'-].)", rf"[{UPPER}](?<![\w.'&-].)"
_FIRST = re.compile(rf"{_CAPITAL}(?:[{LOWER}]{{2,}}|[{UPPER}]{{3,}})(?![\w'])", re.DOTALL)
_LAST = re.compile(
    rf"(?:-[{UPPER}][{LOWER}]+)?(?: [{UPPER}]\.?)?(?: {PARTICLE})?[ \n]((?:[OD]'|Mc|Mac)?[{UPPER}][{LOWER}]+)(?:-[{UPPER}][{LOWER}]+)?(?![\w-]|'(?!s\b)){_NEXT_THING}"
)
_LAST_IN_CAPITALS = re.compile(
    rf"(?:-[{UPPER}]+)?(?: [{UPPER}]\.?)?(?: {PARTICLE.upper()})? ([{UPPER}]{{3,}})(?:['-][{UPPER}]+)*(?![\w'-]){_NEXT_THING}"
)
# "ROE Ada" anywhere, "Roe Ada" as a line of a list.
_BEFORE_GIVEN = re.compile(
    rf"(?<![\w.'-])((?:(?:DE|DI|DA|DEL|VAN|VON|LE|LA|EL|AL|MC|MAC|SAINT)[ -])*[{UPPER}]{{2,}}(?:[-'][{UPPER}]{{2,}})*(?: [{UPPER}]{{3,}})?) \Z"
)
_LISTED_BEFORE_GIVEN = re.compile(
    rf"(?:\A|\n)[ \t]*(?:\d{{1,3}}[.)]|[-*•])[ \t]*((?:(?:Le|La|De|Di|Van|Von|El|Al|Mac|Mc) )*[{UPPER}][{LOWER}]+(?:-[{UPPER}][{LOWER}]+)?) \Z"
)
_REST_OF_GIVEN = re.compile(rf"(?:[ -][{UPPER}][{LOWER}]+)?(?![\w'-])")
_END_OF_ITEM = re.compile(r"[ \t]*(?:\n|\Z|[,;(])")
_FAMILY = rf"(?:{PARTICLE.upper()} )?(?:[ODLÓ]'|Mc|Mac)?[{UPPER}]{{2,}}(?:[-' ][{UPPER}]{{2,}})?|(?:{PARTICLE} )?(?:[OD]'|Mc|Mac)?[{UPPER}][{LOWER}]+(?:[-' ][{UPPER}][{LOWER}]+)?"
# "ROE, Ada" anywhere, "Roe, Ada" in a list or an index.
_COMMA = re.compile(
    rf", ?([{UPPER}][{LOWER}]+|[{UPPER}]{{3,}})(?:[ -](?:[{UPPER}][{LOWER}]+|[{UPPER}]\.?))?(?![\w'-])"
)
_BEFORE_COMMA = re.compile(rf"(?<![\w'-])({_FAMILY})\Z")
_LONGEST = 48
# A quotation without capitals, in which nobody's name has one.
_LOWER_QUOTE = SHARED.compile(r"\"[a-z][^\"A-Z]{20,2000}\"")
_LOWER_NAME = re.compile(r"(?<![\w@.'-])([a-z]{3,})(?= ([a-z]{3,})(?![\w@]|['’](?!s\b)))")
# First names that are words where nothing has a capital.
_LOWER_WORDS = frozenset(
    """
    aide ale amber angel angelic ants aria aura autumn barb beat bent bitten can canal carol coral cord crystal dawn diamond dimple dolly don drew dries duke
    ebony eddy edit else eve fairy fancy floor flora forum franc frank gal gala garland glen greet grit gun gunner gust hardy harm harsh hazel heather herb
    holly hone hunter immaculate ion iris ivy jade jarred jet job joke junior ken kick lacy lady lavender lean lies lily line lone loot lope lore lot love lucky
    mad made man mar mare marina marine mart mason mate mats maxim mentor mere mile miller misty nail nova odd olive omega owe pansy pastor pasty patty paw
    peer per pier pierce puck raid raven ray rein roar rob robin roman rosy rune rut sad saga said sandy sang scarlet server sever sherry shin sierra sine sole sonata
    sue tan tanner tea ties tilde till tone tore toy urban valentine veer ward warren wilder
    """.split()  # noqa: SIM905
)
_LIST_BEFORE = re.compile(r"(?:^|[\n:;|(\t]|\d[.)]|\b(?:of|by|from|for|file|dossier|Akte|von)) *\Z")
# "Sachbearbeiter Roe, Ada": whom one has to do with, before a name out of a list.
_ROLE_BEFORE = re.compile(
    r"(?:Sachbearbeiter(?:in)?|Mandant(?:en|in)?|Zeug(?:en?|in)|Patient(?:en|in)?|Kläger(?:in|s)?|Beklagte[nr]?|Angeklagte[nr]?|"
    r"Beschuldigte[nr]?|Geschädigte[nr]?|Versicherte[nr]?|Betreute[nr]?|Mieter(?:in)?|Kolleg(?:en?|in)|"
    r"(?i:client|witness|patient|employee|tenant|claimant|defendant|applicant|accused|suspect|victim|officer|manager|handler|"
    r"témoin|patiente?|salariée?|locataire|prévenue?|testigo|testimone|świadek|getuige)) "
)
_LIST_AFTER = re.compile(
    r" *(?:[;\n()|\t]|\.{2,}|\.?\s*\Z|\.\s*\n|,? (?:was|is|has|had|born|aged|who|geb|stanowisko)\b|, )"
)
# "K.S. Roe" and "Roe K.S.".
_INITIALS = re.compile(rf"{_AT_START}\.(?: ?[{UPPER}]\.){{1,3}}", re.DOTALL)
_AFTER_INITIALS = re.compile(rf" ?([{UPPER}][{LOWER}]{{2,}})(?![\w'-])")
_BEFORE_INITIALS = re.compile(rf"(?<![\w.'&-])([{UPPER}][{LOWER}]{{2,}}) \Z")
_WITH_INITIAL = re.compile(
    rf"({_AT_START}[{LOWER}]{{2,}}) [{UPPER}]\. ([{UPPER}][{LOWER}]{{2,}})(?![\w'&-])", re.DOTALL
)
# A first name that shares the surname after the next: "Ada and Bo Roe".
_SHARING = re.compile(
    rf"({_CAPITAL}[{LOWER}]{{2,}}(?:, [{UPPER}][{LOWER}]{{2,}}){{0,4}}),? (?:and|&|und|et|y|e|i|en|og|och|ja|oraz) ([{UPPER}][{LOWER}]{{2,}}) ((?:{PARTICLE} )?(?:[OD]'|Mc|Mac)?[{UPPER}][{LOWER}]+)(?![\w'])",
    re.DOTALL,
)
_OF = re.compile(r"\bOF\s{1,2}\Z")
# What follows the initials of a state: "N.C. Sess. Law", "N.Y. Gen. Oblig. Law".
_LAWS = frozenset(
    {"Sess", "Gen", "Rev", "Stat", "App", "Supp", "Laws", "Acts", "Code", "Const", "Admin", "Crim", "Reg"}
)
# First names side by side: "Ada/Bo", "Ada + Bo".
_PAIR = re.compile(
    rf"([{UPPER}](?<![\w.'/-].)[{LOWER}]{{2,}}) ?[/+] ?([{UPPER}][{LOWER}]{{2,}})(?![\w'/-])", re.DOTALL
)
_GOES_ON = re.compile(rf" ?[{UPPER}\d]")


class GivenNameRecognizer(RuleRecognizer):
    """A first name and a surname, also in a line of capitals, by the first name alone."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names of people in `text`."""
        for first in _FIRST.finditer(text):
            word = first.group().casefold()
            if is_given_name(word) and not is_common(word):
                yield from _find_last(text, first)
                yield from _find_family(text, first)
        yield from _find_in_lower_case(text)
        yield from find_inverted(text)
        yield from _find_initialed(text)
        yield from _find_with_initial(text)
        yield from _find_sharing(text)
        yield from _find_pairs(text)


def _find_last(text: str, first: re.Match[str]) -> Iterator[Finding]:
    following = _LAST_IN_CAPITALS if first.group().isupper() else _LAST
    last = following.match(text, first.end())
    if last is None or is_common(last.group(1).casefold()):
        return
    if "\n" in last.group() and text[last.end() : last.end() + 1] == ":":  # a label
        return
    # A list has one name on each line.
    if "\n" not in last.group() or text[first.start() - 1 : first.start()] == " ":
        yield Finding(first.start(), last.end(), "PERSON", GUESSED)


def _find_in_lower_case(text: str) -> Iterator[Finding]:
    for quote in _LOWER_QUOTE.finditer(text):
        for name in _LOWER_NAME.finditer(text, *quote.span()):
            first, last = name.groups()
            if is_given_name(first) and first not in _LOWER_WORDS and _may_be_surname(last):
                yield Finding(name.start(), name.end(2), "PERSON", SHAPED)


def _may_be_surname(word: str) -> bool:
    return not (is_ordinary(word) or may_be_given_name(word) or word in _LOWER_WORDS)


def _find_family(text: str, given: re.Match[str]) -> Iterator[Finding]:
    """Yield a surname in capitals, or one that begins the item of a list, before a first name."""
    if text[given.start() - 1 : given.start()] != " " or given.group().isupper():
        return
    rest = _REST_OF_GIVEN.match(text, given.end())
    if rest is None:
        return
    first = max(0, given.start() - _LONGEST)
    family = _BEFORE_GIVEN.search(text, first, given.start())
    if family is None and _END_OF_ITEM.match(text, rest.end()):
        family = _LISTED_BEFORE_GIVEN.search(text, first, given.start())
    if family and not any(map(is_common, family.group(1).casefold().split())):
        yield Finding(family.start(1), rest.end(), "PERSON", SHAPED)


def find_inverted(text: str) -> Iterator[Finding]:
    """Yield surnames before first names, with a comma between: "ROE, Ada" anywhere, "Roe, Ada" in a list."""
    for given in _COMMA.finditer(text):
        first = given.group(1).casefold()
        if first == "justice" or not may_be_given_name(first):  # "THISTLE, Justice."
            continue
        family = _BEFORE_COMMA.search(text, max(0, given.start() - _LONGEST), given.start())
        if family is None:
            continue
        role = _ROLE_BEFORE.match(text, family.start(), given.start()) or _ROLE_BEFORE.match(
            text, text.rfind(" ", 0, max(0, family.start() - 1)) + 1, family.start()
        )
        start = max(family.start(), role.end() if role else 0)
        surname = text[start : given.start()]
        if not surname or any(map(is_common, surname.casefold().split())):
            continue
        # "BUREAU OF INVESTIGATION, ADA ROE": in capitals, words look like surnames.
        if is_ordinary(surname.casefold()) and _OF.search(text, max(0, start - 6), start):
            continue
        listed = role or _LIST_BEFORE.search(text, max(0, start - 12), start)
        listed = listed and _LIST_AFTER.match(text, given.end())
        # "Roe, Mark" in a list: elsewhere, Mark is a word.
        if listed or (surname.isupper() and is_given_name(first)):
            yield Finding(start, given.end(), "PERSON", SHAPED)


def _find_initialed(text: str) -> Iterator[Finding]:
    for initials in _INITIALS.finditer(text):
        if "".join(filter(str.isalpha, initials.group())) in ABBREVIATIONS:
            continue
        name = _AFTER_INITIALS.match(text, initials.end())
        if name is None and not _GOES_ON.match(text, initials.end()):
            name = _BEFORE_INITIALS.search(text, max(0, initials.start() - _LONGEST), initials.start())
        if name and not is_common(name.group(1).casefold()) and name.group(1) not in _LAWS:
            start, end = min(initials.start(), name.start()), max(initials.end(), name.end())
            yield Finding(start, end, "PERSON", GUESSED)


def _find_sharing(text: str) -> Iterator[Finding]:
    """Yield first names before another one and the surname of both: "Ada and Bo Roe"."""
    for people in _SHARING.finditer(text):
        if not is_given_name(people.group(2).casefold()) or is_common(people.group(3).casefold()):
            continue
        for first in _FIRST.finditer(text, *people.span(1)):
            word = first.group().casefold()
            if may_be_given_name(word) and not is_common(word):
                yield Finding(*first.span(), "PERSON", SHAPED)


def _find_pairs(text: str) -> Iterator[Finding]:
    """Yield first names side by side: "Ada/Bo"."""
    for pair in _PAIR.finditer(text):
        words = [word.casefold() for word in pair.groups()]
        if any(map(is_given_name, words)) and not any(is_common(word) or is_ordinary(word) for word in words):
            yield Finding(*pair.span(1), "PERSON", SHAPED)
            yield Finding(*pair.span(2), "PERSON", SHAPED)


def _find_with_initial(text: str) -> Iterator[Finding]:
    """Yield names whose first name is a word elsewhere: "Mark J. Roe"."""
    for name in _WITH_INITIAL.finditer(text):
        first, last = name.group(1).casefold(), name.group(2).casefold()
        if may_be_given_name(first) and not is_given_name(first) and not is_common(last):
            yield Finding(*name.span(), "PERSON", GUESSED)


def is_common(word: str) -> bool:
    """Return True if a folded word is one of law or place, or a thing that is called after people."""
    return any(form in known for form in (word, word.removesuffix("s")) for known in _COMMON)
