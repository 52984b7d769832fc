"""Micro-F1 under differential privacy on real contract provisions, trained by the shipped code and recipes.

    python -m benchmarks.dp_utility [--quick] [--cells linear|few|other|lstm ...] [--only NAME ...]
        [--last-layer] [--representation embedding|legal-1|multilingual-1] [--cache FOLDER]

The texts are masked, as in the product, with the light detector (`--raw` leaves them as they are). Models
learn from the training part of contract_provisions (83 classes of at least ten provisions) and are tested on
its development part, whose contracts are others. The unit is the owner, a contract with all its provisions
(delta 1e-4), or the document, a provision (delta 1e-5). `few`: 50 and 200 of the contracts, by the seed.
Epsilon is what the accounting says of the plan that ran. Each figure is the mean over seeds of noise and
sampling; the details have every seed's, and macro-F1.

With `--last-layer`, the features of a kind with a trained body stay those of its public start, and the last
layer alone is trained, by the same recipe: seconds instead of minutes, and what the body's training adds or
costs is the difference.

Recipes were chosen by `--tune`, on the figures of four random fifths of the training part's contracts, held
out in turn; the development part was not used before they were fixed.

Masking and encoding take about 4 minutes of CPU time, each linear model a few seconds, an LSTM some minutes.
With `--cache`, each is kept and not trained again, unless the code changed: a run that was ended goes on
where it was. No text is shown.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.random import default_rng
from torch import nn

from benchmarks.contract import Figure, Outcome, keep, make_folder, run
from benchmarks.encrypted_real import CORPORA, LEAST_ITEMS, PROVISIONS, records_of
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, Kind, Representation
from lexveil.nlp.encoders.documents import EncodedDocument, encode_documents, extract
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.losses import classification_gradient, classification_loss
from lexveil.nlp.encoders.models import build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.models.encoding import get_encoding, load_encoder
from lexveil.pipeline.settings import MaskSettings, TrainSettings
from lexveil.pipeline.training.data import OwnerData, Row, Split, group_by_owner
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training
from lexveil.pipeline.workspace.code import code_digest
from lexveil.privacy.dp.engine import ClosedLoss, TrainingPlan
from lexveil.privacy.dp.engine import train as train_privately
from lexveil.privacy.dp.randomness import SecureRandom

SEEDS = (1, 2, 3)
FOLDS = (0, 1, 2, 3)
Unit = Literal["owner", "document"]
DELTA: dict[Unit, float] = {"owner": 1e-4, "document": 1e-5}


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of the table."""

    kind: Kind
    unit: Unit
    epsilon: float
    target: float | None = None
    owners: int | None = None

    @property
    def name(self) -> str:
        of = "" if self.owners is None else f"_{self.owners}"
        return f"{self.kind}_{self.unit}{of}_epsilon_{self.epsilon:g}"


CELLS: dict[str, tuple[Cell, ...]] = {
    "linear": (
        Cell("linear", "owner", 8, 0.81),
        Cell("linear", "owner", 3, 0.77),
        Cell("linear", "document", 8, 0.835),
        Cell("linear", "document", 3, 0.81),
    ),
    "few": tuple(
        Cell("linear", "owner", epsilon, owners=owners) for owners in (50, 200) for epsilon in (8, 3)
    ),
    "other": tuple(
        Cell(kind, unit, 8) for kind in ("mlp", "square", "cubic") for unit in ("owner", "document")
    ),
    "lstm": (
        Cell("lstm", "document", 8, 0.79),
        Cell("lstm", "owner", 8, 0.76),
        Cell("topic_lstm", "document", 8),
        Cell("topic_lstm", "owner", 8),
    ),
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="one seed, or one fold")
    parser.add_argument("--cells", nargs="+", choices=list(CELLS), default=["linear"])
    parser.add_argument("--lstm", action="store_true", help="the LSTMs' cells too")
    parser.add_argument("--only", nargs="+", help="names of cells, such as lstm_owner_epsilon_8")
    parser.add_argument("--tune", action="store_true", help="test on held-out owners of the training part")
    parser.add_argument("--last-layer", action="store_true", help="train the last layer alone")
    parser.add_argument("--representation", choices=get_args(Representation), default=DEFAULT_REPRESENTATION)
    parser.add_argument("--raw", action="store_true", help="do not mask the texts")
    parser.add_argument(
        "--cache", type=make_folder, help="folder that keeps masked texts, embeddings and figures"
    )


