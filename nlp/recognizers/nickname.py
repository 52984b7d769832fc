# ruff: noqa: E501  -- patterns read best on one line
"""Names by which people are called: 'genannt "Schorsch"', "alias Lulu", 'apodado "El Tecolote"'."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import SHAPED, SHARED, Finding, RuleRecognizer
from lexveil.nlp.vocabulary import LEGAL_WORDS

_WORD = rf"[{UPPER}][\w'-]*"
_QUOTED = rf"[\"']({_WORD}(?: (?:{_WORD}|the|le|la|el|o|da|de|der|die)){{0,3}})[\"']"
# They introduce the name of a person, and of nothing else.
_CALLED = SHARED.compile(
    r"(?i:\b(?:(?:[Ss]pitz|[Rr]uf|[Dd]eck)namen?s?|nick-?names?|nicknamed|street name|alias|[afn]/?k/?a/?|(?:friend|mate|man|guy|woman|boy|girl|youth|associate|accomplice|bredr[ei]n|somebody|someone|dealer)s?,? (?:called|named)|goes by|went by|going by|surnommée?s?|surnom|soprannominat[oa]|soprannome|apodad[oa]s?|apodo|mote|alcunha(?:d[oa])?|apelido|vulgo|"
    r"bijgenaamd|bijnaam|dénommée?|prénommée?|susnommée?|un tal|una tal|el llamado|la llamada|un tale|certo|tal de|pseudonim(?:em)?|nadim(?:ak|kom|ka)|zvan[aio]g?|přezdívan\w+|přezdívk\w+))"
    rf"(?: (?:is|was|of|ist|war|el|le|la|de|de la|di|the name))?[ ,:]{{1,2}}(?:{_QUOTED}|((?:[Ll]e |[Ll]a |[Ee]l )?{_WORD}(?= (?:[{LOWER}]|\()|[,.;:)\n]|$)))"
)
# They introduce things as well: a person stands before them, and quotation marks around the name.
_MAYBE_CALLED = SHARED.compile(
    r",? \(?(?:genannt|gen\.|known (?:to \w+ |locally )?as|called|who is known as|everybody calls \w+|dite?|conocid[oa] (?:como|por)|dett[oa]|conosciut[oa] come|conhecid[oa] (?:como|por)|zwan[yae]g?o?|ps\.|genaamd|also)"
    rf"[ ,:]{{1,2}}{_QUOTED}"
)
_PERSON_BEFORE = re.compile(rf"(?:[{UPPER}][\w'.-]*[ -]){{0,3}}[{UPPER}][\w'.-]*\Z")
# 'Rebecca "Bex" Roe'
# "a guy they call Peanut", "whom everyone knew as Spud"
_SO_CALLED = SHARED.compile(
    rf"\b(?:they|people|(?:the |his |her |my |our )?(?:others|neighbou?rs|mates|classmates|colleagues|inmates|officers|locals|gang|family|crew)|everyone|everybody|we|friends|kids|children|folks|guys|lads) (?:all |just )?(?:calls?|called|knew|knows?)(?: (?:him|her|me|them))?(?: as)? (?:{_QUOTED}|({_WORD}))(?= [{LOWER}]|[,.;:)\n?!]|\Z)"
)
_CALL = re.compile(r"(?:[a-z]) (?:call|kn[eo]w)")
# 'letters from "Bunny" (Mr Bernard Roe)', "Dewey (last name unknown)"
_EXPLAINED = SHARED.compile(
    rf"{_QUOTED} \((?:(?:real|full|true) name|(?:Mr|Mrs|Ms|Miss|Dr|Herr|Frau|M|Mme)\b)|({_WORD}) \((?i:(?:last|real|full|sur) ?name (?:is )?(?:not known|unknown)|LNU|Nachname unbekannt)"
)
# 'the accused "Shorty" fled'
_ROLED = SHARED.compile(
    rf"\b(?:accused|co-?accused|defendants?|co-?defendant|suspects?|dealer|victim|witness|(?:Mit)?[Aa]ngeklagten?|(?:Mit)?[Bb]eschuldigten?|Zeug(?:en?|in)|[Tt]äter|[Pp]révenue?|[Ii]mputat[oa]|[Aa]cusad[oa]|[Aa]rguid[oa]|[Vv]erdachte|[Oo]skarżon\w{{1,3}}|[Tt]estigo|[Tt]este|[Tt]émoin) {_QUOTED}"
)
_WITHIN = SHARED.compile(rf"({_WORD}) {_QUOTED} {_WORD}")
_LONGEST = 60


class NicknameRecognizer(RuleRecognizer):
    """Nicknames and aliases by the words that introduce them, in all languages."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the nicknames in `text`."""
        for match in (*_CALLED.finditer(text), *_ROLED.finditer(text)):
            yield from _find(match, 1 if match.group(1) else 2)
        for match in _MAYBE_CALLED.finditer(text):
            if _follows_person(text, match.start()):
                yield from _find(match, 1)
        if _CALL.search(text):
            for match in _SO_CALLED.finditer(text):
                yield from _find(match, 1 if match.group(1) else 2)
        if '" (' in text or "nknown" in text or "LNU" in text:
            for match in _EXPLAINED.finditer(text):
                yield from _find(match, 1 if match.group(1) else 2)
        for match in _WITHIN.finditer(text):
            if is_given_name(match.group(1).casefold()):
                yield from _find(match, 2)


def _find(match: re.Match[str], group: int) -> Iterator[Finding]:
    if match.group(group).casefold() not in LEGAL_WORDS:
        yield Finding(*match.span(group), "PERSON", SHAPED)


def _follows_person(text: str, end: int) -> bool:
    """Return True if a first name of a list, or two words that are none of drafting, end at `end`."""
    before = _PERSON_BEFORE.search(text, max(0, end - _LONGEST), end)
    if before is None:
        return False
    words = [word.strip(".,").casefold() for word in re.split(r"[ -]", before.group())]
    return any(map(is_given_name, words)) or (len(words) > 1 and LEGAL_WORDS.isdisjoint(words))
