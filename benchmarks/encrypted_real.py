"""Encrypted against plain on embeddings of real legal text, by heads trained under DP; no text is shown.

Heads are trained on the training part of contract_provisions (epsilon 8, unit owner, the recipes of
`lexveil.pipeline.stages.train`); the network with a square also, for the loss that the polynomial costs, with
ReLU in its place. F1 is of the development part. Agreement is over the whole of
contract_provisions and sentences of unfair_tos_multilingual.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from benchmarks.contract import Figure
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, Activation, Kind
from lexveil.nlp.encoders.documents import EncodedDocument, encode_documents
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.models.heads import build_head
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Row, Split, group_by_owner
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.recipes import plan_training
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.served_model import Head, ServedModel, build_evaluator

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
PROVISIONS = "contract_provisions_ledgar_labels"
SENTENCES = "unfair_tos_multilingual"
LEAST_ITEMS = 10
SEED = 1


def real_figures(documents: int, cache: Path | None) -> dict[str, Figure]:
    """Figures by name; none where the corpora are absent."""
    if not (CORPORA / PROVISIONS / "data.jsonl.zst").is_file():
        print("no ../shared/corpora: figures on real text are left out")
        return {}
    encoder = PublicEncoder.load(None)
    records = list(records_of(PROVISIONS))
    features = _embedded(encoder, PROVISIONS, records, cache)
    others = list(records_of(SENTENCES))
    others = others[:: max(1, len(others) // max(1, documents - len(records)))]
    corpus = np.concatenate([features, _embedded(encoder, SENTENCES, others, cache)])[:documents]
    split = _split(records, features)
    truth = [split.labels.index(row.label or "") for row in split.held_out]
    held_out = np.stack(
        [row.encoded.embedding for row in split.held_out if row.encoded.embedding is not None]
    )

    found: dict[str, Figure] = {}
    plain_f1: dict[str, float] = {}
    for kind in ("linear", "square", "cubic"):
        head = build_head(_trained(kind, split))
        plain_f1[kind] = _f1(truth, head.logits(held_out.astype(np.float64)))
        name = f"real_{kind}"
        same, far, encrypted = _compared(head, corpus, held_out)
        found[f"{name}_agreement"] = Figure(same, 0.999, "share", "higher")
        found[f"{name}_far_disagreements"] = Figure(far, 0, "documents", "lower")
        found[f"{name}_f1_plain"] = Figure(plain_f1[kind], None, "micro-F1", "higher")
        found[f"{name}_f1_lost_by_encryption"] = Figure(
            plain_f1[kind] - _f1(truth, encrypted), 0, "micro-F1", "lower"
        )
    relu = _logits(_trained("square", split, "relu"), held_out)
    found["real_relu_f1"] = Figure(_f1(truth, relu), None, "micro-F1", "higher")
    for kind in ("square", "cubic"):
        lost = found["real_relu_f1"].value - plain_f1[kind]
        found[f"real_{kind}_f1_lost_to_relu"] = Figure(lost, None, "micro-F1", "lower")
    return found


def records_of(corpus: str) -> Iterator[dict[str, Any]]:
    with (CORPORA / corpus / "data.jsonl.zst").open("rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file)
        for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
            yield json.loads(line)


def _embedded(
    encoder: PublicEncoder, name: str, records: list[dict[str, Any]], cache: Path | None
) -> np.ndarray:
    """The public encoder's features of the first chunk of each text. Shape: (records, dimension)."""
    path = None if cache is None else cache / f"{name}-{len(records)}-legal-1.npy"
    if path is not None and path.is_file():
        return np.load(path)
    parts: list[np.ndarray] = []
    for start in range(0, len(records), 256):
        texts = [record["text"] for record in records[start : start + 256]]
        encoded = encode_documents(texts, encoder, limit=1, representation=DEFAULT_REPRESENTATION)
        parts.append(np.stack([one.embedding for one in encoded if one.embedding is not None]))
    features = np.concatenate(parts)
    if path is not None:
        np.save(path, features)
    return features


def _split(records: list[dict[str, Any]], features: np.ndarray) -> Split:
    counts = Counter(record["label"] for record in records if record["split"] == "train")
    labels = tuple(sorted(label for label, count in counts.items() if count >= LEAST_ITEMS))
    parts: dict[bool, list[Row]] = {True: [], False: []}
    for number, (record, embedding) in enumerate(zip(records, features, strict=True)):
        if record["label"] in labels:
            encoded = EncodedDocument(embedding, [], None, 1, 1)
            row = Row(str(number), record["meta"]["contract"], record["label"], encoded)
            parts[record["split"] == "train"].append(row)
    return Split(tuple(parts[True]), tuple(parts[False]), "classify", labels)


def _trained(kind: Kind, split: Split, activation: Activation | None = None) -> FeatureModel:
    settings = TrainSettings(model=kind, representation=DEFAULT_REPRESENTATION)
    plan = plan_training(settings, split)
    random = SecureRandom(SEED.to_bytes(32, "big"))
    data = group_by_owner(split, settings)
    model, _ = fit(build_model_config(settings, split), data, settings, plan, random, activation=activation)
    return model


def _logits(model: FeatureModel, features: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return model.head(torch.from_numpy(features)).numpy()


def _compared(head: Head, corpus: np.ndarray, held_out: np.ndarray) -> tuple[float, int, np.ndarray]:
    """Share of equal labels; how many others are no ties within the stated error; logits of the held-out."""
    served = build_evaluator(ServedModel(head), "block")
    keys = ClientKeys.generate(served.parameters)
    loaded = served.load_keys(keys.evaluation_keys())

    def encrypted(features: np.ndarray) -> np.ndarray:
        requests = keys.encrypt(features.astype(np.float64))
        return keys.decrypt([served.evaluate(request, loaded) for request in requests], len(features))

    logits, plain = encrypted(corpus), head.logits(corpus)
    chosen, best, rows = logits.argmax(axis=1), plain.argmax(axis=1), np.arange(len(plain))
    far = int((plain[rows, best] - plain[rows, chosen] > 2 * served.error_bound(1.0)).sum())
    return float((chosen == best).mean()), far, encrypted(held_out)


def _f1(truth: list[int], logits: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth, logits.argmax(axis=1), average="micro"))
