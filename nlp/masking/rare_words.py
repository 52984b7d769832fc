# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Capitalized words that English prose does not know, which no list has and no detector saw: foreign surnames.

A learned detector goes by the sentences that it was trained on, a rule by its list. The words themselves are
independent evidence: in English prose, a capitalized word within a sentence that is in no vocabulary is a name
more often than not. It may be that of a place or a product, though, so a word is only doubted unless its
neighbors show a person: "the account of Zubajos", "Zubajos told".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import NamedTuple

from lexveil.nlp.entities.given_names import is_given_name, may_be_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.masking.folding import fold_words
from lexveil.nlp.masking.readable_text import CUT
from lexveil.nlp.taggers.crf import load_vocabulary
from lexveil.nlp.taggers.features import hash_text
from lexveil.nlp.vocabulary import COURTESY_TITLES, OFFICE_TITLES

_ACTS = """
accepted accepts accused accuses acted admitted admits agreed alleged alleges appeared appears arrived asked asks asserted
attacked attended believed believes bought called calls came caught claimed claims complained confessed confirmed confirms
cried denied denies deposed described died drove earned explained explains failed feared feels felt fled fell forgot found
gave gives heard hired hit insisted insists inherited intended keeps kept killed knew knows laughed learned leaves left lied
lived lives looked lost maintained maintains married met moved noticed objected opposes opened owned owns paid pays phoned
picked pleaded pointed promised pulled pushed ran realised realized received recalled recalls refused refuses remarried
remembered remembers replied reported resigned returned said sat saw says seemed sent shot shouted showed signed sold spoke
stabbed stated states stayed stole stood stopped struck sued suffered swore takes talked tells testified testifies thinks
thought chaired chairs disagreed disagrees phones rang refuted replies texted threatened threw told took travelled traveled tried turned visited waited walked wanted wants warned watched went
woke works worked wrote
"""
_OF_PEOPLE = """
that view account address affidavit age arrest behalf body brother care character conduct conviction cousin credibility custody
daughter death deposition evidence family father favor favour friend funeral heirs home honesty house husband injuries
instance mother murder name nephew niece opinion parents presence relatives report residence sister son statement testimony
widow wife
"""
_TO_PEOPLE = """
accused arrested ask asked assaulted attacked blamed called called convicted cross-examined dismissed employed examined
found heard helped hired informed interviewed introduced invited joined killed know knows married met named nor paid
questioned recognised recognized saw seen shot stabbed sued telephoned tell thanked told visited whether
"""
_DONE_TO_PEOPLE = """
accused acquitted aged angry arrested born charged convicted cross-examined deceased detained drunk employed examined happy honest injured
interviewed married pregnant sentenced upset widowed
"""
_ROLES = """
accused agent appellant applicant boss boyfriend brother carpenter child claimant cleaner clerk client colleague complainant
constable cousin daughter deceased defendant doctor driver employee engineer father fiancé fiancée friend girlfriend guard
heir husband informant inspector lodger man manager minor mother neighbor neighbour nephew niece nurse officer owner
partner patient petitioner plaintiff prisoner respondent servant sister solicitor son student supervisor surgeon teacher
tenant trustee trustees uncle victim wife witness witnesses woman
"""
_WORD = re.compile(
    rf"(?<![\w.@/'’-])(?:[{UPPER}][{LOWER}]+(?:[-'’][{UPPER}]?[{LOWER}]+)*|[{UPPER}]{{4,}})(?![\w@]|\.\w|-\w)"
)
_NOT_GERMAN = re.compile(
    rf"(?<![\w.@/'’-])(?=[{UPPER}]?[{LOWER}]*[čćđěłńňřšśťůźżžğışțşăåøæñãõČĆĐŁŘŠŚŽŻİŞÅØÆ])[{UPPER}][{LOWER}]+(?:-[{UPPER}][{LOWER}]+)*(?!\w)"
)
_PART = re.compile(r"[^\W\d_]+")
_SPEECH = r"says?|said|saying|states?|stated|testif\w+|deposes?|deposed|claims?|claimed|alleges?|alleged|believed|knew|thought|told(?: the)? \w+"
_AFTER = re.compile(
    rf"(?:,? who(?:m|se)?\b| (?:has |had |also |then |never |later |only ){{0,2}}(?:{'|'.join(_ACTS.split())}|did not|does not|didn't|doesn't|will (?:not )?(?:ask|attend|call|check|confirm|contact|follow|revert|send|speak|tell|try|write))\b|"
    rf" (?:is|was|had been|has been) (?:{'|'.join(_DONE_TO_PEOPLE.split())})\b)"
)
# Whatever a sentence begins with that does this may be a name.
_SUBJECT = re.compile(r" (?:is|was|has|had|will|would|can|could|did|does|and)\b")
_BEFORE = re.compile(
    rf"(?:\b(?i:(?:{'|'.join(_OF_PEOPLE.split())}) of|according to|(?:{_SPEECH}) that|{'|'.join(_TO_PEOPLE.split())}|{'|'.join(_ROLES.split())},?|(?:{'|'.join((*COURTESY_TITLES, *OFFICE_TITLES))})\.?)) (?:[{UPPER}][{LOWER}]+ )?\Z"
)
# Between the halves of a name: "Ada Roe", "Roe, Ada"
_JOINT = re.compile(r",?[ \n]")
_AROUND = 40
_FIRST_NAME = re.compile(rf"(?<!\w)([{UPPER}][{LOWER}]+)[ \n]\Z")
# A number is that of a heading: "9.6 Disclaimer".
_WITHIN_SENTENCE = re.compile(rf"(?:[^\W\d]|[,;:)\"'{CUT}]) \Z")
# What stands after an article, or where something is, is a thing or a place.
_OF_THINGS = re.compile(
    r"\b(?:in|at|near|from|of|to|into|the|an?|this|any|each|such|no|village|town|city|street|les?|la|die|der|das)\s\Z",
    re.IGNORECASE,
)
# The office of whom is masked: "[PERSON_1], Tehsildar, recorded it"
_OFFICE = re.compile(rf"{CUT}, \Z")
_ARTICLE = re.compile(
    rf"\b(?:[Tt]he|[Aa]n?|[Ss]uch|[Ee]ach|[Aa]ny|[Nn]o|[Aa]ll|[Ee]very|[Ii]ts|[Tt]heir|[Oo]ur|[Yy]our|[Tt]h(?:is|ese|ose)) ([{UPPER}][\w'’-]+)"
)
_CAPITALIZED = re.compile(rf"[{UPPER}][\w'’-]*")
_LAST_WORD = re.compile(rf"([{UPPER}][\w'’.-]*)[ ,]{{1,2}}\Z")
# Words of English that are rarer than the vocabulary, by how they end.
_ENGLISH = re.compile(
    r"(?:ings?|[tsx]ions?|ments?|[ai]t(?:y|ies)|ed|ly|[ae]nces?|[ai]bles?|ness|cts?|ous|isms?|ists?|ships?|hood|ful|less|wise|ward|"
    r"graphy?|log(?:y|ies)|icals?|ics?|izes?|ises?|[nt]ial|[eo]ntal|onal)\Z|\A(?:where|there|here)|\A(?:medicaid|incoterms|fahrenheit|celsius|disclaimer|ref|folio)\Z"
)
_LOWER_WORD = re.compile(rf"(?<![\w'’.-])[{LOWER}]+(?![\w'’])")
_MOSTLY = 0.6  # share of the words in lower case around a name in English
# Words of other languages that an English vocabulary holds, too.
_FOREIGN = frozenset(
    """
    der das und nicht dem den ist auf für mit zum zur ein eine ohne im wird dass les une dans pour avec est sont sur los las
    por una del che nel della una het een dat niet voor przez oraz się nie jest uma não para
    """.split()
)
_LONGEST_GLOSS = 120


