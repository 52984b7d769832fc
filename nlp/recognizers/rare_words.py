# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Capitalized words that English prose does not know, which no list has and no detector saw: foreign surnames.

A learned detector goes by the sentences that it was trained on, a rule by its list. The words themselves are
independent evidence: in English prose, a capitalized word within a sentence that is in no vocabulary is a name
more often than not. It may be that of a place or a product, though, so a word is only doubted unless its
neighbors show a person: "the account of Zubajos", "Zubajos told". Where they do, the recognizer of this module
finds it in the first pass. The second pass searches what is left, and doubts the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from functools import cache, lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Literal, NamedTuple

from lexveil.nlp.entities.given_names import is_given_name, may_be_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.base import GUESSED, Finding, RuleRecognizer
from lexveil.nlp.taggers.crf import load_vocabulary
from lexveil.nlp.taggers.features import hash_text
from lexveil.nlp.text import CUT
from lexveil.nlp.vocabulary import (
    AMBIGUOUS_NAMES,
    COURTESY_TITLES,
    DEMONYMS,
    FOLDED_TITLES,
    INSTITUTION_WORDS,
    JURISDICTIONS,
    LEGAL_FORMS,
    LEGAL_WORDS,
    OFFICE_TITLES,
    PLACES,
    PUBLIC_BODY,
    TIME_WORDS,
)

