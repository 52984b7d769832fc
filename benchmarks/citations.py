# ruff: noqa: E501  -- a pattern reads best on one line
"""Law that stays readable: a fixture of ten systems, and the references to law in real judgments (TAB).

In TAB a reference to law is, by a grammar that knows nothing of the shield: an application number or
"X v. Y" of a cited case, an article, a section or a rule with its number, "Law no.", an act or a code by
name; where no annotator marked a part of it as to be masked. It is kept where masking with the detector
touches none of its characters. `masked_mentions_shielded` counts the other fault: mentions that an
annotator wants masked and that touch a shielded range.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run

TAB = Path(__file__).parents[2] / "shared" / "corpora" / "tab" / "echr_traindev113.json"
SEED = 0
_REFERENCE = re.compile(
    r"\b[A-Z][\w'-]+(?: and Others)? v\. (?:the )?[A-Z]\w+|(?<![\w/.,-])\d{4,6}/\d{2}(?![\w/])|\b[Aa]rt(?:icles?|\.) \d+(?: §§? \d+)?|\b[Ss]ections? \d+(?:\(\d+\))*|\bRules? \d+(?: § \d+)?"
    r"|\b(?:Law|Act|Decree|Protocol)s? [Nn]os?\. ?[\d/]+|\b(?:[A-Z]\w+ ){1,3}(?:Act|Code|Ordinance|Convention)\b(?: (?:of )?\d{4})?"
)
_DENSE = "See Alvorn v. Brexley Widgets, Inc., {} F.3d {}, {} (9th Cir. 1998) (holding so); accord 42 U.S.C. § 1983. "


def measure(arguments: argparse.Namespace) -> Outcome:
    from fixtures.citations import citation_sentences
    from lexveil.nlp.citations import citations
    from lexveil.nlp.detection.detector import Detector

    detector = Detector.load(model=arguments.model)
    sentences = citation_sentences(SEED)
    found = detector.detect_many([sentence.text for sentence in sentences])
    kept = sum(
        not _touched(detection.spans, sentence.start, sentence.end)
        for sentence, detection in zip(sentences, found, strict=True)
    )
    figures = {"fixture_kept": Figure(kept / len(sentences), 0.99, "", "higher")}
    n = {"fixture_citations": len(sentences), "systems": len({s.system for s in sentences})}
    if TAB.exists():
        documents: list[dict[str, Any]] = json.loads(TAB.read_text())
        masked = detector.detect_many([document["text"] for document in documents])
        references = kept = shielded = 0
        for document, detection in zip(documents, masked, strict=True):
            gold = list(_to_mask(document))
            law = citations(_same_length(document["text"]))
            shielded += sum(any(s < end and start < e for s, e in law) for start, end in set(gold))
            for match in _REFERENCE.finditer(document["text"]):
                if not any(s < match.end() and match.start() < e for s, e in gold):
                    references += 1
                    kept += not _touched(detection.spans, *match.span())
        figures["tab_kept"] = Figure(kept / references, 0.99, "", "higher")
        figures["masked_mentions_shielded"] = Figure(shielded, None, "mentions", "lower")
        n |= {"tab_documents": len(documents), "tab_references": references}
    figures["dense"] = Figure(_dense_speed(), None, "kchar/s", "higher")
    return Outcome(figures, n, [SEED], {"model": arguments.model})


def _touched(spans: Sequence[Any], start: int, end: int) -> bool:
    return any(span.start < end and start < span.end for span in spans)


def _to_mask(document: dict[str, Any]) -> Iterator[tuple[int, int]]:
    for annotator in document["annotations"].values():
        for mention in annotator["entity_mentions"]:
            if mention["identifier_type"] != "NO_MASK":
                yield mention["start_offset"], mention["end_offset"]


def _same_length(text: str) -> str:
    from lexveil.nlp.text import NormalizedText

    normalized = NormalizedText.of(text).text
    return normalized if len(normalized) == len(text) else text


def _dense_speed() -> float:
    """Return thousands of characters per CPU-second on US citations alone, where eyecite is slowest."""
    from lexveil.nlp.citations import citations

    text = "".join(_DENSE.format(1 + i % 900, 1 + i * 7 % 900, 2 + i * 7 % 900) for i in range(2000))
    citations(text[:2000])
    started = time.process_time()
    citations(text)
    return len(text) / 1000 / (time.process_time() - started)


if __name__ == "__main__":
    run(
        __doc__,
        measure,
        lambda parser: parser.add_argument(
            "--model", default="rules", help="light, default, rules or a folder"
        ),
    )
