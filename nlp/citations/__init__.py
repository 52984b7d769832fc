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
| `chinese` | statutes in 《》, articles, guiding cases, judgments cited for comparison |
| `offices_zh` | names of Chinese courts, prosecutors and police, which say nothing about who lives there |
"""

from __future__ import annotations

import re

from lexveil.nlp.citations import chinese, continental, eponyms, german, institutions, statutes
from lexveil.nlp.citations.cases import find_case_citations
from lexveil.nlp.citations.offices_zh import find_offices
from lexveil.nlp.citations.rule import Range, find_in_capitals, find_ranges

_JOINT = re.compile(r"[ ,;:()]{0,3}")
_RULES = (
    *chinese.RULES,
    *continental.RULES,
    *eponyms.RULES,
    *german.RULES,
    *institutions.RULES,
    *statutes.RULES,
)


def citations(text: str) -> list[Range]:
    """Return the ranges [start, end) of `text` that hold citations, sorted and without overlaps.

    Args:
        text: normalized text.
    """
    merged: list[Range] = []
    found = [*find_ranges(_RULES, text), *find_case_citations(text), *find_offices(text)]
    found += find_in_capitals((*continental.RULES, *institutions.RULES), text)
    for start, end in sorted(found):
        # "Criminal Code, RSC 1985" and "Roe v. Poe, § 4" are one citation by several rules.
        if merged and (start <= merged[-1][1] or _JOINT.fullmatch(text, merged[-1][1], start)):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif end > start:
            merged.append((start, end))
    return merged
