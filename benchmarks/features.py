"""What features are worth: probes on seen and unseen labels, neighbours and clusters, on real legal text.

    python -m benchmarks.features [--corpora NAME ...] [--kinds KIND ...] [--representations NAME ...]
        [--epsilons NUMBER|inf ...] [--units NAME ...] [--seeds N] [--most N] [--detector NAME] [--quick]
        [--cache FOLDER]

Each row is one way to turn documents into vectors: TF-IDF of the masked texts; on the original and on the
masked texts the frozen public encoder, and the representations `legal-1` (that encoder beside a table of
words) and `multilingual-1` (another encoder beside the same table); and models trained by the shipped code on
the masked texts, without privacy and at each epsilon. A model is trained on one half of the classes (`seen`),
drawn with the seed. Vectors of all documents are then judged by what nobody trained them for:

all             micro-F1 and macro-F1 of a ridge regression on the vectors of the training part, tested on the
                other owners' part
seen, unseen    the same among the classes that the model was trained on, or among the others
neighbours      of the ten training documents of an unseen class nearest to a test document (cosine), the
                share of its class; classes with fewer than ten count by their size
clusters        adjusted mutual information of k-means (k = number of classes) on test documents of unseen
                classes
model           micro-F1 of the model's own head on the seen classes, where there is one

`*_low`, `*_high`: 95 % interval of micro-F1 over test owners (bootstrap). The regression is the same for all
rows. `loss_by_masking` is the unseen micro-F1 of `legal-1` on the original text less that on the masked text
(`multilingual_loss_by_masking`: of `multilingual-1`), `gain_by_words` that of `legal-1` less that of the
encoder, `over_tfidf` that of the better representation less that of TF-IDF, all masked. With fewer than four
classes there are no unseen ones: these are then differences of `all`.

Corpora: `provisions` (titles), `clauses` (CUAD clauses with one category), `contracts` (whole agreements by
type), `terms_LANGUAGE` (unfair terms of service by category), `charges` (Chinese judgments; the charge is
taken out of the text), `judgments` (of the European Court of Human Rights: about a fair trial alone, or
another right; numbers of articles are taken out of the text). The judgments are few: each seed draws the part
to test on anew. No text is shown.

Rows are written to stderr as they are ready. With `--cache`, they are kept and not computed again, unless the
code that makes features changed: a run that was ended goes on where it was, and rows can be made one by one.
"""

from __future__ import annotations

import argparse
import functools
import math
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Figure, Outcome, keep, make_folder, run
from benchmarks.encrypted_real import CORPORA
from benchmarks.labeled import READERS, Corpus, Labels, digest_texts, load_corpus
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, Kind, Representation
from lexveil.nlp.encoders.documents import EncodedDocument, InputKind, encode_documents, extract
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.representations import add_words
from lexveil.pipeline.models.encoding import get_encoding
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Row, Split, group_by_owner
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training, plan_without_privacy
from lexveil.pipeline.workspace.code import code_digest
from lexveil.privacy.dp.randomness import SecureRandom

NEIGHBOURS = 10
RESAMPLES = 500
RIDGE = 0.5  # of the regression, on vectors of norm 1
FEWEST_CLASSES = 4  # of which half are not trained on
DELTA = {"owner": 1e-4, "document": 1e-5}

TITLES: dict[Representation, str] = {
    "embedding": "encoder",
    "legal-1": "legal",
    "multilingual-1": "multilingual",
}