# Further capitalized words next to names that are not names.
_BESIDE_NAMES = frozenset(
    """
    agent ambassador attorney-general banker brother captain cardinal chancellor cheers chief coach comrade constable
    cousin daughter deacon dear director doctor engineer father general gentlemen head hello hi inspector kind ladies lieutenant major
    mayor mother nurse officer pastor prince princess principal prosecutor rabbi regards reverend saint santa sergeant
    sheikh sincerely sister son superintendent thanks thank uncle aunt undersecretary when after before if as but
    although because whenever wherever late once meanwhile then later today yesterday what how why who whose both only even perhaps please
    core advisor adviser analyst approve approves architect aid aide assist backup back-up buyer coach contact coordinator
    dealer designer dev developer edit editor engineering enterprise export facsimile fax floor forum frontend backend
    hardware hotline import interface invest login mail menu mobile module network number option order panel phase pilot
    platform plan pop portal print program project promoter raid ramp release router sale script server shop site sketch
    software solution sponsor store studio suite summit sys system team test tool trade trainer unit update urban
    user vendor version video view web week wholesale works dual frozen round total hot new old pre post mini super ultra
    """.split()
)
_KNOWN = frozenset(
    word
    for phrases in (
        DEMONYMS, FOLDED_TITLES, INSTITUTION_WORDS, JURISDICTIONS, LEGAL_FORMS, LEGAL_WORDS, PLACES, PUBLIC_BODY, TIME_WORDS,
        map(str.lower, (*COURTESY_TITLES, *OFFICE_TITLES)), _BESIDE_NAMES,
    )
    for phrase in phrases
    for word in phrase.split()
)  # fmt: skip
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
daughter death deposition evidence family father favor favour friend funeral hands heirs home honesty house husband injuries
instance mother murder name nephew niece opinion parents presence relatives report residence shop sister son statement testimony
wallet widow wife
"""
_TO_PEOPLE = """
accused arrested ask asked assaulted attacked blamed called called convicted cross-examined dismissed employed examined
found heard helped hired informed interviewed introduced invited joined killed know knows married met named neither nor paid
questioned recognised recognized saw seen shot stabbed sued telephoned tell thanked told visited whether
"""
_DONE_TO_PEOPLE = """
accused acquitted aged angry arrested born charged convicted cross-examined deceased detained drunk employed examined happy honest injured
interviewed married pregnant represented sentenced upset widowed
"""
_ROLES = """
accused agent appellant applicant boss boyfriend brother carpenter child claimant cleaner clerk client colleague complainant
constable cousin daughter deceased defendant doctor driver employee engineer father fiancé fiancée friend girlfriend guard
heir husband informant inspector lodger man manager minor mother neighbor neighbour nephew niece nurse officer owner
partner patient petitioner plaintiff prisoner respondent servant sister solicitor son student supervisor surgeon teacher
tenant trustee trustees uncle victim wife witness witnesses woman
"""
# "McLean", "DeSouza": a capital within a word, after what such names begin with.
_PREFIX = rf"(?:(?:Mc|Mac|Fitz|De|Del|Della|Di|Du|La|Le|Lo|Van|Von)(?=[{UPPER}][{LOWER}]))?"
_WORD = re.compile(
    rf"(?<![\w.@/'’-])(?:{_PREFIX}[{UPPER}][{LOWER}]+(?:[-'’][{UPPER}]?[{LOWER}]+)*|[{UPPER}]{{4,}})(?![\w@]|\.\w|-\w)"
)
_NOT_GERMAN = re.compile(
    rf"(?<![\w.@/'’-])(?=[{UPPER}]?[{LOWER}]*[čćđěłńňřšśťůźżžğışțşăåøæñãõČĆĐŁŘŠŚŽŻİŞÅØÆ])[{UPPER}][{LOWER}]+(?:-[{UPPER}][{LOWER}]+)*(?!\w)"
)
_PART = re.compile(r"[^\W\d_]+")
_SPEECH = r"says?|said|saying|states?|stated|testif\w+|deposes?|deposed|claims?|claimed|alleges?|alleged|believed|knew|thought|told(?: the)? \w+"
_AFTER = re.compile(
    rf"(?:,? who(?:m|se)?\b| (?:has |had |also |then |never |later |only ){{0,2}}(?:{'|'.join(_ACTS.split())}|did not|does not|didn't|doesn't|will (?:not )?(?:accept|agree|appear|ask|attend|call|check|confirm|contact|follow|pay|revert|send|sign|speak|tell|testify|try|write))\b|"
    rf" (?:is|was|had been|has been) (?:{'|'.join(_DONE_TO_PEOPLE.split())})\b)"
)
# Whatever a sentence begins with that does this may be a name.
_SUBJECT = re.compile(r" (?:is|was|has|had|will|would|can|could|did|does|and)\b")
_BEFORE = re.compile(
    rf"(?:\b(?i:(?:{'|'.join(_OF_PEOPLE.split())}) of|according to|(?:agreed|discussed|lunch|met|spoke|spoken|talked) with|(?:{_SPEECH}) that|{'|'.join(_TO_PEOPLE.split())}|{'|'.join(_ROLES.split())},?|(?:{'|'.join((*COURTESY_TITLES, *OFFICE_TITLES))})\.?)) (?:[{UPPER}][{LOWER}]+ |{CUT} )?\Z"
)
# Between the halves of a name: "Ada Roe", "Roe, Ada"
_JOINT = re.compile(r",?[ \n]")
# A surname before a first name, at the beginning of a line: "Roe, Ada (page 4)"
_INVERTED = re.compile(rf", (?:{CUT}|([{UPPER}][{LOWER}]+))(?= ?\(|[ \t]*(?:\n|\Z))")
_SIGN_OFF = re.compile(
    rf"(?:\bBest|\b(?:[Rr]egards|[Ww]ishes)|[Ss]incerely|\bCheers|\bThanks|faithfully|truly),[ \n](?:[{UPPER}][{LOWER}]+ )?\Z"
)
_END_OF_LINE = re.compile(r"[ \t]*(?:\n|\Z)")
_NEXT = re.compile(rf" ([{UPPER}][{LOWER}]+)(?![\w@'’-]|\.\w)")
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
    r"\b(?:[Tt]he|[Aa]n?|[Ss]uch|[Ee]ach|[Aa]ny|[Nn]o|[Aa]ll|[Ee]very|[Ii]ts|[Tt]heir|[Oo]ur|[Yy]our|[Tt]h(?:is|ese|ose)) \Z"
)
_ARTICLE_REACH = 7
_CAPITALIZED = re.compile(rf"[{UPPER}][\w'’-]*")
_LAST_WORD = re.compile(rf"([{UPPER}][\w'’.-]*)(?:[ ,]{{1,2}}|,? (and|or) )\Z")
_PLACES = PLACES | JURISDICTIONS
# Words of English that are rarer than the vocabulary, by how they end.
_ENGLISH = re.compile(
    r"(?:ings?|[tsx]ions?|ments?|[ai]t(?:y|ies)|ed|ly|[ae]nces?|[ai]bles?|ness|cts?|ous|isms?|ists?|ships?|hood|ful|less|wise|ward|"
    r"graphy?|log(?:y|ies)|icals?|ics?|izes?|ises?|[nt]ial|[eo]ntal|onal)\Z|\A(?:where|there|here)|\A(?:medicaid|incoterms|fahrenheit|celsius|disclaimer|ref|folio)\Z"
)
_ALONE_BEFORE, _ALONE_AFTER = re.compile(r"(?<![\w'’.-])"), re.compile(r"(?![\w'’])")
_LOWER_WORD = re.compile(rf"{_ALONE_BEFORE.pattern}[{LOWER}]+{_ALONE_AFTER.pattern}")
_MOSTLY = 0.6  # share of the words in lower case around a name in English
# Words of other languages that an English vocabulary holds, too.
_FOREIGN = frozenset(
    """
    der das und nicht dem den ist auf für mit zum zur ein eine ohne im wird dass les une dans pour avec est sont sur los las
    por una del che nel della una het een dat niet voor przez oraz się nie jest uma não para
    """.split()
)
_LONGEST_GLOSS = 120


def is_no_name(word: str) -> bool:
    """Return True for a word that names nobody, or for several with hyphens: "non-disclosure"."""
    return word in _KNOWN or all(
        part in _KNOWN or part.removesuffix("s") in _KNOWN for part in word.split("-")
    )


_Kind = Literal["known", "name", "unsure", "rare"]


class RareNameRecognizer(RuleRecognizer):
    """People in English texts whose names no list has, by what they do and what is done to them."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names in `text`."""

        def is_lower(word: str) -> bool:
            # To compile a pattern for each word takes longer than to search for it.
            start = text.find(word)
            while start >= 0:
                end = start + len(word)
                if _ALONE_BEFORE.match(text, start) and _ALONE_AFTER.match(text, end):
                    return True
                start = text.find(word, end)
            return False

        words = find_rare_words(text, is_lower)
        named = {part for one in words if one.named for part in one.text.split()}
        for one in words:
            if one.named or (one.cued and not named.isdisjoint(one.text.split())):
                yield Finding(one.start, one.end, "PERSON", GUESSED)


