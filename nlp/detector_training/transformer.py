"""Train a detector: an adapter on a public encoder."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from lexveil.nlp.e5 import DIGEST
from lexveil.nlp.encoders.public import compute_weights_digest
from lexveil.nlp.evaluation.gold import GoldDocument
from lexveil.nlp.taggers.card import ADAPTER, Card, Encoder, public_folder
from lexveil.nlp.taggers.network import Network, load_encoder
from lexveil.nlp.taggers.pieces import MAX_PIECES, Encoded, Integers, WordPieces
from lexveil.nlp.taggers.transformer import load_pieces
from lexveil.nlp.text import NormalizedText

OPERATING: Mapping[str, float] = {"balanced": 0.15, "strict": 0.09}
"""Chosen by cross-validation on TAB: token precision 0.83 and 0.72 with rules and propagation."""

_RANK = 16
_SCALE = 2.0
_RATE = 1e-3
_DROPOUT = 0.1
_WEIGHT_DECAY = 0.01
_BATCH = 8
_WARM_UP = 0.1
# Shorter ends of texts teach little and fill a batch with padding.
_SHORTEST = 8
_IGNORED = -100
_OUTSIDE = "O"
UNKNOWN = "?"
"""Type of a span of which nobody knows whether it need be masked: nothing is learned there."""
UNMASKED = "-"
"""Prefix of the label of a type where it need not be masked, a third label besides the type and "O"."""


@dataclass(frozen=True, slots=True)
class _Example:
    """A document as word pieces.

    Attributes:
        encoded: its N word pieces.
        targets: (N,) label index of each piece, one array per annotator.
    """

    encoded: Encoded
    targets: tuple[Integers, ...]


def train_transformer(
    documents: Sequence[GoldDocument],
    seed: int,
    out: Path,
    *,
    epochs: int = 8,
    operating: Mapping[str, float] = OPERATING,
    about: dict[str, Any] | None = None,
    encoder: Encoder = "all-MiniLM-L6-v2",
    layers: int = 0,
) -> None:
    """Train on the documents and write the adapter and its card into the folder `out`.

    all-MiniLM-L6-v2 knows English only and learns from the English documents.

    Each epoch splits the documents at new positions and uses the next annotator. The same seed on the same
    machine gives the same weights. An epoch takes about 30 CPU-seconds per 450,000 characters.

    Args:
        documents: prepared gold documents.
        seed: seed of everything random.
        out: folder to write; it is created if needed.
        epochs: number of passes over the documents.
        operating: threshold of each operating point, written to the card.
        about: further information for the card.
        encoder: the public encoder.
        layers: how many of its layers, from the first on; 0: all.

    Raises:
        ValueError: there is no document in a language that the encoder knows.
        TaggerError: the encoder is not installed.
    """
    if encoder == "all-MiniLM-L6-v2":
        documents = [document for document in documents if document.language in ("en", "")]
        base = compute_weights_digest(public_folder())
    else:
        base = DIGEST
    if not documents:
        raise ValueError("no English document to train on")
    labels = collect_labels(documents)
    pieces = load_pieces(encoder)
    examples = [_encode_example(document, labels, pieces) for document in documents]
    languages = tuple(sorted({document.language or "en" for document in documents}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(
            load_encoder(encoder, layers, base, dropout=_DROPOUT), len(labels), dropout=_DROPOUT
        )
        network.adapt(_RANK, _SCALE)
        _fit(network, examples, pieces, epochs, random.Random(seed))
    out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.half().contiguous() for name, value in network.collect_trained().items()}, out / ADAPTER
    )
    told = {"seed": seed, **(about or {})}
    Card(labels, dict(operating), languages, base, _SCALE, told, encoder, layers).save(out)


def collect_labels(documents: Sequence[GoldDocument]) -> tuple[str, ...]:
    """Return "O", the types that any annotator masks, and those that any annotator leaves readable."""
    spans = [span for document in documents for annotation in document.annotations for span in annotation]
    masked = {span.type for span in spans if span.identifier != "NO_MASK"} - {UNKNOWN}
    unmasked = {UNMASKED + span.type for span in spans if span.identifier == "NO_MASK"}
    return (_OUTSIDE, *sorted(masked), *sorted(unmasked))


def _encode_example(document: GoldDocument, labels: Sequence[str], pieces: WordPieces) -> _Example:
    text = NormalizedText.of(document.text)
    encoded = pieces.encode(text.text)
    first = [text.to_original(start, start + 1)[0] for start in encoded.words[:, 0].tolist()]
    targets: list[Integers] = []
    for annotation in document.annotations:
        target = np.zeros(len(document.text), np.int64)
        # Where two spans overlap, the one that must be masked wins.
        for span in sorted(annotation, key=lambda span: span.identifier != "NO_MASK"):
            name = span.type if span.identifier != "NO_MASK" else UNMASKED + span.type
            target[span.start : span.end] = _IGNORED if span.type == UNKNOWN else labels.index(name)
        targets.append(target[first][encoded.word])
    return _Example(encoded, tuple(targets))


def _fit(
    network: Network, examples: Sequence[_Example], pieces: WordPieces, epochs: int, rng: random.Random
) -> None:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_WEIGHT_DECAY)
    by_epoch = [_split_stretches(examples, epoch, rng) for epoch in range(epochs)]
    steps = sum(-(-len(stretches) // _BATCH) for stretches in by_epoch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (_WARM_UP * steps), (steps - step) / (1 - _WARM_UP) / steps)
    )
    network.train()
    for stretches in by_epoch:
        for batch in _mix_batches(stretches, rng):
            ids, shapes, targets, mask = _pad_batch(batch, pieces)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = network(ids, shapes, mask)
            loss = cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=_IGNORED)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()


_Stretch = tuple[Integers, Integers, Integers]
"""ids, shapes and targets of consecutive pieces."""


def _split_stretches(examples: Sequence[_Example], epoch: int, rng: random.Random) -> list[_Stretch]:
    """Split each document from a random position on, and shuffle the stretches."""
    size = MAX_PIECES - 2
    stretches: list[_Stretch] = []
    for example in examples:
        ids, shapes = example.encoded.ids, example.encoded.shapes
        target = example.targets[epoch % len(example.targets)]
        for begin in range(-rng.randrange(size), len(ids), size):
            part = slice(max(begin, 0), begin + size)
            if len(ids[part]) >= _SHORTEST:
                stretches.append((ids[part], shapes[part], target[part]))
    rng.shuffle(stretches)
    return stretches


def _mix_batches(stretches: Sequence[_Stretch], rng: random.Random) -> Iterator[Sequence[_Stretch]]:
    """Yield batches of stretches of similar length, in nearly random order."""
    pool = 8 * _BATCH
    for start in range(0, len(stretches), pool):
        by_length = sorted(stretches[start : start + pool], key=lambda stretch: len(stretch[0]))
        batches = [by_length[at : at + _BATCH] for at in range(0, len(by_length), _BATCH)]
        rng.shuffle(batches)
        yield from batches


def _pad_batch(batch: Sequence[_Stretch], pieces: WordPieces) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return ids, shapes, targets and mask, each (len(batch), longest + 2)."""
    size = (len(batch), max(len(ids) for ids, _, _ in batch) + 2)
    ids = torch.full(size, pieces.pad)
    shapes, mask = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    targets = torch.full(size, _IGNORED)
    for row, stretch in enumerate(batch):
        end = len(stretch[0]) + 1
        ids[row, 0], ids[row, end] = pieces.cls, pieces.sep
        mask[row, : end + 1] = 1
        for tensor, values in zip((ids, shapes, targets), stretch, strict=True):
            tensor[row, 1:end] = torch.from_numpy(values)
    return ids, shapes, targets, mask
