"""What a reader of one row of features can tell of the document: its words, a name, a number.

    python -m benchmarks.inversion [--documents N] [--representation embedding|legal-1|multilingual-1]

The documents are invented: a sentence in which a woman of one of twenty surnames gives one of twenty account
numbers, and a passage of a generated matter. Rows are what models over embeddings read of a text, as it is
(`raw`) and as it is masked (`light`, balanced). The reader knows the encoder, the candidates, and `learned`
half of the documents with their rows. He guesses the candidate of each other row by

    alone      the candidate whose own row is nearest
    known      the candidate with whom the rest of the text, which he knows, has the nearest row
    learned    a logistic regression on the rows that he knows

Figures are the best of the three attacks; chance is 1/20, and `chance_limit` is what pure guessing reaches
once in a thousand times, by the best of three. `words_*` is the mean area under the curve of a ridge
regression that tells which words that stand in a tenth to a half of the passages are in one: masking is not
meant to hide these, so a row tells its readers what its document is about.

`canary_*` and `member_*` are areas under the curve (chance .5) of attacks on the rows of an `mlp`, whose
hidden layer is trained, here by area of law: was this document one that the model was trained on? Half of the
documents were; an eighth of all, the canaries, carry the label of another area. The score of a document is
how much nearer its row is to the mean row of its label than to that of any other, less the same score by a
model trained on the other half. Models over embeddings without a hidden layer (`linear`, `square`, `cubic`)
need no attack: their rows are made of public weights and the document alone. The limits are what epsilon
allows, and what chance adds.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Figure, Outcome, run
from fixtures.documents import documents
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, Representation
from lexveil.nlp.encoders.documents import EncodedDocument, encode_documents, extract
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings, TrainSettings
from lexveil.pipeline.training.data import Row, Split, group_by_owner
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training, plan_without_privacy
from lexveil.privacy.dp.accounting import noise_multiplier
from lexveil.privacy.dp.randomness import SecureRandom

SEED = 17
SEEDS = (1, 2, 3)  # of the attack on members
EPSILONS, DELTA = (8.0, 1.0), 1e-4
SHARES = {"canary": 1 / 8, "member": 7 / 8}
PASSAGE = 250  # characters
NAMES = (
    "Abernathy", "Blackwood", "Castellano", "Drummond", "Eriksson", "Fitzgerald", "Grimaldi", "Hawthorne",
    "Ivanova", "Jankowski", "Kowalczyk", "Lindqvist", "Montgomery", "Nakamura", "Okonkwo", "Pemberton",
    "Quintero", "Rosenthal", "Sutherland", "Thibodeau",
)  # fmt: skip
SENTENCE = "Ms {name} asks that her account number {number} be closed. Ms {name} appears in person. "

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Secret:
    """A document in parts: which candidates it names, and what else it says."""

    name: int
    number: int
    rest: str


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--representation", choices=get_args(Representation), default=DEFAULT_REPRESENTATION)
    parser.add_argument("--documents", type=int, default=160)
    parser.add_argument("--members", type=int, default=400, help="documents of the attack on members")


def measure(arguments: argparse.Namespace) -> Outcome:
    rng = random.Random(SEED)
    numbers = [str(rng.randrange(10**7, 10**8)) for _ in NAMES]
    texts = (one.text for one in documents(4 * arguments.documents, SEED) if one.lang == "en")
    secrets = [
        Secret(rng.randrange(20), rng.randrange(20), _cut(text))
        for text in islice(texts, arguments.documents)
    ]
    raw = [_write(one, numbers) for one in secrets]
    masked = [one.text for one in mask_texts(raw, MaskSettings(detector="light"), bytes(32))]
    known = len(secrets) // 2
    represent = partial(_represent, representation=arguments.representation)
    alone = {"name": represent([f"Ms {name}" for name in NAMES]), "number": represent(numbers)}
    guessable = {
        kind: [
            represent([_write(_swap(one, kind, i), numbers) for i in range(20)]) for one in secrets[known:]
        ]
        for kind in alone
    }
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    tests = len(secrets) - known
    limit = _quantile(tests)
    figures["chance_limit"] = Figure(limit, None, "share", "lower")
    for form, rows in (("raw", represent(raw)), ("masked", represent(masked))):
        for kind in alone:
            truth = np.array([getattr(one, kind) for one in secrets])
            attacks = {
                "alone": (rows[known:] @ alone[kind].T).argmax(axis=1),
                "known": np.array(
                    [int((g @ row).argmax()) for g, row in zip(guessable[kind], rows[known:], strict=True)]
                ),
                "learned": _learn(rows[:known], truth[:known], rows[known:]),
            }
            shares = {name: float((guess == truth[known:]).mean()) for name, guess in attacks.items()}
            target = limit if form == "masked" else None
            figures[f"{kind}_{form}"] = Figure(max(shares.values()), target, "share", "lower")
            details[f"{kind}_{form}"] = {name: round(share, 4) for name, share in shares.items()}
        figures[f"words_{form}"] = Figure(
            _recover_words([one.rest for one in secrets], rows, known), None, "AUC", "lower"
        )
    for epsilon in (None, *EPSILONS):
        name = "plain" if epsilon is None else f"epsilon_{epsilon:g}"
        scores = [
            attack_members(arguments.representation, arguments.members, epsilon, seed) for seed in SEEDS
        ]
        for number, what in enumerate(("canary", "member")):
            found = [one[number] for one in scores]
            target = None if epsilon is None else _bound_auc(epsilon, arguments.members * SHARES[what])
            figures[f"{what}_{name}"] = Figure(statistics.fmean(found), target, "AUC", "lower")
            details[f"{what}_{name}"] = [round(one, 4) for one in found]
    n = {"documents": len(secrets), "attacked": tests, "members_and_others": arguments.members}
    return Outcome(figures, n, [SEED, *SEEDS], details)


def attack_members(
    representation: Representation, count: int, epsilon: float | None, seed: int
) -> tuple[float, float]:
    """Return the areas under the curve of the attack on canaries, and on all other documents."""
    from sklearn.metrics import roc_auc_score

    chosen = list(islice((one for one in documents(3 * count, SEED + 1) if one.lang == "en"), count))
    rows = _represent([_cut(one.text) for one in chosen], representation)
    names = tuple(sorted({one.label for one in chosen}))
    labels = np.array([names.index(one.label) for one in chosen])
    rng = np.random.default_rng(seed)
    is_canary, is_member = rng.random(len(rows)) < SHARES["canary"], rng.random(len(rows)) < 0.5
    other = (labels + rng.integers(1, len(names), len(rows))) % len(names)
    labels = np.where(is_canary, other, labels)
    score = partial(_score_rows, rows, labels, names, representation, epsilon, seed)
    halves = [score(part) for part in (is_member, ~is_member)]
    scores = halves[0] - halves[1]
    return (
        float(roc_auc_score(is_member[is_canary], scores[is_canary])),
        float(roc_auc_score(is_member[~is_canary], scores[~is_canary])),
    )


def _score_rows(
    rows: Rows,
    labels: NDArray[np.int64],
    names: tuple[str, ...],
    representation: Representation,
    epsilon: float | None,
    seed: int,
    part: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Train on a part, and return how much nearer each row is to its label's mean row than to others."""
    encoded = [EncodedDocument(row, [], None, 1, 1) for row in rows]
    learn = tuple(Row(str(i), str(i), names[labels[i]], encoded[i]) for i in np.flatnonzero(part))
    split = Split(learn, (), "classify", names, public_labels=True)
    settings = TrainSettings(
        model="mlp", epsilon=epsilon or EPSILONS[0], delta=DELTA, representation=representation
    )
    plan = plan_training(settings, split)
    if epsilon is None:
        plan = plan_without_privacy(plan, "mlp")
    random_ = SecureRandom(seed.to_bytes(32, "big"))
    config = build_model_config(settings, split)
    data = group_by_owner(split, settings)
    model, _ = fit(config, data, settings, plan, random_, private=epsilon is not None)
    features = extract(model, encoded).features
    means = np.stack([features[labels == label].mean(axis=0) for label in range(len(names))])
    near = features @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    own = near[np.arange(len(near)), labels].copy()
    near[np.arange(len(near)), labels] = -np.inf
    return own - near.max(axis=1)


