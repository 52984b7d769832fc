"""Train a learned detector.

Usage: `python -m lexveil.nlp.detector_training light --gold FILE... --out FOLDER --seed 7`

FILE is TAB's JSON or span-JSONL (see `lexveil.nlp.evaluation.gold`). `--decisions` takes a review folder,
whose gold files hold the decisions of reviewers. Operating points are chosen by cross-validation on the
documents of the first FILE. `english` is a token classifier over the encoder of English features. `german`
and `multilingual` learn from FILE and from sentences with Faker's names. `chinese` learns from FILE with
invented names and from sentences of our own; `--lexicon` is a dictionary in jieba's format. The same seed
gives the same detector on one machine.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lexveil.nlp.detector_training.corpora import read_documents
from lexveil.nlp.detector_training.crf import cluster_public_words, train_crf
from lexveil.nlp.detector_training.german_names import add_names
from lexveil.nlp.detector_training.operating_points import choose_operating_points
from lexveil.nlp.evaluation.gold import GoldDocument
from lexveil.nlp.evaluation.scoring import Scores, score
from lexveil.nlp.taggers.crf import Crf, CrfTagger, Parameters
from lexveil.nlp.taggers.features import Clusters
from lexveil.nlp.taggers.lattice import CHINESE
from lexveil.nlp.text import Span

INNER_FOLDS = 3
T = TypeVar("T")


def split_folds(items: Sequence[T], k: int, seed: int) -> Iterator[tuple[list[T], list[T]]]:
    """Yield `k` pairs (training items, held-out items) of a random partition into `k` parts."""
    order = random.Random(seed).sample(range(len(items)), len(items))
    for part in range(k):
        held_out = set(order[part::k])
        yield (
            [item for index, item in enumerate(items) if index not in held_out],
            [item for index, item in enumerate(items) if index in held_out],
        )


def train_light(
    judged: Sequence[GoldDocument],
    others: Sequence[GoldDocument],
    seed: int,
    clusters: Clusters | None = None,
) -> Parameters:
    """Train a CRF on all documents, with operating points chosen on held-out parts of `judged`.

    The models of the cross-validation learn from `judged` only, which is faster and, measured on TAB, gives
    the same precision at a threshold.

    Args:
        judged: gold documents on which the operating points are chosen.
        others: further documents to learn from.
        seed: seed of the partition and of the training.
        clusters: word clusters; by default those of the public encoder's vocabulary.
    """
    clusters = clusters or cluster_public_words(seed)
    folds: list[tuple[Crf, list[GoldDocument]]] = [
        (Crf(train_crf(training, seed, clusters=clusters)), held_out)
        for training, held_out in split_folds(judged, INNER_FOLDS, seed)
    ]

    def score_at(threshold: float) -> Scores:
        from lexveil.nlp.detection.detector import Detector

        documents: list[GoldDocument] = []
        spans: list[Sequence[Span]] = []
        for crf, held_out in folds:
            documents += held_out
            detector = Detector(CrfTagger(crf, threshold))
            detections = detector.detect_many([document.text for document in held_out])
            spans += [detection.spans for detection in detections]
        return score(documents, spans)

    parameters = train_crf([*judged, *others], seed, clusters=clusters)
    return replace(parameters, operating=choose_operating_points(score_at))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lexveil.nlp.detector_training", description=__doc__)
    parser.add_argument("model", choices=("light", "german", "chinese", "english", "multilingual"))
    parser.add_argument("--gold", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--decisions", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--lexicon", type=Path, metavar="FILE", help="of `chinese`: dict.txt of jieba")
    options = parser.parse_args(arguments)
    if options.model == "chinese" and options.lexicon is None:
        parser.error("chinese needs --lexicon")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.model == "chinese":
        from lexveil.nlp.detector_training.lattice import read_lexicon, train_lattice

        # Half of the common surnames are words, too: texts without a name teach which is which.
        documents = read_documents(options.gold, options.decisions, options.seed, thin=False)
        train_lattice(documents, read_lexicon(options.lexicon), options.seed).save(options.out / CHINESE.name)
        return
    judged = read_documents(options.gold[:1], None, options.seed)
    others = read_documents(options.gold[1:], options.decisions, options.seed)
    if options.model == "light":
        train_light(judged, others, options.seed).save(options.out / "light.npz")
        return
    if options.model == "german":
        train_crf(add_names([*judged, *others]), options.seed).save(options.out / "german.npz")
        return
    if options.model == "multilingual":
        from lexveil.nlp.detector_training.multilingual import train_multilingual

        train_multilingual([*judged, *others], options.seed, options.out)
        return
    from lexveil.nlp.detector_training.transformer import train_transformer

    train_transformer([*judged, *others], options.seed, options.out)


if __name__ == "__main__":
    main()