class RareWord(NamedTuple):
    """A word that may be a name, or several.

    Attributes:
        start: its start.
        end: its end.
        text: its characters.
        cued: its neighbors show a person, or it stands beside another such word.
        named: its neighbors show a person.
    """

    start: int
    end: int
    text: str
    cued: bool
    named: bool


def is_followed_by_act(text: str, end: int) -> bool:
    """Return True if what follows a word is done by people, or to them: "told", "was charged"."""
    return _AFTER.match(text, end) is not None


def is_after_cue(before: str) -> bool:
    """Return True if a text ends with what precedes people: "told", "the account of", "her brother"."""
    return _BEFORE.search(before) is not None


def is_after_article(text: str, start: int) -> bool:
    """Return True if a word that starts at `start` follows an article, which names do not."""
    return _ARTICLE.search(text, max(0, start - _ARTICLE_REACH), start) is not None


def find_words(text: str) -> Iterator[re.Match[str]]:
    """Yield the words that begin with a capital and the long ones in capitals, without parts of addresses."""
    yield from _WORD.finditer(text)


def find_rare_words(text: str, is_lower: Callable[[str], bool]) -> list[RareWord]:
    """Return the words of an English text that are probably names because the language lacks them.

    With a neighbor that shows a person, a common surname or first name is one as well. Each word is returned
    once, where its neighbors show most.

    Args:
        text: normalized text with `CUT` in place of what is masked.
        is_lower: tells whether the document also writes a word in lower case.
    """
    found: dict[str, RareWord] = {}
    for one in _find_rare_words(text, is_lower):
        known = found.get(one.text)
        if known is None or (one.named, one.cued) > (known.named, known.cued):
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
        if not is_gloss(text, *match.span()):
            yield match.span()


