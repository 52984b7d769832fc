"""Learn from public text what a class is about whose name alone is known.

Usage: `python -m lexveil.nlp.encoders.learn_names PAIRS.jsonl... --out FILE --seed 7`

A line of PAIRS is `{"heading": ..., "text": ...}`: a heading of a public, masked document and what stands
below it. The result is the linear map that takes the features of a heading nearest to those of its text, by
ridge regression from the identity: a name unlike all headings stays what it is. A name is written like a
heading, and the texts of its class like what stands below one.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from lexveil.nlp.encoders.public import Array, PublicEncoder

_CHARACTERS = 500  # of a text: more take longer and change little
# Per pair. Of 3, 10, 30 and 100 for 3,600 pairs, the share of provisions whose class has the nearest name was
# .55, .53, .47, .40 (.37 unmapped, training part), that of 60 generated documents, whose classes are areas of
# law, .45, .47, .55, .53 (.57 unmapped).
_RIDGE = 20 / 3600


def learn_map(headings: Array, texts: Array) -> Array:
    """Return the map from features of headings to features of texts. Shape: (dimension, dimension)."""
    identity = np.eye(headings.shape[1])
    gram = headings.T @ headings + _RIDGE * len(headings) * identity
    return (identity + np.linalg.solve(gram, headings.T @ (texts - headings))).astype(np.float32)


def read_pairs(paths: Sequence[Path], count: int, seed: int) -> list[tuple[str, str]]:
    """Read at most `count` pairs of heading and text, drawn at random."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line]
    drawn = random.Random(seed).sample(lines, min(count, len(lines)))
    pairs = [json.loads(line) for line in drawn]
    return [(pair["heading"].capitalize(), pair["text"][:_CHARACTERS]) for pair in pairs]


def main() -> None:
    """Learn the map and write it."""
    parser = argparse.ArgumentParser(description="Learn what a class is about from its name.")
    parser.add_argument("pairs", nargs="+", type=Path, help='lines of {"heading": ..., "text": ...}')
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3600, help="number of pairs to learn from")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    encoder = PublicEncoder.load()
    pairs = read_pairs(arguments.pairs, arguments.count, arguments.seed)
    headings, texts = (
        encoder.document_features([encoder.chunks(part).ids for part in column])
        for column in zip(*pairs, strict=True)
    )
    save_file({"map": torch.from_numpy(learn_map(headings, texts)).half()}, arguments.out)


if __name__ == "__main__":
    main()
