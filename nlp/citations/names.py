# ruff: noqa: E501, SIM905  -- lists of words read best in long lines
"""The name of a case, read outwards from its "v.": "Vane and Others v. the United Kingdom".

Outwards and word by word, because a pattern that begins at every capital reads a text of names a
hundred times, and can't tell where a sentence ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

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
# A point after one of these doesn't end a sentence.
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
# What stands before a name without being of it.
_LEADING = frozenset(
    """
    see also but cf cf. in the compare accord contra e.g. e.g., quoting citing following under per applying and of as case
    cases joined judgment decision held like both by to for at on that than with from distinguishing overruling overruled
    affirming reversing unlike since because while although when where if whether is was even thus hence so then
    """.split()
)


class CaseName(NamedTuple):
    start: int
    end: int
    # The first party's telling word, by which a judgment speaks of the case later on.
    short: str


def case_names(text: str) -> Iterator[CaseName]:
    """Every "X v. Y" in `text`; neither party passes a paragraph or the end of a sentence."""
    for versus in VERSUS.finditer(text):
        start = _first_party(text, versus.start())
        end = _second_party(text, versus.end())
        if start is not None and end is not None:
            yield CaseName(start, end, _short(text[start : versus.start()]))


def name_before(text: str, end: int) -> int:
    """Where the words of a name begin that reach up to `end`; `end` itself where there is none."""
    start = _first_party(text, end)
    return end if start is None else start


def _first_party(text: str, end: int) -> int | None:
    floor = max(0, end - _REACH)
    for broken in _BREAK.finditer(text, floor, end):
        floor = broken.end()
    tokens = [m.span() for m in _TOKEN.finditer(text, floor, end)][-_MOST_WORDS:]
    words = [text[first:last] for first, last in tokens]
    first = len(words)
    depth = 0
    while first:
        word = words[first - 1]
        depth += word.count(")") - word.count("(")
        if not (depth > 0 or _in_name(word)) or (depth == 0 and _parted(words, first - 1)):
            break
        first -= 1
        if depth < 0:  # the bracket that the whole citation stands in
            break
    while first < len(words) and words[first].strip(_QUOTES).lower() in _LEADING | _SMALL:
        first += 1
    if first == len(words):
        return None
    return tokens[first][0] + len(words[first]) - len(words[first].lstrip(_QUOTES))


def _parted(words: Sequence[str], index: int) -> bool:
    """Whether no name goes on from word `index` to the next: there a sentence, a clause or a list ends."""
    if index + 1 == len(words) or not _ends(words[index], words[index + 1]):
        return False
    # "Vane, Roe and Others v. Poland", but "according to Vane, Roe and Others v. Poland"
    listed = words[index].endswith(",") and "and" in words[index + 1 : index + 5]
    return not listed or " ".join(words[max(0, index - 2) : index]).lower().rstrip(".").endswith(_SPOKEN_OF)


def _second_party(text: str, start: int) -> int | None:
    limit = min(len(text), start + _REACH)
    broken = _BREAK.search(text, start, limit)
    tokens = [m.span() for m in _TOKEN.finditer(text, start, broken.start() if broken else limit)]
    last = None
    for index, (first, end) in enumerate(tokens[:_MOST_WORDS]):
        word = text[first:end]
        if word.startswith("["):
            break
        if word.startswith("("):
            aside = _ASIDE.match(text, first)
            return aside.end() if aside and last else last
        if not _in_name(word):
            break
        bare = word.rstrip(",;:.)]\"'")
        if bare.lower() not in _SMALL or bare.lower() in ("others", "another", "al"):
            last = first + len(bare)
        if _ends(word, text[tokens[index + 1][0] :][:20] if index + 1 < len(tokens) else ""):
            break
    if last is not None and text[last : last + 1] == "." and _abbreviated(text[:last].rpartition(" ")[2]):
        last += 1
    return last


# "(No. 2)", "(Minister of Health)", but never the year of a report
_ASIDE = re.compile(r"\((?:[Nn]o\. ?\d+|\d|(?:the )?[A-Z][A-Za-z .,'&-]{2,60})\)")
_QUOTES = "(\"'["
_SPOKEN_OF = ("according to", " by", " with", " from", "mr", "mrs", "ms", "dr", "judge")


_NUMBERED = re.compile(r"\d[:/]|[:/]\d|\w:\w")


def _in_name(word: str) -> bool:
    bare = word.strip("(\"'[,;:.)]")
    return bool(bare) and (
        (bare[0].isupper() and not _NUMBERED.search(bare))
        or bare in ("plc", "pty")
        or bare.lower() in _SMALL
        or word == "&"
        or (bare.isdigit() and len(bare) < 3)
    )


def _ends(word: str, following: str) -> bool:
    """Whether the name can't go on after `word`: a sentence, a clause or a list ends there."""
    if word.endswith((";", ":", "]", '"', "?", "!")):
        return True
    if word.endswith(",") or word.endswith(")."):
        return not _FORM.match(following) and not following.startswith(("and ", "& ", "et "))
    return word.endswith(".") and not _abbreviated(word[:-1]) and not _FORM.match(word)


def _abbreviated(word: str) -> bool:
    bare = word.strip("(\"'[")
    return len(bare) < 2 or "." in bare or bare.lower() in _ABBREVIATED


def _short(party: str) -> str:
    words: Sequence[str] = [w.strip("(\"'[,;:.)]") for w in party.split()]
    for word in words:
        if len(word) > 2 and word[0].isupper() and word.lower() not in _ABBREVIATED | _SMALL | _LEADING:
            return word
    return ""