def measure(arguments: argparse.Namespace) -> Outcome:
    if not (CORPORA / PROVISIONS / "data.jsonl.zst").is_file():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    wanted = [*arguments.cells, *(["lstm"] if arguments.lstm else [])]
    runs = [(fold, fold) for fold in FOLDS] if arguments.tune else [(None, seed) for seed in SEEDS]
    runs = runs[:1] if arguments.quick else runs
    records = list(records_of(PROVISIONS))
    if not arguments.raw:
        records = mask_records(records, arguments.cache)
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    n: dict[str, int] = {}
    cells = [cell for name in dict.fromkeys(wanted) for cell in CELLS[name]]
    if arguments.only:
        cells = [cell for group in CELLS.values() for cell in group if cell.name in arguments.only]
    code = code_digest("lexveil.pipeline.training.fit")
    for cell in cells:
        want = get_encoding(cell.kind)
        encoded = encode_records(records, want, arguments.representation, arguments.cache)
        if arguments.last_layer:
            encoded = _fix_features(cell.kind, split_records(records, encoded, cell.unit, None), encoded)
        found: list[dict[str, float]] = []
        for fold, seed in runs:
            split = split_records(records, encoded, cell.unit, fold)
            if cell.owners is not None:
                split = _select_owners(split, cell.owners, seed)
            about = [code, _digest(records), cell.name, arguments.representation, str(fold), str(seed)]
            train = partial(_train, cell, split, seed, arguments.representation, arguments.last_layer)
            about += ["last layer"] * arguments.last_layer
            found.append(keep(arguments.cache, about, train))
            print(
                cell.name, "fold" if arguments.tune else "seed", seed, found[-1], file=sys.stderr, flush=True
            )
            n[f"{cell.unit}_owners"] = split.n_owners
            n["training_items"], n["test_items"] = len(split.train), len(split.held_out)
        scores = [one["micro_f1"] for one in found]
        target = None if arguments.tune else cell.target
        figures[cell.name] = Figure(statistics.fmean(scores), target, "micro-F1", "higher")
        details[cell.name] = {
            "micro_f1": [round(score, 4) for score in scores],
            "macro_f1": [round(one["macro_f1"], 4) for one in found],
            "epsilon": round(found[0]["epsilon"], 4),
            "delta": DELTA[cell.unit],
        }
    return Outcome(figures, n, [seed for _, seed in runs], details)


def _select_owners(split: Split, count: int, seed: int) -> Split:
    owners = np.array(sorted({row.owner for row in split.train}))
    drawn = set(default_rng(seed).permutation(owners)[:count].tolist())
    return replace(split, train=tuple(row for row in split.train if row.owner in drawn))


def _fix_features(kind: Kind, split: Split, encoded: Sequence[EncodedDocument]) -> list[EncodedDocument]:
    """Return what the untrained model makes of the tokens."""
    settings = TrainSettings(model=kind)
    model = build_model(build_model_config(settings, split), load_encoder(settings)).eval()
    return [EncodedDocument(one, [], None, 1, 1) for one in extract(model, encoded).features]


def _fit_last_layer(
    split: Split, settings: TrainSettings, plan: TrainingPlan, random: SecureRandom
) -> nn.Linear:
    """Train the last layer on fixed features. The plan is scaled instead of the logits."""
    model = build_model(build_model_config(settings, split), load_encoder(settings)).eval()
    start_from_labels(model, load_encoder(settings))
    scale = model.logit_scale
    model.fold()
    loss = ClosedLoss(classification_loss, classification_gradient, "softmax")
    scaled = replace(
        plan, max_grad_norm=plan.max_grad_norm / scale, learning_rate=plan.learning_rate * scale**2
    )
    train_privately(
        model.output, OwnerData(split, "linear", settings.max_items_per_owner), loss, scaled, random
    )
    return model.output


