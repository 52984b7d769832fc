"""What is law and must stay readable: citations of cases, statutes and treaties.

A citation is read before anything is masked; the parties' names inside a cited case's name are law,
not personal information. The number of the very case a document is about is another matter: see
`lexveil.nlp.recognizers.case_number.own_numbers`.

| room | what it reads |
|---|---|
| `cases` | "X v. Y" with its report: ECHR, CJEU, US, UK, Australia, Canada, India |
| `continental` | German and French decisions, journals, statutes; ECLI |
| `statutes` | acts, codes, articles, sections, directives, treaties in English; US codes |
| `chinese` | statutes in 《》, articles, guiding cases, judgments cited for comparison |

The seats of Chinese courts, prosecutors and police (`lexveil.nlp.citations.offices_zh`) count as law
too: who lives in the court's district is not given away by the court's name.
"""

from __future__ import annotations

import re

from lexveil.nlp.citations import chinese, continental, statutes
from lexveil.nlp.citations.cases import case_citations
from lexveil.nlp.citations.offices_zh import find_offices
from lexveil.nlp.citations.rule import Range, matches

_JOINT = re.compile(r"[ ,;:()]{0,3}")
_RULES = (*chinese.RULES, *continental.RULES, *statutes.RULES)


def citations(text: str) -> list[Range]:
    """Ranges [start, end) of `text` (normalised) that no span may touch: sorted, none over another."""
    merged: list[Range] = []
    for start, end in sorted((*matches(_RULES, text), *case_citations(text), *find_offices(text))):
        # "Criminal Code, RSC 1985", "Roe v. Poe, § 4": one citation of several rules.
        if merged and (start <= merged[-1][1] or _JOINT.fullmatch(text, merged[-1][1], start)):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif end > start:
            merged.append((start, end))
    return merged