def _cut(text: str) -> str:
    body = " ".join(text.split())
    return body[len(body) // 2 :][:PASSAGE].partition(" ")[2]


def _write(secret: Secret, numbers: Sequence[str]) -> str:
    return SENTENCE.format(name=NAMES[secret.name], number=numbers[secret.number]) + secret.rest


def _swap(secret: Secret, kind: str, candidate: int) -> Secret:
    return Secret(
        candidate if kind == "name" else secret.name,
        candidate if kind == "number" else secret.number,
        secret.rest,
    )


def _represent(texts: Sequence[str], representation: Representation) -> Rows:
    encoded = encode_documents(texts, PublicEncoder.load(), representation=representation)
    return np.stack([one.embedding for one in encoded if one.embedding is not None])


def _learn(known: Rows, truth: NDArray[np.int64], rows: Rows) -> NDArray[np.int64]:
    from sklearn.linear_model import LogisticRegression

    return np.asarray(LogisticRegression(C=100, max_iter=300).fit(known, truth).predict(rows))


def _bound_auc(epsilon: float, count: float) -> float:
    """Return the largest area that epsilon allows, as that of one Gaussian step, and two errors more."""
    from scipy.stats import norm

    separation = 1 / noise_multiplier(epsilon, 1.0, 1, DELTA)
    return float(norm.cdf(separation / 2**0.5)) + 2 * 0.333 * count**-0.5


def _quantile(tests: int) -> float:
    from scipy.stats import binom

    return float(binom.ppf(1 - 0.001 / 3, tests, 1 / 20)) / tests


def _recover_words(texts: Sequence[str], rows: Rows, known: int) -> float:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score

    found = [set(re.findall(r"[a-z]{4,}", text.lower())) for text in texts]
    counts = Counter(word for words in found for word in words)
    words = [word for word, count in sorted(counts.items()) if 0.1 <= count / len(texts) <= 0.5]
    present = np.array([[word in own for word in words] for own in found])
    scores = Ridge(alpha=0.3).fit(rows[:known], present[:known].astype(float)).predict(rows[known:])
    both = [i for i in range(len(words)) if 0 < present[known:, i].sum() < len(scores)]
    return float(np.mean([roc_auc_score(present[known:, i], scores[:, i]) for i in both]))


if __name__ == "__main__":
    run(__doc__, measure, options)