def _find_rare_words(text: str, is_lower: Callable[[str], bool]) -> Iterator[RareWord]:
    kinds, words = _select_words(text, is_lower)
    neighbors = [
        (first, second)
        for first, second in pairwise(words)
        if _JOINT.fullmatch(text, first.end(), second.start())
    ]
    pairs = {m.start() for pair in neighbors if all(kinds[m.group()] == "rare" for m in pair) for m in pair}
    # "Zubajos Trojan told": what the second one is, the first one shows.
    follow = {
        second.start(): first.start()
        for first, second in neighbors
        if "rare" in (kinds[first.group()], kinds[second.group()])
    }
    for match in words:
        word = match.group()
        before = text[max(0, match.start() - _AROUND) : match.start()]
        within = _WITHIN_SENTENCE.match(before[-2:]) is not None
        acts = is_followed_by_act(text, match.end())
        signed = _END_OF_LINE.match(text, match.end()) and _SIGN_OFF.search(before)
        inverted = None if within else _find_inverted(text, match.end())
        if kinds[word] != "rare":
            name = kinds[word] == "name"
            sure = inverted or (acts and (name or match.start() in follow)) or (name and signed)
            # To search for what introduces a person takes longest.
            named = sure or (within and (acts or name) and is_after_cue(before))
            if named:
                yield _widen(text, match.start(), inverted or match.end(), {*pairs, *follow.values()})
            continue
        introduced = is_after_cue(before)
        paired = match.start() in pairs
        if word.isupper() and not paired and not (introduced and before[-2:-1].islower()):
            continue  # in a passage of capitals, a single one may be any word
        if not word.isupper() and not (introduced or acts) and is_foreign(text, *match.span()):
            continue
        if introduced or inverted or signed or (acts and (within or paired or len(word) > 2)):
            yield _widen(text, match.start(), inverted or match.end(), {*pairs, *follow.values()})
            continue
        subject = _SUBJECT.match(text, match.end()) is not None
        # Of two rare words in a row, few are a place.
        if paired and not _OF_THINGS.search(before):
            yield _widen(text, *match.span(), pairs)._replace(named=subject)
        elif paired or (subject and not within) or (within and not _is_thing(text, match, before, kinds)):
            yield RareWord(*match.span(), word, False, False)


def _select_words(text: str, is_lower: Callable[[str], bool]) -> tuple[dict[str, _Kind], list[re.Match[str]]]:
    """Return the kind of each capitalized word, and where those are that may be names.

    A word that follows an article anywhere is a term.
    """
    kinds: dict[str, _Kind] = {}
    words: list[re.Match[str]] = []
    for match in _WORD.finditer(text):
        word = match.group()
        if word not in kinds:
            kind = _classify(word)
            known = kind == "known" or any(map(is_lower, _split_parts(word)))
            kinds[word] = "known" if known else kind
        if kinds[word] != "known":
            words.append(match)
    terms = {m.group() for m in words if is_after_article(text, m.start())}
    return kinds, [m for m in words if m.group() not in terms]


def _find_inverted(text: str, end: int) -> int | None:
    """Return where a name ends whose surname comes first and ends at `end`."""
    match = _INVERTED.match(text, end)
    if match is None or (match.group(1) and not may_be_given_name(match.group(1).casefold())):
        return None
    return match.end(1) if match.group(1) else end


