"""What features are worth: probes on seen and unseen labels, neighbours and clusters, on real legal text.

    python -m benchmarks.features [--corpora NAME ...] [--kinds KIND ...] [--seeds N] [--quick]
        [--cache FOLDER]

Each row is one way to turn documents into vectors: TF-IDF of the masked texts; on the original and on the
masked texts the frozen public encoder, and the representations `legal-1` (that encoder beside a table of
words) and `multilingual-1` (another encoder beside the same table); and models trained by the shipped code on
the masked texts, without privacy and at each epsilon. A model is trained on one half of the classes (`seen`),
drawn with the seed. Vectors of all documents are then judged by what nobody trained them for:

seen, unseen    micro-F1 and macro-F1 of a ridge regression on the vectors of the training part, tested on the
                other owners' part, among the classes that the model was trained on, or among the others
neighbours      of the ten training documents of an unseen class nearest to a test document (cosine), the
                share of its class; classes with fewer than ten count by their size
clusters        adjusted mutual information of k-means (k = number of classes) on test documents of unseen
                classes
model           micro-F1 of the model's own head on the seen classes, where there is one

`*_low`, `*_high`: 95 % interval of micro-F1 over test owners (bootstrap). The regression is the same for all
rows. `loss_by_masking` is the unseen micro-F1 of `legal-1` on the original text less that on the masked text
(`multilingual_loss_by_masking`: of `multilingual-1`), `gain_by_words` that of `legal-1` less that of the
encoder, `over_tfidf` that of the better representation less that of TF-IDF, all masked.

Corpora: `provisions` (titles), `clauses` (CUAD clauses with one category), `contracts` (whole agreements by
type), `terms_LANGUAGE` (unfair terms of service by category), `charges` (Chinese judgments; the charge is
taken out of the text). No text is shown.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Figure, Outcome, run
from benchmarks.encrypted_real import CORPORA, records_of
from benchmarks.legal_text import select_contracts
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, Kind, Representation
from lexveil.nlp.encoders.documents import EncodedDocument, InputKind, encode_documents, extract
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.representations import add_words
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.models.encoding import get_encoding
from lexveil.pipeline.settings import MaskSettings, TrainSettings
from lexveil.pipeline.training.data import Row, Split
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training
from lexveil.privacy.dp.randomness import SecureRandom

LEAST_ITEMS = 10  # of a class, in the training part
NEIGHBOURS = 10
RESAMPLES = 500
RIDGE = 0.5  # of the regression, on vectors of norm 1
DELTA = {"owner": 1e-4, "document": 1e-5}
LANGUAGES = ("en", "de", "it", "pl")
MASK = MaskSettings(detector="light")

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Document:
    """A labelled document of a corpus."""

    text: str
    label: str
    owner: str
    tested: bool


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents of classes that have enough of them.

    Attributes:
        documents: the documents, those to learn from first.
        masked: their masked texts.
        classes: names of the classes.
    """

    name: str
    documents: Sequence[Document]
    masked: Sequence[str]
    classes: tuple[str, ...]

    @property
    def labels(self) -> Labels:
        return np.array([self.classes.index(one.label) for one in self.documents])

    @property
    def tested(self) -> NDArray[np.bool_]:
        return np.array([one.tested for one in self.documents])

    @property
    def owners(self) -> NDArray[np.str_]:
        return np.array([one.owner for one in self.documents])


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
    parser.add_argument("--epsilons", nargs="*", type=float, default=[8.0, 3.0, 1.0])
    parser.add_argument("--units", nargs="+", choices=list(DELTA), default=["owner", "document"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=8000, help="documents of a corpus, drawn by their text")
    parser.add_argument(
        "--quick", action="store_true", help="one seed, 500 documents, no trained model: minutes"
    )
    parser.add_argument("--cache", type=Path, help="folder that keeps masked texts and vectors between runs")


def measure(arguments: argparse.Namespace) -> Outcome:
    if not CORPORA.is_dir():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    if arguments.quick:
        arguments.seeds, arguments.most, arguments.kinds = 1, 500, []
    seeds = list(range(1, arguments.seeds + 1))
    units = arguments.units
    trainings = [
        Training(kind, unit, epsilon)
        for kind in arguments.kinds
        for unit, epsilon in [(units[0], None), *((u, e) for u in units for e in arguments.epsilons)]
    ]
    figures: dict[str, Figure] = {}
    n: dict[str, int] = {}
    for name in arguments.corpora:
        corpus = load_corpus(name, arguments.most, arguments.cache)
        n |= {
            f"{name}_documents": len(corpus.documents),
            f"{name}_tested": int(corpus.tested.sum()),
            f"{name}_classes": len(corpus.classes),
            f"{name}_owners": len(set(corpus.owners)),
        }
        rows = measure_corpus(corpus, trainings, seeds, arguments.cache)
        for row, found in rows.items():
            for what, value in found.items():
                figures[f"{name}_{row}_{what}"] = Figure(value, None, "", "higher")
        unseen = {row: found["unseen"] for row, found in rows.items()}
        loss = unseen["legal_original"] - unseen["legal_masked"]
        figures[f"{name}_loss_by_masking"] = Figure(loss, 0.01, "micro-F1", "lower")
        loss = unseen["multilingual_original"] - unseen["multilingual_masked"]
        figures[f"{name}_multilingual_loss_by_masking"] = Figure(loss, 0.01, "micro-F1", "lower")
        better = max(unseen["legal_masked"], unseen["multilingual_masked"])
        figures[f"{name}_over_tfidf"] = Figure(better - unseen["tfidf_masked"], 0.0, "micro-F1", "higher")
        gain = unseen["legal_masked"] - unseen["encoder_masked"]
        figures[f"{name}_gain_by_words"] = Figure(gain, 0.02, "micro-F1", "higher")
    return Outcome(figures, n, seeds)


def measure_corpus(
    corpus: Corpus, trainings: Sequence[Training], seeds: Sequence[int], cache: Path | None
) -> dict[str, dict[str, float]]:
    """Return the figures of each row: means over seeds, which draw the seen classes and the noise."""
    originals = [one.text for one in corpus.documents]
    fixed = {
        "tfidf_masked": _tfidf(corpus.masked, corpus.tested),
        "encoder_original": _stack(_encode(originals, "embedding", cache)),
        "encoder_masked": _stack(_encode(corpus.masked, "embedding", cache)),
    }
    for name, texts in (("original", originals), ("masked", corpus.masked)):
        fixed[f"legal_{name}"] = add_words(fixed[f"encoder_{name}"], texts)
        fixed[f"multilingual_{name}"] = _stack(_encode(texts, "embedding", cache, "multilingual-1"))
    found: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    for seed in seeds:
        seen = _draw_half(corpus, seed)
        for row, vectors in fixed.items():
            found[row].append(judge(corpus, vectors, seen, seed))
        for training in trainings:
            vectors, own = _train(corpus, training, seen, seed, cache)
            found[training.name].append({**judge(corpus, vectors, seen, seed), "model": own})
    return {
        row: {what: statistics.fmean(one[what] for one in runs) for what in runs[0]}
        for row, runs in found.items()
    }


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
    for name, part in (("seen", seen), ("unseen", ~seen)):
        learn, test = part & ~corpus.tested, part & corpus.tested
        predicted = _probe(corpus, rows, learn, test)
        truth = corpus.labels[test]
        figures[name] = float((predicted == truth).mean())
        figures[f"{name}_macro"] = _macro_f1(truth, predicted)
        low, high = _interval(predicted == truth, corpus.owners[test], seed)
        figures |= {f"{name}_low": low, f"{name}_high": high}
    learn, test = ~seen & ~corpus.tested, ~seen & corpus.tested
    figures["neighbours"] = _neighbours(rows, corpus.labels, learn, test)
    figures["clusters"] = _clusters(rows[test], corpus.labels[test], seed)
    return figures


def _probe(corpus: Corpus, rows: Any, learn: Any, test: Any) -> Labels:
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


def _neighbours(rows: Any, labels: Labels, learn: Any, test: Any) -> float:
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


def _draw_half(corpus: Corpus, seed: int) -> NDArray[np.bool_]:
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
    random = SecureRandom(seed.to_bytes(32, "big"))
    config = build_model_config(settings, split)
    model, _ = fit(config, split, settings, plan, random, private=training.epsilon is not None)
    extracted = extract(model, encoded)
    test = seen & corpus.tested
    truth = [labels.index(one.label) for one, is_test in zip(corpus.documents, test, strict=True) if is_test]
    own = float((extracted.logits[test].argmax(axis=1) == np.array(truth)).mean())
    return extracted.features, own


def _encode(
    texts: Sequence[str], want: InputKind, cache: Path | None, representation: Representation = "embedding"
) -> list[EncodedDocument]:
    name = _digest(texts) if representation == "embedding" else f"{_digest(texts)}-{representation}"
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


def load_corpus(name: str, most: int, cache: Path | None) -> Corpus:
    """Read and mask a corpus, and leave out classes with too few documents."""
    documents = sorted(READERS[name](), key=lambda one: _hash_to_unit(one.text))[:most]
    counts = Counter(one.label for one in documents if not one.tested)
    kept = [one for one in documents if counts[one.label] >= LEAST_ITEMS]
    kept.sort(key=lambda one: one.tested)
    classes = tuple(sorted({one.label for one in kept}))
    return Corpus(name, kept, _mask([one.text for one in kept], cache), classes)


def _mask(texts: Sequence[str], cache: Path | None) -> list[str]:
    path = None if cache is None else cache / f"{_digest(texts)}.masked"
    if path is not None and path.is_file():
        return path.read_text(encoding="utf-8").split("\0")
    masked: list[str] = []
    for start in range(0, len(texts), 64):
        masked += [one.text for one in mask_texts(texts[start : start + 64], MASK, bytes(32))]
    if path is not None:
        path.write_text("\0".join(masked), encoding="utf-8")
    return masked


def _read_provisions() -> list[Document]:
    return [
        Document(record["text"], record["label"], record["meta"]["contract"], record["split"] != "train")
        for record in records_of("contract_provisions_ledgar_labels")
    ]


def _read_clauses() -> list[Document]:
    # The corpus has no part for development here: a fifth of the contracts is tested on.
    return [
        Document(record["text"], record["labels"][0], owner, _hash_to_unit(owner) < 0.2)
        for record in records_of("cuad_clauses")
        if len(record["labels"]) == 1
        for owner in [record["meta"]["contract"]]
    ]


def _read_contracts() -> list[Document]:
    learned = {record["id"] for record in select_contracts()}  # by the table of words
    return [
        Document(record["text"][:30_000], record["label"], owner, record["split"] != "train")
        for record in records_of("contraxsuite_contracts")
        if record["id"] not in learned
        for owner in [str(record["meta"].get("cik", record["id"]))]
    ]


def _read_terms(language: str) -> list[Document]:
    documents: list[Document] = []
    for record in records_of("unfair_tos_multilingual"):
        meta = record["meta"]
        if len(record["labels"]) == 1 and meta["lang"] == language:
            owner = meta["company"]
            documents.append(
                Document(record["text"], record["labels"][0], owner, _hash_to_unit(owner) < 0.25)
            )
    return documents


def _read_charges() -> list[Document]:
    documents: list[Document] = []
    for record in records_of("judge_zh_judgments"):
        if record["label"]:
            charge = record["label"].removesuffix("罪")
            text = re.sub(re.escape(charge), "", record["text"])
            documents.append(Document(text, record["label"], record["id"], _hash_to_unit(record["id"]) < 0.3))
    return documents


READERS: dict[str, Callable[[], list[Document]]] = {
    "provisions": _read_provisions,
    "clauses": _read_clauses,
    "contracts": _read_contracts,
    **{f"terms_{language}": lambda one=language: _read_terms(one) for language in LANGUAGES},
    "charges": _read_charges,
}


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _hash_to_unit(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


if __name__ == "__main__":
    run(__doc__, measure, options)
