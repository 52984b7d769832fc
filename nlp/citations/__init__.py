"""Citations of cases, statutes and treaties, which are law and stay readable.

Citations are found before anything is masked: the names of the parties in a cited case are law, not personal
information. The number of the case that a document is itself about is not a citation: see
`lexveil.nlp.recognizers.case_number.find_own_numbers`.

| module | what it finds |
|---|---|
| `cases` | "X v. Y" with its report: ECHR, CJEU, US, UK, Australia, Canada, India |
| `continental` | decisions and statutes in French, Spanish, Italian, Portuguese, Polish, Dutch, Serbian |
| `institutions` | courts, state bodies and codes in these languages |
| `german` | German decisions, journals, statutes |
| `eponyms` | names that stand for a rule: a Mareva injunction |
| `statutes` | acts, codes, articles, sections, directives, treaties in English; US codes |
| `authorities` | law books by their authors, judges in cited cases |
| `chinese` | statutes in 《》, articles, guiding cases, judgments cited for comparison |
| `offices_zh` | names of Chinese courts, prosecutors and police, which say nothing about who lives where |
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from lexveil.nlp.citations import chinese, continental, eponyms, german, institutions, statutes
from lexveil.nlp.citations.authorities import find_books, find_judges
from lexveil.nlp.citations.cases import find_case_citations
from lexveil.nlp.citations.offices_zh import find_offices
from lexveil.nlp.citations.rule import Range, find_in_capitals, find_ranges

_JOINT = re.compile(r"[ ,;:()]{0,3}")
# The end of a line that is full, within a paragraph: no item of a list begins there.
_WRAPPED = re.compile(r"(?<=[^\n]{45})\n(?=[A-Za-z\d§(\[])(?!\d{1,3}[.)] |\(\w{1,3}\) )")
_RULES = (*chinese.RULES, *eponyms.RULES, *german.RULES, *statutes.RULES)
# Words that many names of people and streets contain, too.
_NAMED = (*continental.RULES, *institutions.RULES)


def citations(text: str, claimed: Sequence[Range] = ()) -> list[Range]:
    """Return the ranges [start, end) of `text` that hold citations, sorted and without overlaps.

    Args:
        text: normalized text.
        claimed: ranges that were found to be a name, an address or the like. A statute or an institution that
            contains one of them stays; one that is contained in it, or only overlaps it, is dropped: the
            street is named after the republic.
    """
    # Pages break lines within citations, and a space is as long as the end of a line.
    text = _WRAPPED.sub(" ", text)
    merged: list[Range] = []
    named = [*find_ranges(_NAMED, text), *find_in_capitals(_NAMED, text)]
    found = [*find_ranges(_RULES, text), *find_case_citations(text), *find_offices(text), *find_books(text)]
    law = sorted((*found, *_drop_claimed(named, claimed)))
    for start, end in sorted((*law, *find_judges(text, law))):
        # "Criminal Code, RSC 1985" and "Roe v. Poe, § 4" are one citation by several rules.
        if merged and (start <= merged[-1][1] or _JOINT.fullmatch(text, merged[-1][1], start)):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif end > start:
            merged.append((start, end))
    return merged


def _drop_claimed(ranges: Iterable[Range], claimed: Sequence[Range]) -> Iterator[Range]:
    """Yield the ranges that no claimed range enters from outside."""
    claims = sorted(claimed)
    starts = [start for start, _ in claims]
    longest = max((end - start for start, end in claims), default=0)
    for start, end in ranges:
        near = claims[bisect_left(starts, start - longest) : bisect_left(starts, end)]
        if not any(last > start and (first < start or last > end) for first, last in near):
            yield start, end