def _widen(text: str, start: int, end: int, pairs: Set[int]) -> RareWord:
    """Return a surname whose neighbors show a person together with the first name, which may be a word."""
    first = _FIRST_NAME.search(text, max(0, start - _AROUND), start)
    if first and (may_be_given_name(first.group(1).casefold()) or first.start(1) in pairs):
        start = first.start(1)
    following = _NEXT.match(text, end)
    last = following.group(1).casefold() if following else ""
    if following and (last in AMBIGUOUS_NAMES or not is_no_name(last)):
        end = following.end()
    return RareWord(start, end, text[start:end], True, True)


@lru_cache(maxsize=1 << 14)
def _classify(word: str) -> _Kind:
    """Return what the vocabularies say of a capitalized word.

    A word of English, or one with hyphens of which a part is, may be a common name, or one that is neither in
    lists of names nor among the ordinary words.
    """
    parts = _split_parts(word)
    if not any(len(part) < 2 or is_no_name(part) or is_english(part) for part in parts):
        return "rare"
    folded = word.casefold()
    if is_no_name(folded):
        return "known"
    if is_ordinary(folded):
        return "name" if _is_name(folded) else "known"
    return "name" if _is_name(folded) or may_be_given_name(folded) else "unsure"


def _split_parts(word: str) -> list[str]:
    # İ has a dot of its own in lower case.
    return _PART.findall(re.sub(r"['’]s?\Z", "", word).casefold().replace("\u0307", ""))


def is_english(word: str) -> bool:
    """Return True for a folded word, or the plural of one, that the vocabulary of English has."""
    if _ENGLISH.search(word):
        return True
    stems = {word, word.removesuffix("s")}
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "ies")):
        stems |= {word.removesuffix("es"), f"{word.removesuffix('ies')}y"}
    return not load_vocabulary().isdisjoint(map(hash_text, stems))


def _is_name(word: str) -> bool:
    return is_given_name(word) or is_common_surname(word)


def is_common_surname(word: str) -> bool:
    """Return True for a folded word that is a common surname where English is written."""
    return word in _load_surnames()


@cache
def _load_surnames() -> frozenset[str]:
    """Return the common surnames of the countries that write English, from Faker's lists."""
    providers = (
        import_module(f"faker.providers.person.en_{country}").Provider for country in ("GB", "US", "IN")
    )
    return frozenset(str(name).casefold() for provider in providers for name in provider.last_names)


def _is_thing(text: str, match: re.Match[str], before: str, kinds: Mapping[str, _Kind]) -> bool:
    """Return True for a word beside the words of a title, after an article or where something is."""
    if _OF_THINGS.search(before) or (_OFFICE.search(before) and text[match.end() : match.end() + 1] == ","):
        return True
    following = _CAPITALIZED.match(text, match.end() + 1)
    if following and text[match.end()] in " -" and kinds.get(following.group()) != "rare":
        return True
    last = _LAST_WORD.search(before)
    if last is None:
        return False
    # "Nicosia and Famagusta" are two places, "Ann and Zubajos" two people.
    word = last.group(1).casefold()
    return word in _PLACES if last.group(2) else not may_be_given_name(word)


def is_foreign(text: str, start: int, end: int) -> bool:
    """Return True for a term of another language: in brackets, in quotation marks, amid words of its kind."""
    around = _LOWER_WORD.findall(text, max(0, start - _AROUND), end + _AROUND)
    if not _FOREIGN.isdisjoint(around) or sum(map(is_english, around)) < _MOSTLY * len(around):
        return True
    return is_gloss(text, start, end)


def is_gloss(text: str, start: int, end: int) -> bool:
    """Return True for what stands in brackets or quotation marks."""
    before = text[max(0, start - _LONGEST_GLOSS) : start]
    opening = max(before.rfind("("), before.rfind("["))
    if opening >= 0 and not re.search(r"[)\]]", before[opening:]):
        return True
    return before.count('"') % 2 == 1 and '"' in text[end : end + _LONGEST_GLOSS]