Vectors = NDArray[np.float32]
MeasureRow = Callable[[Corpus, NDArray[np.bool_], int], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Training:
    """How a model is trained. Without an epsilon: without privacy, as the diagnostic twin."""

    kind: Kind
    unit: str
    epsilon: float | None

    @property
    def name(self) -> str:
        return f"{self.kind}_plain" if self.epsilon is None else f"{self.kind}_{self.unit}_{self.epsilon:g}"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpora", nargs="+", choices=[*READERS], default=["provisions", "clauses"])
    parser.add_argument("--kinds", nargs="*", default=["mlp"], help="kinds of models to train")
    parser.add_argument("--representations", nargs="+", choices=get_args(Representation), default=None)
    parser.add_argument(
        "--epsilons", nargs="*", type=float, default=[math.inf, 8.0, 3.0, 1.0], help="inf: without privacy"
    )
    parser.add_argument("--units", nargs="+", choices=list(DELTA), default=["owner", "document"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--detector", default="light", help="detector by which the texts are masked")
    parser.add_argument("--most", type=int, default=8000, help="documents of a corpus, drawn by their text")
    parser.add_argument(
        "--quick", action="store_true", help="one seed, 500 documents, no trained model: minutes"
    )
    parser.add_argument("--cache", type=make_folder, help="folder that keeps masked texts, vectors and rows")


def measure(arguments: argparse.Namespace) -> Outcome:
    if not CORPORA.is_dir():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    if arguments.quick:
        arguments.seeds, arguments.most, arguments.kinds = 1, 500, []
    seeds = list(range(1, arguments.seeds + 1))
    trainings = [
        Training(kind, unit, epsilon)
        for kind in arguments.kinds
        for unit, epsilon in _list_guarantees(arguments.units, arguments.epsilons)
    ]
    representations = arguments.representations or get_args(Representation)
    figures: dict[str, Figure] = {}
    n: dict[str, int] = {}
    for name in arguments.corpora:
        corpus = load_corpus(name, arguments.most, arguments.cache, arguments.detector)
        n |= {
            f"{name}_documents": len(corpus.documents),
            f"{name}_tested": int(corpus.draw(seeds[0]).tested.sum()),
            f"{name}_classes": len(corpus.classes),
            f"{name}_owners": len(set(corpus.owners)),
        }
        rows = measure_corpus(corpus, representations, trainings, seeds, arguments.cache)
        for row, found in rows.items():
            for what, value in found.items():
                figures[f"{name}_{row}_{what}"] = Figure(value, None, "", "higher")
        figures |= {f"{name}_{what}": figure for what, figure in _compare(rows).items()}
    return Outcome(figures, n, seeds)


def _list_guarantees(units: Sequence[str], epsilons: Sequence[float]) -> list[tuple[str, float | None]]:
    """Return units and epsilons; without privacy, the unit makes no difference that counts: one is enough."""
    plain: list[tuple[str, float | None]] = [(units[0], None)] if math.inf in epsilons else []
    return plain + [(unit, epsilon) for unit in units for epsilon in epsilons if epsilon < math.inf]


def _compare(rows: dict[str, dict[str, float]]) -> dict[str, Figure]:
    """Return the differences between rows that there are targets for."""
    what = "unseen" if "unseen" in rows["tfidf_masked"] else "all"
    score = {row: found[what] for row, found in rows.items()}
    figures: dict[str, Figure] = {}
    for name, title in (("legal", "loss_by_masking"), ("multilingual", "multilingual_loss_by_masking")):
        if f"{name}_masked" in score:
            loss = score[f"{name}_original"] - score[f"{name}_masked"]
            figures[title] = Figure(loss, 0.01, "micro-F1", "lower")
    better = max(score.get(f"{name}_masked", 0.0) for name in ("legal", "multilingual"))
    if better:
        over = better - score["tfidf_masked"]
        figures["over_tfidf"] = Figure(over, 0.0, "micro-F1", "higher")
    if "legal_masked" in score and "encoder_masked" in score:
        gain = score["legal_masked"] - score["encoder_masked"]
        figures["gain_by_words"] = Figure(gain, 0.02, "micro-F1", "higher")
    return figures


def measure_corpus(
    corpus: Corpus,
    representations: Sequence[Representation],
    trainings: Sequence[Training],
    seeds: Sequence[int],
    cache: Path | None,
) -> dict[str, dict[str, float]]:
    """Return the figures of each row: means over seeds, which draw the seen classes and the noise."""
    rows = _list_fixed(corpus, representations, cache)
    rows |= {training.name: functools.partial(_judge_model, training, cache) for training in trainings}
    found: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    for seed in seeds:
        drawn = corpus.draw(seed)
        seen = draw_half(drawn, seed)
        for row, measure_row in rows.items():
            found[row].append(
                _keep_row(drawn, row, seed, cache, functools.partial(measure_row, drawn, seen, seed))
            )
    return {
        row: {what: statistics.fmean(one[what] for one in runs) for what in runs[0]}
        for row, runs in found.items()
    }


def _list_fixed(
    corpus: Corpus, representations: Sequence[Representation], cache: Path | None
) -> dict[str, MeasureRow]:
    """Return what judges each row without a model. Vectors are made once, when they are wanted."""
    originals = [one.text for one in corpus.documents]

    @functools.cache
    def encode(masked: bool, representation: Representation) -> Vectors:
        texts = corpus.masked if masked else originals
        if representation == "legal-1":
            return add_words(encode(masked, "embedding"), texts)
        return _stack(_encode(texts, "embedding", cache, representation))

    def judge_representation(
        masked: bool, representation: Representation, drawn: Corpus, seen: NDArray[np.bool_], seed: int
    ) -> dict[str, float]:
        return judge(drawn, encode(masked, representation), seen, seed)

    rows: dict[str, MeasureRow] = {
        "tfidf_masked": lambda drawn, seen, seed: judge(drawn, _tfidf(drawn.masked, drawn.tested), seen, seed)
    }
    for representation in representations:
        for masked, state in ((False, "original"), (True, "masked")):
            name = f"{TITLES[representation]}_{state}"
            rows[name] = functools.partial(judge_representation, masked, representation)
    return rows


def _judge_model(
    training: Training, cache: Path | None, corpus: Corpus, seen: NDArray[np.bool_], seed: int
) -> dict[str, float]:
    vectors, own = _train(corpus, training, seen, seed, cache)
    return {**judge(corpus, vectors, seen, seed), "model": own}


def _keep_row(
    corpus: Corpus, row: str, seed: int, cache: Path | None, measure_row: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """Measure a row, or read what an earlier run with the same documents and code measured."""
    texts = [f"{one.text} {one.label} {one.owner} {one.tested}" for one in corpus.documents]
    code = code_digest("lexveil.pipeline.training.fit") + Path(__file__).read_text(encoding="utf-8")
    found = keep(cache, [digest_texts([*texts, *corpus.masked]), code, row, str(seed)], measure_row)
    shown = " ".join(f"{what} {value:.4f}" for what, value in found.items())
    print(f"{corpus.name} {row} seed {seed}: {shown}", file=sys.stderr, flush=True)
    return found


def judge(corpus: Corpus, vectors: Any, seen: NDArray[np.bool_], seed: int) -> dict[str, float]:
    """Return what one set of vectors is worth.

    Args:
        corpus: the documents.
        vectors: one row a document; dense, or sparse for TF-IDF.
        seen: for each document, whether its class is one of those that models are trained on.
        seed: draws the owners of the intervals, and the starts of k-means.
    """
    from sklearn.preprocessing import normalize

    rows: Any = normalize(vectors)
    figures: dict[str, float] = {}
    parts = {"all": np.ones_like(seen)}
    if len(corpus.classes) >= FEWEST_CLASSES:
        parts |= {"seen": seen, "unseen": ~seen}
    for name, part in parts.items():
        learn, test = part & ~corpus.tested, part & corpus.tested
        predicted = probe(corpus, rows, learn, test)
        truth = corpus.labels[test]
        figures[name] = float((predicted == truth).mean())
        figures[f"{name}_macro"] = _macro_f1(truth, predicted)
        low, high = _interval(predicted == truth, corpus.owners[test], seed)
        figures |= {f"{name}_low": low, f"{name}_high": high}
    part = parts.get("unseen", parts["all"])
    learn, test = part & ~corpus.tested, part & corpus.tested
    figures["neighbours"] = find_neighbors(rows, corpus.labels, learn, test)
    figures["clusters"] = _clusters(rows[test], corpus.labels[test], seed)
    return figures


def probe(corpus: Corpus, rows: Any, learn: Any, test: Any) -> Labels:
    """Labels that a ridge regression on the classes' indicators gives the test documents, in closed form."""
    from scipy.linalg import solve

    classes, indices = np.unique(corpus.labels[learn], return_inverse=True)
    kernel, across = _products(rows[learn], rows[learn]), _products(rows[test], rows[learn])
    kernel[np.diag_indices(len(kernel))] += RIDGE
    weights = solve(kernel, np.eye(len(classes), dtype=np.float32)[indices], assume_a="pos")
    return classes[(across @ weights).argmax(axis=1)]


def _products(left: Any, right: Any) -> Vectors:
    """Inner products of rows, with a constant coordinate of 1."""
    products = left @ right.T
    return np.asarray(products if isinstance(products, np.ndarray) else products.toarray(), np.float32) + 1


def _macro_f1(truth: Labels, predicted: Labels) -> float:
    from sklearn.metrics import f1_score

    ignored: Any = 0  # of a class that nothing was given
    return float(f1_score(truth, predicted, average="macro", labels=np.unique(truth), zero_division=ignored))


def _interval(right: NDArray[np.bool_], owners: NDArray[np.str_], seed: int) -> tuple[float, float]:
    names, index = np.unique(owners, return_inverse=True)
    sums = np.bincount(index, right, len(names))
    counts = np.bincount(index, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def find_neighbors(rows: Any, labels: Labels, learn: Any, test: Any) -> float:
    """Share of a test document's class among the ten nearest to learn from, mean over test documents."""
    there = labels[learn]
    sizes = Counter(there.tolist())
    similarities: Any = rows[test] @ rows[learn].T
    if not isinstance(similarities, np.ndarray):
        similarities = similarities.toarray()
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :NEIGHBOURS]
    found = (there[nearest] == labels[test][:, None]).sum(axis=1)
    most = np.array([min(NEIGHBOURS, sizes[label]) for label in labels[test].tolist()])
    return float((found / most).mean())


def _clusters(rows: Any, labels: Labels, seed: int) -> float:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score

    starts: Any = 3
    assigned = KMeans(len(np.unique(labels)), n_init=starts, random_state=seed).fit_predict(rows)
    return float(adjusted_mutual_info_score(labels, assigned))


def draw_half(corpus: Corpus, seed: int) -> NDArray[np.bool_]:
    """Every other class by size, the first one by the seed, so that both halves have large ones."""
    order = [label for label, _ in Counter(one.label for one in corpus.documents).most_common()]
    chance = np.random.default_rng(seed)
    seen = {pair[int(chance.integers(len(pair)))] for pair in _pair(order)}
    return np.array([one.label in seen for one in corpus.documents])


def _pair(names: Sequence[str]) -> Iterable[Sequence[str]]:
    # An odd last one joins the pair before it.
    last = len(names) - len(names) % 2
    for start in range(0, last, 2):
        yield names[start : start + 2]


def _tfidf(texts: Sequence[str], tested: NDArray[np.bool_]) -> Any:
    """Words of two letters or more and their pairs; of Chinese, one to three characters."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in texts[0]) > len(texts[0]) / 4
    grams: dict[str, Any] = (
        {"analyzer": "char", "ngram_range": (1, 3)} if chinese else {"ngram_range": (1, 2)}
    )
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=60_000, **grams)
    vectorizer.fit([text for text, test in zip(texts, tested, strict=True) if not test])
    return vectorizer.transform(texts).tocsr()


def _train(
    corpus: Corpus, training: Training, seen: NDArray[np.bool_], seed: int, cache: Path | None
) -> tuple[Vectors, float]:
    """Vectors of all documents by a model of the seen classes, and its own micro-F1 on them."""
    encoded = _encode(corpus.masked, get_encoding(training.kind), cache)
    if get_encoding(training.kind) == "embedding":
        words = add_words(_stack(encoded), corpus.masked)
        encoded = [replace(one, embedding=row) for one, row in zip(encoded, words, strict=True)]
    labels = tuple(
        sorted({one.label for one, is_seen in zip(corpus.documents, seen, strict=True) if is_seen})
    )
    parts: dict[bool, list[Row]] = {True: [], False: []}
    for number, (one, document) in enumerate(zip(corpus.documents, encoded, strict=True)):
        if seen[number]:
            owner = one.owner if training.unit == "owner" else str(number)
            parts[one.tested].append(Row(str(number), owner, one.label, document))
    split = Split(tuple(parts[False]), tuple(parts[True]), "classify", labels, public_labels=True)
    epsilon = training.epsilon or 8.0
    settings = TrainSettings(
        model=training.kind,
        epsilon=epsilon,
        delta=DELTA[training.unit],
        representation=DEFAULT_REPRESENTATION,
    )
    plan = plan_training(settings, split)
    if training.epsilon is None:
        plan = plan_without_privacy(plan, training.kind)
    random = SecureRandom(seed.to_bytes(32, "big"))
    config = build_model_config(settings, split)
    data = group_by_owner(split, settings)
    model, _ = fit(config, data, settings, plan, random, private=training.epsilon is not None)
    extracted = extract(model, encoded)
    test = seen & corpus.tested
    truth = [labels.index(one.label) for one, is_test in zip(corpus.documents, test, strict=True) if is_test]
    own = float((extracted.logits[test].argmax(axis=1) == np.array(truth)).mean())
    return extracted.features, own


def represent_words(texts: Sequence[str], cache: Path | None) -> Vectors:
    """Return `legal-1` of masked texts."""
    return add_words(_stack(_encode(texts, "embedding", cache)), texts)


def _encode(
    texts: Sequence[str], want: InputKind, cache: Path | None, representation: Representation = "embedding"
) -> list[EncodedDocument]:
    name = digest_texts([code_digest("lexveil.nlp.encoders.documents"), representation, *texts])
    path = None if cache is None or want == "tokens" else cache / f"{name}.npy"
    if path is not None and path.is_file():
        return [EncodedDocument(row, [], None, 1, 1) for row in np.load(path)]
    encoder = PublicEncoder.load(None)
    encoded: list[EncodedDocument] = []
    for start in range(0, len(texts), 256):
        encoded += encode_documents(texts[start : start + 256], encoder, want, representation=representation)
    if path is not None:
        np.save(path, _stack(encoded))
    return encoded


def _stack(encoded: Sequence[EncodedDocument]) -> Vectors:
    return np.stack([one.embedding for one in encoded if one.embedding is not None])


if __name__ == "__main__":
    run(__doc__, measure, options)
