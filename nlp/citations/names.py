# ruff: noqa: E501, SIM905  -- lists of words read best in long lines
"""The name of a case, found by a search outward from its "v.": "Vane and Others v. the United Kingdom".

The search proceeds outward word by word: a pattern that begins at every capital would scan a text full of
names a hundred times, and could not see where a sentence ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lexveil.nlp.citations.rule import Range

_REACH = 160
_MOST_WORDS = 14
VERSUS = re.compile(r" (?:v|vs|V|VS)\.? (?=\S)")
_TOKEN = re.compile(r"[^ \n]+")
_BREAK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*[\d(•*-])")
# Small words inside a party's name.
_SMALL = frozenset(
    """
    and of the de van von der den del la le las los et al al. ex rel. rel in for da di du des dos das & y e z i og und
    ten ter te zu af bin bint ibn on by to at parte re others another other v' d'
    """.split()
)
# Small words that begin a name if they are capitalized.
_PARTICLES = frozenset(
    "Van De Von Der Den Del La Le Las Los El Al Da Di Du Des Dos Das Ten Ter Te Zu".split()
)
# A period after one of these does not end a sentence.
_ABBREVIATED = frozenset(
    """
    inc ltd co corp bros cos dr mr mrs ms st no nos ass'n comm'n dep't int'l nat'l gov't univ mfg ins ry sys serv
    servs indus elec pub util utils sch dist bd educ hosp med cty cnty twp auth assoc assocs prod prods tech pharm fin
    acc cas mut sav tel transp gen am jr sr al etc rel dev props prop ent enters grp hldgs int'l mgmt mkts res rd ave
    ctr cent chem commc'ns constr corr def distrib enter env't equip exch fed found guar indem info lab liab litig mach
    mfr mkt org pac pers prof publ'g reg'l rehab rsrv sec soc'y sur telecomm tr trs twp unif us cmty mun hous
    """.split()
)
_FORM = re.compile(
    r"(?:Inc|Ltd|LLC|L\.L\.C|LLP|L\.L\.P|LP|L\.P|Corp|Co|PLC|plc|P\.C|N\.A|S\.A|SA|SAS|SARL|S\.p\.A|S\.r\.l|B\.V|BV|N\.V|AG|GmbH|KG|AB|"
    r"Oy|A/S|Pty|Pte|Bhd|Limited|Jr|Sr|et al|dec'd|deceased)\b\.?"
)
# Words before a name that are not part of it.
_LEADING = frozenset(
    """
    see also but cf cf. in the compare accord contra e.g. e.g., quoting citing following under per applying and of as case
    cases joined judgment decision held like both by to for at on that than with from distinguishing overruling overruled
    affirming reversing unlike since because while although when where if whether is was even thus hence so then
    """.split()
)
_NOT_FIRST = _LEADING | _SMALL
_NO_NAMES = _ABBREVIATED | _NOT_FIRST


# "(No. 2)", "(Minister of Health)", but never the year of a report
_ASIDE = re.compile(r"\((?:[Nn]o\. ?\d+|\d|(?:the )?[A-Z][A-Za-z .,'&-]{2,60})\)")
_QUOTES = "(\"'["
_PUNCTUATION = "(\"'[,;:.)]"
_SPOKEN_OF = ("according to", " by", " with", " from", "mr", "mrs", "ms", "dr", "judge")
_NUMBERED = re.compile(r"\d[:/]|[:/]\d|\w:\w")


class CaseName(NamedTuple):
    """The name of a case at [start, end) of a text.

    Attributes:
        short: the first significant word of the first party, by which a judgment mentions the case later; "" if
            there is none.
    """

    start: int
    end: int
    short: str


def find_case_names(text: str) -> Iterator[CaseName]:
    """Yield every "X v. Y" in `text`; neither party extends across a paragraph or the end of a sentence."""
    for versus in VERSUS.finditer(text):
        start = _first_party_start(text, versus.start())
        end = _second_party_end(text, versus.end())
        if start is not None and end is not None:
            yield CaseName(start, end, _short_name(text[start : versus.start()]))


def find_name_start(text: str, end: int) -> int:
    """Return the start of the name that ends at `end`; `end` itself if there is none."""
    start = _first_party_start(text, end)
    return end if start is None else start


def _first_party_start(text: str, end: int) -> int | None:
    floor = max(0, end - _REACH)
    for broken in _BREAK.finditer(text, floor, end):
        floor = broken.end()
    tokens = [m.span() for m in _TOKEN.finditer(text, floor, end)][-_MOST_WORDS:]
    words = [text[first:last] for first, last in tokens]
    first = _first_word_of_name(words)
    while first < len(words) and _leads(words[first].strip(_QUOTES)):
        first += 1
    if first == len(words):
        return None
    return tokens[first][0] + len(words[first]) - len(words[first].lstrip(_QUOTES))


def _leads(word: str) -> bool:
    """Return True if `word` cannot begin a name; a particle can if it is capitalized, as in "Van der Berg"."""
    return word.lower() in _NOT_FIRST and word not in _PARTICLES


def _first_word_of_name(words: Sequence[str]) -> int:
    """Return the index from which all words may belong to one name."""
    first = len(words)
    depth = 0
    while first:
        word = words[first - 1]
        depth += word.count(")") - word.count("(")
        outside = depth <= 0 and not _may_be_in_name(word)
        if outside or (depth == 0 and _name_ends_between(words, first - 1)):
            break
        first -= 1
        if depth < 0:  # a bracket around the whole citation
            break
    return first


def _name_ends_between(words: Sequence[str], index: int) -> bool:
    """Return True if a sentence, a clause or a list ends between word `index` and the next."""
    if index + 1 == len(words) or not _ends_name(words[index], words[index + 1]):
        return False
    # "Vane, Roe and Others v. Poland", but "according to Vane, Roe and Others v. Poland"
    listed = words[index].endswith(",") and "and" in words[index + 1 : index + 5]
    return not listed or " ".join(words[max(0, index - 2) : index]).lower().rstrip(".").endswith(_SPOKEN_OF)


def _second_party_end(text: str, start: int) -> int | None:
    limit = min(len(text), start + _REACH)
    broken = _BREAK.search(text, start, limit)
    tokens = [m.span() for m in _TOKEN.finditer(text, start, broken.start() if broken else limit)]
    last, closed = _last_word_end(text, tokens)
    if last is None or closed or text[last : last + 1] != ".":
        return last
    return last + _is_abbreviation(text[text.rfind(" ", 0, last) + 1 : last])


def _last_word_end(text: str, tokens: Sequence[Range]) -> tuple[int | None, bool]:
    """Return the end of the name that begins at the first token, and whether a bracket closes it."""
    last = None
    following = [*(first for first, _ in tokens[1:]), len(text)]
    for (first, end), next_first in zip(tokens[:_MOST_WORDS], following, strict=False):
        word = text[first:end]
        if word.startswith("("):
            aside = _ASIDE.match(text, first)
            return (aside.end() if aside and last else last), True
        if word.startswith("[") or not _may_be_in_name(word):
            break
        bare = word.rstrip(",;:.)]\"'")
        if _can_end_name(bare.lower()):
            last = first + len(bare)
        if _ends_name(word, text[next_first : next_first + 20]):
            break
    return last, False


def _can_end_name(folded: str) -> bool:
    return folded not in _SMALL or folded in ("others", "another", "al")


def _may_be_in_name(word: str) -> bool:
    bare = word.strip(_PUNCTUATION)
    return bool(bare) and (
        (bare[0].isupper() and not _NUMBERED.search(bare))
        or bare in ("plc", "pty")
        or bare.lower() in _SMALL
        or word == "&"
        or (bare.isdigit() and len(bare) < 3)
    )


def _ends_name(word: str, following: str) -> bool:
    """Return True if a sentence, a clause or a list ends after `word`."""
    if word.endswith((";", ":", "]", '"', "?", "!")):
        return True
    if word.endswith((",", ").")):
        return not _FORM.match(following) and not following.startswith(("and ", "& ", "et "))
    return word.endswith(".") and not _is_abbreviation(word[:-1]) and not _FORM.match(word)


def _is_abbreviation(word: str) -> bool:
    bare = word.strip(_QUOTES)
    return len(bare) < 2 or "." in bare or bare.lower() in _ABBREVIATED


def _short_name(party: str) -> str:
    for word in (word.strip(_PUNCTUATION) for word in party.split()):
        if len(word) > 2 and word[0].isupper() and word.lower() not in _NO_NAMES:
            return word
    return ""