class RareWord(NamedTuple):
    """A word that may be a name: [start, end), the word, and whether its neighbors show a person."""

    start: int
    end: int
    text: str
    cued: bool


def is_followed_by_act(text: str, end: int) -> bool:
    """Return True if what follows a word is done by people, or to them: "told", "was charged"."""
    return _AFTER.match(text, end) is not None


def find_rare_words(text: str, lower: Set[str], is_known: Callable[[str], bool]) -> list[RareWord]:
    """Return the words of an English text that are probably names because the language lacks them.

    With a neighbor that shows a person, a common surname or first name is one as well. Each word is returned
    once, where its neighbors show most.

    Args:
        text: normalized text with `CUT` in place of what is masked.
        lower: folded words that the document also writes in lower case.
        is_known: tells whether a folded word names nobody.
    """
    found: dict[str, RareWord] = {}
    for one in _find_rare_words(text, lower, is_known):
        if one.text not in found or (one.cued and not found[one.text].cued):
            found[one.text] = one
    result: list[RareWord] = []
    for one in sorted(found.values(), key=lambda one: (one.start, -one.end)):
        if not result or one.start >= result[-1].end:  # else it is part of a name
            result.append(one)
    return result


def find_foreign_letters(text: str) -> Iterator[tuple[int, int]]:
    """Yield the capitalized words of a German text that have letters of other languages: "Gržetić".

    Args:
        text: normalized text with `CUT` in place of what is masked.
    """
    for match in _NOT_GERMAN.finditer(text):
        if not _is_gloss(text, *match.span()):
            yield match.span()


