# ruff: noqa: E501  -- patterns and lists of words read best on one line
"""Readable words that are probably names, by signs that no detector of the first pass uses.

A second pass that looked for names as the first does would miss the same ones. The signs here are cheap and
independent of it: a word beside a masked name, a word after a title, a role or a greeting, a first name from
a public list, a word that English lacks (`rare_words`), and the surname of a masked person if the document also
uses it as an ordinary word. Where no sign suffices, all evidence together may (`name_evidence`). A sign makes the verdict REVIEW. What is no ordinary word of the document is masked
as well, unless it is only rare or likely: a sign is rare in documents without a leak, so little is masked in vain, but
where one name was missed, there may be others.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from typing import Literal, NamedTuple

from lexveil.nlp.entities.given_names import is_given_name, may_be_given_name
from lexveil.nlp.letters import LOWER, UPPER, has_han
from lexveil.nlp.masking.folding import fold_words
from lexveil.nlp.masking.mask import MaskedText, Replacement
from lexveil.nlp.masking.name_evidence import find_likely_names
from lexveil.nlp.masking.readable_text import ReadableText
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.person_continental import is_word_of_documents
from lexveil.nlp.recognizers.rare_words import (
    find_foreign_letters,
    find_rare_words,
    is_followed_by_act,
    is_no_name,
)
from lexveil.nlp.text import CUT
from lexveil.nlp.vocabulary import AMBIGUOUS_NAMES, LEGAL_WORDS

_WORD = re.compile(
    rf"(?<![\w.@/'’-])[{UPPER}][{LOWER}]{{2,}}(?:[-'’][{UPPER}]?[{LOWER}]+)*(?![\w@]|\.\w|-\w)"
)
# Words that precede a name, at the end of the text before it.
_CUE = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Miss|Smt|Shri|Sri|Kumari|Kum|Dr|Herrn?|Frau|Mme|Monsieur|Señora?|named|née|alias|"
    r"[Tt]he (?:deceased|accused|complainant|witness|minor|child)|[DWS]/[Oo]|[dws]/o|"
    r"(?:schlug|trat|stieß|würgte|bedrohte|beleidigte|beschimpfte|verletzte|tötete|heiratete|fragte|erklärte|sagte|meinte|behauptete|bestritt|brachte)|"
    r"(?:mit|von|bei|zu|durch|und) (?:d(?:em|er)|(?:sein|ihr|mein)e[mrn]) (?:Vater|Mutter|Bruder|Schwester|Sohn|Tochter|Onkel|Tante|Ehemann|Ehefrau|Neffen|Nichte|Cousin|Cousine)|"
    r"Liebe[rs]?|Dear|Hi|Hello|"
    r"Grüßen?,?|Gruß,?|Best(?: wishes)?,|Regards,|Sincerely,|Cheers,|Thanks,|signed(?: by)?)\.?|"
    r"(?m:^[ \t]*)(?:Name(?: of [\w ]{2,30})?|Witness(?:es)?|Patient|Tenant|Landlord|Signed|From|To|Attn|Cc):)[ \n]"
    rf"(?:(?:[{UPPER}]\. ?){{1,4}}(?<= ))?\Z"
)
_BEFORE = 40
# English: whom one cites, and what a mail is about.
_SAID_BY = re.compile(
    r"\b(?:[Pp]er|[Aa]ccording to|[Cc]ontra|[Ss]o did|[Ii]t's|[Ii]t was|I'm|I am) \Z"
    r"|(?m:^[ \t>]*(?:Subject|SUBJECT|Re|RE)\b[^\n]{0,34} (?:-|–|/) )\Z"
)
_VIEW = re.compile(r" (?:view|opinion|submission|contention|account|evidence|version|recollection)\b")
_WITHIN_SENTENCE = re.compile(rf"[\w,;:)\"'{CUT}] \Z")
# Text between the two halves of a name of which one is masked: a space; a comma, if a line or the name ends.
_HALF_BEFORE = re.compile(rf"{CUT},? \Z")
_HALF_AFTER = re.compile(rf" {CUT}|, {CUT}(?=\s*(?:\n|\Z))")
_NO_HALF = re.compile(r"(?:ing|tion|ment|[ai]t(?:y|ie)|ed|ly|[ae]nce|[ai]ble|ness|ct|by)s?\Z")
_NUMBERED = re.compile(r"\d[ .:)]{0,2}\Z")  # a row of a table, an item of a list
_END_OF_LINE = re.compile(r"[ \t]*(?:\n|\Z)")
# Names take no article or pronoun: a word that follows one of these anywhere in a document is a term.
_TERM = re.compile(
    r"\b([Tt]he|[Aa]n?|[Ss]uch|[Ee]ach|[Aa]ny|[Nn]o|[Aa]ll|[Ee]very|[Oo]ther|[Ii]ts|[Tt]heir|[Oo]ur|[Yy]our|[Tt]h(?:is|at|ese|ose)|"
    rf"[Dd](?:er|ie|as|en|em|es)|[Ee]ine?[rnms]?|[Kk]eine?[rnms]?) ([{UPPER}][{LOWER}]+)"
)
# But "said that Oleg left", and in spoken German "der Gerd": these say nothing of a first name.
_BEFORE_NAMES = frozenset("that der die den dem des".split())  # noqa: SIM905
# Languages that capitalize all nouns: one next to a name is not part of it.
_NOUNS = frozenset({"de", "lb"})
# The others have roles and titles that English lacks: "Świadek Roe".
_OWN_LISTS = frozenset({"", "en", "zh", *_NOUNS})


# Probability from which a Chinese name is doubted: well below that at which the first pass masks.
_DOUBTED = 0.1
# In place of what is masked: a sentence about "him" is read as one about a person.
_SOMEBODY = "他"


# Letters of a first name by which somebody is called for short.
_SHORTEST_SHORT = 4


class Unseen(NamedTuple):
    """A word that may be a name.

    Attributes:
        start: its start in the original.
        end: its end.
        reason: `ambiguous`: it is a masked person's surname and an ordinary word of the document; `rare`: the
            language lacks it, but nothing else shows that it is a name; `likely`: several weak signs together
            do; else `unseen`.
        cued: a neighbor shows that it is a name even within law: a title, a role, a greeting, the other half
            of a masked name.
    """

    start: int
    end: int
    reason: Literal["ambiguous", "likely", "rare", "unseen"]
    cued: bool


def find_unseen(
    readable: ReadableText,
    masked: MaskedText,
    lower: Set[str],
    kept_names: Set[str],
    surnames: Set[str],
    language: str = "",
) -> Iterator[Unseen]:
    """Yield the words that may be names.

    Args:
        readable: the readable part of `masked`.
        masked: the masked text.
        lower: folded words that the document also writes in lower case.
        kept_names: folded words of the names of people that the policy keeps.
        surnames: folded surnames of masked people.
        language: ISO 639-1 code of the document, or "".
    """
    text = readable.normalized.text
    found = list(_find_unseen(text, masked, lower, kept_names, surnames, language))
    if language not in _NOUNS:
        found += _find_shortened(text, masked, [text[one.start : one.end] for one in found])
    if language == "en":
        told = {text[one.start : one.end] for one in found}
        found += (
            Unseen(word.start, word.end, "unseen" if word.cued else "rare", False)
            for word in find_rare_words(text, lambda word: not lower.isdisjoint((word, *fold_words(word))))
            if word.text not in told and not kept_names >= {*fold_words(word.text)}
        )
        told = {text[one.start : one.end] for one in found}
        found += (
            Unseen(start, end, "likely", False)
            for start, end in find_likely_names(text, lower)
            if text[start:end] not in told and not kept_names >= {*fold_words(text[start:end])}
        )
    elif language == "de":
        found += (Unseen(*place, "rare", False) for place in find_foreign_letters(text))
    last = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if one.start < last:  # a part of a longer name
            continue
        last = one.end
        start, end = readable.to_original(one.start, one.end)
        yield one._replace(start=start, end=end)


def _find_unseen(
    text: str,
    masked: MaskedText,
    lower: Set[str],
    kept_names: Set[str],
    surnames: Set[str],
    language: str,
) -> Iterator[Unseen]:
    """Yield what lists and neighbors show to be a name, in characters of `text`, which has cuts."""
    cuts = [m.start() for m in re.finditer(CUT, text)]
    terms = {
        m.group(2).casefold()
        for m in _TERM.finditer(text)
        if not _may_precede_name(m.group(1).casefold(), m.group(2).casefold())
    }
    for match in _WORD.finditer(text):
        word = match.group().casefold().removesuffix("'s")
        if kept_names >= {*fold_words(word)}:
            continue
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        within = _WITHIN_SENTENCE.match(before[-2:]) is not None
        common = is_no_name(word) or (language not in _OWN_LISTS and is_word_of_documents(word))
        if common or word in lower or word.removesuffix("s") in lower:
            acts = language == "en" and is_followed_by_act(text, match.end())
            as_name = (word in surnames and (within or acts)) or (
                word in AMBIGUOUS_NAMES
                and within
                and acts
                and word not in lower
                and not before.endswith(" of ")  # it is the Court of Justice that refused
            )
            if as_name and word not in terms:
                sure = acts and word in surnames
                introduced = _CUE.search(before) is not None
                yield Unseen(*match.span(), "unseen" if sure else "ambiguous", introduced)
            continue
        half = (
            word not in terms
            and language not in _NOUNS
            and (may_be_given_name(word) or not _NO_HALF.search(word))
            and _is_half(text, match, before, cuts, masked)
        )
        said = language == "en" and not is_ordinary(word) and _is_quoted(text, match, before)
        cued = half or (said and word not in terms) or _CUE.search(before) is not None
        if cued or (
            word not in terms
            and is_given_name(word)
            and (within or _is_followed(text, match.end()))
            and not _NUMBERED.search(before)
        ):
            yield Unseen(*match.span(), "unseen", cued)


def find_unseen_chinese(readable: ReadableText) -> Iterator[Unseen]:
    """Yield the Chinese names that a learned detector sees in what is readable, whatever the first pass was."""
    from lexveil.nlp.taggers.lattice import LatticeTagger

    text = readable.normalized.text
    if not has_han(text):
        return
    for span in LatticeTagger.load(threshold=_DOUBTED).tag([text.replace(CUT, _SOMEBODY)])[0]:
        if CUT not in text[span.start : span.end]:
            yield Unseen(*readable.to_original(span.start, span.end), "unseen", False)


def find_surnames(masked: MaskedText) -> set[str]:
    """Return the folded surnames of the masked people who have a first name, an initial or a title too."""
    people = (r for r in masked.replacements if r.type == "PERSON")
    names = ((r, fold_words(r.original)) for r in people)
    surnames = {
        words[-1]
        for r, words in names
        if len(words) > 1 and len(words[-1]) > 2 and _is_introduced(masked.text, r, words[0])
    }
    return {name for name in surnames if name not in LEGAL_WORDS or name in AMBIGUOUS_NAMES}


def _find_shortened(text: str, masked: MaskedText, found: Sequence[str]) -> Iterator[Unseen]:
    """Yield what people are called for short, the first letters of a first name: "Fola" of Folasade."""
    names = [r.original for r in masked.replacements if r.type == "PERSON"]
    beginnings = {
        word[:length]
        for name in (*names, *found)
        for word in fold_words(name)[:1]
        for length in range(_SHORTEST_SHORT, len(word) - 1)
    }
    for match in _WORD.finditer(text) if beginnings else ():
        word = match.group().casefold()
        if word in beginnings and match.group() not in found and not (is_no_name(word) or is_ordinary(word)):
            yield Unseen(*match.span(), "unseen", False)


def _is_introduced(text: str, replacement: Replacement, first: str) -> bool:
    """Return True if a name has a first name of a list, an initial or a title: "IBM Contact" has none."""
    if len(first) == 1 or may_be_given_name(first):
        return True
    return _CUE.search(text[max(0, replacement.start - _BEFORE) : replacement.start]) is not None


def _is_quoted(text: str, match: re.Match[str], before: str) -> bool:
    """Return True if an English text cites whom a word names, or gives that person's view."""
    held = match.group().endswith(("'s", "’s")) and _VIEW.match(text, match.end()) is not None
    return held or _SAID_BY.search(before) is not None


def _may_precede_name(article: str, word: str) -> bool:
    """Return True where an article or a conjunction says nothing of the word: "der Gerd", "that Oleg left"."""
    known = is_given_name(word) or (article == "that" and not is_ordinary(word))
    return article in _BEFORE_NAMES and known


def _is_half(text: str, match: re.Match[str], before: str, cuts: Sequence[int], masked: MaskedText) -> bool:
    """Return True if a word is next to a masked person, where the other half of the name would be."""
    half = _HALF_BEFORE.search(before)
    whole = half and ("," not in half.group() or _END_OF_LINE.match(text, match.end()))
    if half and whole and _is_person(match.start() - len(half.group()), cuts, masked):
        return True
    after = _HALF_AFTER.match(text, match.end())
    return after is not None and _is_person(text.index(CUT, match.end()), cuts, masked)


def _is_person(position: int, cuts: Sequence[int], masked: MaskedText) -> bool:
    return masked.replacements[bisect_left(cuts, position)].type == "PERSON"


def _is_followed(text: str, end: int) -> bool:
    """Return True if another capitalized or masked word follows: a first name and a surname."""
    return re.match(rf" (?:[{UPPER}][{LOWER}]|[{UPPER}]\.|{CUT})", text[end : end + 3]) is not None
