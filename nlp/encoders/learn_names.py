"""Learn from public text what a class is about whose name alone is known.

Usage: `python -m lexveil.nlp.encoders.learn_names PAIRS.jsonl... --out FOLDER --seed 7`

A line of PAIRS is `{"document": ..., "heading": ..., "text": ...}`: a heading of a public, masked document
and what stands below it; `python -m benchmarks.legal_text` writes them. A name is written like a heading, and
the texts of its class like what stands below one. Two files are written:

names-legal-1       the linear map that takes the features of a heading nearest to those of its text, by ridge
                    regression from the identity: a name unlike all headings stays what it is
headings-legal-1    the headings of at least two documents: features of each, and the mean features of the
                    texts below it
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lexveil.nlp.encoders.public import Array, PublicEncoder
from lexveil.nlp.encoders.representations import represent

_CHARACTERS = 500  # of a text for the map: more take longer and change little
_LONGEST = 1200  # characters of a text below a heading
_FEWEST_DOCUMENTS = 2
# Per pair. Of 3, 10, 30 and 100 for 3,600 pairs, the share of provisions whose class has the nearest name was
# .55, .53, .47, .40 (.37 unmapped, training part), that of 60 generated documents, whose classes are areas of
# law, .45, .47, .55, .53 (.57 unmapped).
_RIDGE = 20 / 3600


class Pair(NamedTuple):
    """A heading of a document, and the text below it."""

    document: str
    heading: str
    text: str


def learn_map(headings: Array, texts: Array) -> Array:
    """Return the map from features of headings to features of texts. Shape: (dimension, dimension)."""
    identity = np.eye(headings.shape[1])
    gram = headings.T @ headings + _RIDGE * len(headings) * identity
    return (identity + np.linalg.solve(gram, headings.T @ (texts - headings))).astype(np.float32)


def collect_headings(pairs: Sequence[Pair], encoder: PublicEncoder) -> dict[str, NDArray[np.generic]]:
    """Collect the headings of several documents, with the mean of what stands below each.

    Returns:
        `names`: embeddings of the headings. `texts`: mean features, minus those of all texts. Both as small
        integers, since only directions count. `counts`: number of texts of each heading.
    """
    documents: defaultdict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        documents[pair.heading].add(pair.document)
    features = _represent([pair.text[:_LONGEST] for pair in pairs], encoder)
    features -= features.mean(axis=0)
    kept = sorted(heading for heading, ids in documents.items() if len(ids) >= _FEWEST_DOCUMENTS)
    rows = [[i for i, pair in enumerate(pairs) if pair.heading == heading] for heading in kept]
    names = _represent([heading.capitalize() for heading in kept], encoder)[:, : encoder.dimension]
    return {
        "names": _round(names),
        "texts": _round(np.stack([features[own].mean(axis=0) for own in rows])),
        "counts": np.array([len(own) for own in rows], np.int32),
    }


def _represent(texts: Sequence[str], encoder: PublicEncoder) -> Array:
    return represent(texts, [encoder.chunks(text).ids for text in texts], encoder, "legal-1")


def _round(rows: Array) -> NDArray[np.int8]:
    return np.rint(rows * (127 / np.abs(rows).max())).astype(np.int8)


def read_pairs(paths: Sequence[Path]) -> list[Pair]:
    """Read pairs of heading and text."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [Pair(**json.loads(line)) for line in lines]


def main() -> None:
    """Learn both, and write them."""
    parser = argparse.ArgumentParser(description="Learn what a class is about from its name.")
    parser.add_argument("pairs", nargs="+", type=Path, help='lines of {"document", "heading", "text"}')
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    parser.add_argument(
        "--count", type=int, default=3600, help="number of pairs that the map is learned from"
    )
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    encoder = PublicEncoder.load()
    pairs = read_pairs(arguments.pairs)
    drawn = random.Random(arguments.seed).sample(pairs, min(arguments.count, len(pairs)))
    headings, texts = (
        encoder.document_features([encoder.chunks(text).ids for text in column])
        for column in (
            [pair.heading.capitalize() for pair in drawn],
            [pair.text[:_CHARACTERS] for pair in drawn],
        )
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    learned = {"map": learn_map(headings, texts).astype(np.float16)}
    save_file(learned, arguments.out / "names-legal-1.safetensors")
    save_file(collect_headings(pairs, encoder), arguments.out / "headings-legal-1.safetensors")


if __name__ == "__main__":
    main()