def _find_rare_words(text: str, lower: Set[str], is_known: Callable[[str], bool]) -> Iterator[RareWord]:
    terms = {m.group(1).casefold() for m in _ARTICLE.finditer(text)}
    ordinary = {
        word: _is_ordinary(word, lower, is_known) for word in {m.group() for m in _WORD.finditer(text)}
    }
    words = [m for m in _WORD.finditer(text) if m.group().casefold() not in terms]
    rare = [m for m in words if not ordinary[m.group()]]
    pairs = {
        word.start()
        for first, second in pairwise(rare)
        if _JOINT.fullmatch(text, first.end(), second.start())
        for word in (first, second)
    }
    for match in words:
        word = match.group()
        before = text[max(0, match.start() - _AROUND) : match.start()]
        within = _WITHIN_SENTENCE.search(before) is not None
        acts = is_followed_by_act(text, match.end())
        introduced = _BEFORE.search(before) is not None
        if ordinary[word]:
            folded = word.casefold()
            is_free = folded not in lower and not is_known(folded)
            if (acts or (introduced and within)) and is_free and _is_name(folded, within):
                yield _add_first_name(text, RareWord(*match.span(), word, True), pairs)
            continue
        paired = match.start() in pairs
        if word.isupper():
            # In a passage of capitals, a single one may be any word.
            if not paired and not (introduced and before[-2:-1].islower()):
                continue
        elif _is_foreign(text, match.start(), match.end()):
            continue
        named = introduced or (acts and (within or paired or len(word) > 2))
        # Of two rare words in a row, few are a place.
        cued = named or (paired and not _OF_THINGS.search(before))
        begins = not within and _SUBJECT.match(text, match.end())
        if cued or paired or begins or (within and not _is_thing(text, match, before, ordinary)):
            yield _add_first_name(text, RareWord(*match.span(), word, cued), pairs)


def _add_first_name(text: str, surname: RareWord, pairs: Set[int]) -> RareWord:
    """Return a surname with a cue together with the first name before it, which may be a word: "Max Kemp"."""
    first = _FIRST_NAME.search(text, max(0, surname.start - _AROUND), surname.start) if surname.cued else None
    if first and (may_be_given_name(first.group(1).casefold()) or first.start(1) in pairs):
        return RareWord(first.start(1), surname.end, text[first.start(1) : surname.end], True)
    return surname


def _is_ordinary(word: str, lower: Set[str], is_known: Callable[[str], bool]) -> bool:
    """Return True if a word, or a part of it between hyphens, is one of the language."""
    return any(
        len(part) < 2
        or not lower.isdisjoint((part, *fold_words(part)))
        or is_known(part)
        or _is_english(part)
        for part in (m.group().casefold() for m in _PART.finditer(re.sub(r"['’]s?\Z", "", word)))
    )


def _is_english(word: str) -> bool:
    if _ENGLISH.search(word):
        return True
    stems = {word, word.removesuffix("s")}
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "ies")):
        stems |= {word.removesuffix("es"), f"{word.removesuffix('ies')}y"}
    return not load_vocabulary().isdisjoint(map(hash_text, stems))


def _is_name(word: str, within: bool) -> bool:
    return is_given_name(word) or (within and word in _load_surnames())


@cache
def _load_surnames() -> frozenset[str]:
    """Return the common surnames of the countries that write English, from Faker's lists."""
    providers = (
        import_module(f"faker.providers.person.en_{country}").Provider for country in ("GB", "US", "IN")
    )
    return frozenset(str(name).casefold() for provider in providers for name in provider.last_names)


def _is_thing(text: str, match: re.Match[str], before: str, ordinary: dict[str, bool]) -> bool:
    """Return True for a word beside the words of a title, after an article or where something is."""
    if _OF_THINGS.search(before) or (_OFFICE.search(before) and text[match.end() : match.end() + 1] == ","):
        return True
    following = _CAPITALIZED.match(text, match.end() + 1)
    if following and text[match.end()] in " -" and ordinary.get(following.group(), True):
        return True
    last = _LAST_WORD.search(before)
    return last is not None and not may_be_given_name(last.group(1).casefold())


def _is_foreign(text: str, start: int, end: int) -> bool:
    """Return True for a term of another language: in brackets, in quotation marks, amid words of its kind."""
    around = _LOWER_WORD.findall(text, max(0, start - _AROUND), end + _AROUND)
    if not _FOREIGN.isdisjoint(around) or sum(map(_is_english, around)) < _MOSTLY * len(around):
        return True
    return _is_gloss(text, start, end)


def _is_gloss(text: str, start: int, end: int) -> bool:
    """Return True for what stands in brackets or quotation marks."""
    before = text[max(0, start - _LONGEST_GLOSS) : start]
    opening = max(before.rfind("("), before.rfind("["))
    if opening >= 0 and not re.search(r"[)\]]", before[opening:]):
        return True
    return before.count('"') % 2 == 1 and '"' in text[end : end + _LONGEST_GLOSS]
