"""Trains a learnt detector: `python -m lexveil.nlp.detector_training light --gold FILE... --out FOLDER --seed
7`.

FILE is TAB's JSON or span-JSONL (see `lexveil.nlp.evaluation.gold`); `--decisions` takes a folder of the
review, whose gold is what reviewers decided. Operating points are chosen on the documents of the first FILE,
by cross-validation.
The same seed gives the same detector on one machine.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lexveil.nlp.detector_training.corpora import read_documents
from lexveil.nlp.detector_training.crf import public_clusters, train_crf
from lexveil.nlp.detector_training.operating_points import operating_points
from lexveil.nlp.evaluation.gold import GoldDocument
from lexveil.nlp.evaluation.scoring import Scores, score
from lexveil.nlp.taggers.crf import Crf, CrfTagger, Parameters
from lexveil.nlp.taggers.features import Clusters
from lexveil.nlp.text import Span

INNER_FOLDS = 3
T = TypeVar("T")


def folds(items: Sequence[T], k: int, seed: int) -> Iterator[tuple[list[T], list[T]]]:
    """`k` times (all but one part, that part), the parts shuffled."""
    order = random.Random(seed).sample(range(len(items)), len(items))
    for part in range(k):
        held = set(order[part::k])
        yield (
            [item for index, item in enumerate(items) if index not in held],
            [item for index, item in enumerate(items) if index in held],
        )


def train_light(
    judged: Sequence[GoldDocument],
    others: Sequence[GoldDocument],
    seed: int,
    clusters: Clusters | None = None,
) -> Parameters:
    """The CRF of all documents, at operating points chosen on held-out parts of `judged`.

    The models behind the choice learn from `judged` alone, which is quicker and, measured on TAB, as precise
    at a threshold.
    """
    clusters = clusters or public_clusters(seed)
    held: list[tuple[Crf, list[GoldDocument]]] = [
        (Crf(train_crf(training, seed, clusters=clusters)), left)
        for training, left in folds(judged, INNER_FOLDS, seed)
    ]

    def score_at(threshold: float) -> Scores:
        from lexveil.nlp.detection.detector import Detector

        documents: list[GoldDocument] = []
        found: list[Sequence[Span]] = []
        for crf, left in held:
            documents += left
            detector = Detector(CrfTagger(crf, threshold))
            found += [one.spans for one in detector.detect_many([document.text for document in left])]
        return score(documents, found)

    parameters = train_crf([*judged, *others], seed, clusters=clusters)
    return replace(parameters, operating=operating_points(score_at))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="lexveil.nlp.detector_training.__main__", description=__doc__)
    parser.add_argument("model", choices=("light", "default"))
    parser.add_argument("--gold", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--decisions", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    judged = read_documents(options.gold[:1], None, options.seed)
    others = read_documents(options.gold[1:], options.decisions, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.model == "light":
        train_light(judged, others, options.seed).save(options.out / "light.npz")
        return
    from lexveil.nlp.detector_training.transformer import train_transformer

    train_transformer([*judged, *others], options.seed, options.out)


if __name__ == "__main__":
    main()