def _train(
    cell: Cell, split: Split, seed: int, representation: Representation, last_layer: bool
) -> dict[str, float]:
    """Micro- and macro-F1 of the held-out part, and the epsilon that was spent."""
    from sklearn.metrics import f1_score

    settings = TrainSettings(
        model=cell.kind, epsilon=cell.epsilon, delta=DELTA[cell.unit], representation=representation
    )
    plan = plan_training(settings, split)
    random = SecureRandom(seed.to_bytes(32, "big"))
    if last_layer:
        layer = _fit_last_layer(split, settings, plan, random)
        features = np.stack(
            [row.encoded.embedding for row in split.held_out if row.encoded.embedding is not None]
        )
        logits = layer(torch.from_numpy(features)).detach().numpy()
    else:
        model, _ = fit(
            build_model_config(settings, split), group_by_owner(split, settings), settings, plan, random
        )
        logits = extract(model, [row.encoded for row in split.held_out]).logits
    truth = np.array([split.labels.index(row.label or "") for row in split.held_out])
    chosen = logits.argmax(axis=1)
    ignored: Any = 0  # of a class that nothing was given
    macro = f1_score(truth, chosen, average="macro", labels=np.unique(truth), zero_division=ignored)
    # One label per document: micro-F1 is the share of correct ones.
    return {
        "micro_f1": float((chosen == truth).mean()),
        "macro_f1": float(macro),
        "epsilon": plan.epsilon(DELTA[cell.unit]),
    }


def mask_records(records: Sequence[dict[str, Any]], cache: Path | None) -> list[dict[str, Any]]:
    texts = [record["text"] for record in records]
    name = f"{_digest(records)}-{code_digest('lexveil.pipeline.masking.texts')[:16]}.masked"
    path = None if cache is None else cache / name
    if path is not None and path.is_file():
        masked = path.read_text(encoding="utf-8").split("\0")
    else:
        settings = MaskSettings(detector="light")
        batches = [texts[start : start + 64] for start in range(0, len(texts), 64)]
        masked = [one.text for batch in batches for one in mask_texts(batch, settings, bytes(32))]
        if path is not None:
            path.write_text("\0".join(masked), encoding="utf-8")
    return [{**record, "text": text} for record, text in zip(records, masked, strict=True)]


def _digest(records: Sequence[dict[str, Any]]) -> str:
    texts = "\0".join(record["text"] for record in records)
    return hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def encode_records(
    records: Sequence[dict[str, Any]],
    want: Literal["embedding", "tokens"],
    representation: Representation,
    cache: Path | None,
) -> list[EncodedDocument]:
    encoder = PublicEncoder.load(None)
    code = code_digest("lexveil.nlp.encoders.documents")[:16]
    name = f"{_digest(records)}-{representation}-{code}.npy"
    path = None if cache is None or want == "tokens" else cache / name
    if path is not None and path.is_file():
        return [EncodedDocument(row, [], None, 1, 1) for row in np.load(path)]
    encoded: list[EncodedDocument] = []
    for start in range(0, len(records), 256):
        texts = [record["text"] for record in records[start : start + 256]]
        encoded += encode_documents(texts, encoder, want, representation=representation)
    if path is not None:
        np.save(path, np.stack([one.embedding for one in encoded if one.embedding is not None]))
    return encoded


def split_records(
    records: Sequence[dict[str, Any]], encoded: Sequence[EncodedDocument], unit: Unit, fold: int | None
) -> Split:
    """The two parts of the corpus; with a fold, its training part by owner, a fifth of them held out."""
    counts = Counter(record["label"] for record in records if record["split"] == "train")
    labels = tuple(sorted(label for label, count in counts.items() if count >= LEAST_ITEMS))
    learn: list[Row] = []
    other: list[Row] = []
    for number, (record, one) in enumerate(zip(records, encoded, strict=True)):
        if record["label"] in labels:
            row = Row(f"{number:05d}", record["meta"]["contract"], record["label"], one)
            (learn if record["split"] == "train" else other).append(row)
    if fold is not None:
        owners = np.array(sorted({row.owner for row in learn}))
        apart = set(default_rng(1000 + fold).permutation(owners)[: len(owners) // 5].tolist())
        learn, other = (
            [row for row in learn if row.owner not in apart],
            [row for row in learn if row.owner in apart],
        )
    if unit == "document":
        learn = [replace(row, owner=row.doc_id) for row in learn]
    return Split(tuple(learn), tuple(other), "classify", labels)


if __name__ == "__main__":
    run(__doc__, measure, options)
