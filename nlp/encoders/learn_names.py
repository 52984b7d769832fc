"""Learn from public text what a class is about whose name alone is known.

Usage: `python -m lexveil.nlp.encoders.learn_names PAIRS.jsonl... --out FOLDER --seed 7`

A line of PAIRS is `{"document": ..., "heading": ..., "text": ...}`: a heading of a public, masked document
and what stands below it; `python -m benchmarks.legal_text` writes them. A name is written like a heading, and
the texts of its class like what stands below one. Three files are written:

names-legal-1       the linear map that takes the features of a heading nearest to those of its text, by ridge
                    regression from the identity: a name unlike all headings stays what it is
headings-legal-1    the headings of at least two documents: features of each, and the direction that tells
                    texts below it from all others
headings-lstm-1     the same in the features that an LSTM starts with
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.documents import encode_documents, extract
from lexveil.nlp.encoders.models import build_model
from lexveil.nlp.encoders.public import Array, PublicEncoder
from lexveil.nlp.encoders.representations import represent

FILES = ("names-legal-1", "headings-legal-1", "headings-lstm-1")

ComputeFeatures = Callable[[Sequence[str], PublicEncoder], Array]

_CHARACTERS = 500  # of a text for the map: more take longer and change little
_LONGEST = 1200  # characters of a text below a heading
_FEWEST_DOCUMENTS = 2
# Per pair. Of 3, 10, 30 and 100 for 3,600 pairs, the share of provisions whose class has the nearest name was
# .55, .53, .47, .40 (.37 unmapped, training part), that of 60 generated documents, whose classes are areas of
# law, .45, .47, .55, .53 (.57 unmapped).
_RIDGE = 20 / 3600
# Of the mean variance within headings: of .1, .3, 1 and 3, all within .005 after training, 1 was the best.
_SHRINKAGE = 1.0


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


def collect_headings(
    pairs: Sequence[Pair], encoder: PublicEncoder, compute_features: ComputeFeatures
) -> dict[str, NDArray[np.generic]]:
    """Collect the headings of several documents, with what tells the texts below each from all others.

    Args:
        pairs: headings and texts.
        encoder: public encoder.
        compute_features: computes the features of texts, one row each.

    Returns:
        `names`: embeddings of the headings. `texts`: directions of Fisher's discriminant: the mean features
        of the texts below each, times the inverse of the covariance within headings, to which its mean
        variance is added. Both as small integers, since only directions count. `counts`: number of texts of
        each.
    """
    documents: defaultdict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        documents[pair.heading].add(pair.document)
    kept = sorted(heading for heading, ids in documents.items() if len(ids) >= _FEWEST_DOCUMENTS)
    number_of = {heading: number for number, heading in enumerate(kept)}
    below = [pair for pair in pairs if pair.heading in number_of]
    features = compute_features([pair.text[:_LONGEST] for pair in below], encoder)
    features = features - features.mean(axis=0)
    heading_of = np.array([number_of[pair.heading] for pair in below])
    texts = np.stack([features[heading_of == number].mean(axis=0) for number in range(len(kept))])
    within = np.cov(features - texts[heading_of], rowvar=False, bias=True)
    within += _SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    texts = np.linalg.solve(within, texts.T).T
    names = compute_embeddings([heading.capitalize() for heading in kept], encoder)
    return {
        "names": _round(names),
        "texts": _round(texts),
        "counts": np.bincount(heading_of).astype(np.int32),
    }


def compute_embeddings(texts: Sequence[str], encoder: PublicEncoder) -> Array:
    """Compute the embeddings of texts. Shape: (texts, dimension)."""
    return encoder.document_features([encoder.chunks(text).ids for text in texts])


def compute_legal_features(texts: Sequence[str], encoder: PublicEncoder) -> Array:
    """Compute the representation `legal-1` of texts. Shape: (texts, dimension + 512)."""
    return represent(texts, [encoder.chunks(text).ids for text in texts], encoder, "legal-1")


def compute_lstm_features(texts: Sequence[str], encoder: PublicEncoder) -> Array:
    """Compute the features of texts by an LSTM before training. Shape: (texts, 256)."""
    model = build_model(ModelConfig.of("lstm", encoder, ("any", "other")), encoder).eval()
    return extract(model, encode_documents(texts, encoder, "tokens")).features


def _round(rows: Array) -> NDArray[np.int8]:
    # In the order of rows: safetensors writes the bytes as they lie.
    return np.rint(rows * (127 / np.abs(rows).max())).astype(np.int8, order="C")


def read_pairs(paths: Sequence[Path]) -> list[Pair]:
    """Read pairs of heading and text."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [Pair(**json.loads(line)) for line in lines]


def main() -> None:
    """Learn what the files hold, and write them."""
    parser = argparse.ArgumentParser(description="Learn what a class is about from its name.")
    parser.add_argument("pairs", nargs="+", type=Path, help='lines of {"document", "heading", "text"}')
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    parser.add_argument(
        "--files", nargs="+", choices=FILES, default=FILES, help="what to write; default: all"
    )
    parser.add_argument(
        "--count", type=int, default=3600, help="number of pairs that the map is learned from"
    )
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    encoder = PublicEncoder.load()
    pairs = read_pairs(arguments.pairs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.files:
        if name == "names-legal-1":
            drawn = random.Random(arguments.seed).sample(pairs, min(arguments.count, len(pairs)))
            headings = compute_embeddings([pair.heading.capitalize() for pair in drawn], encoder)
            texts = compute_embeddings([pair.text[:_CHARACTERS] for pair in drawn], encoder)
            learned: dict[str, Any] = {"map": learn_map(headings, texts).astype(np.float16)}
        elif name == "headings-legal-1":
            learned = collect_headings(pairs, encoder, compute_legal_features)
        else:
            learned = collect_headings(pairs, encoder, compute_lstm_features)
        save_file(learned, arguments.out / f"{name}.safetensors")


if __name__ == "__main__":
    main()
