# ruff: noqa: E501  -- lists read best on one line
"""Train the Chinese detector: a bidirectional LSTM with the words of a public lexicon, and a CRF above it.

Adam (Kingma and Ba 2015) on the likelihood of the labels (Lafferty, McCallum, Pereira 2001), over segments of
renamed gold documents and of frames with invented names.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lexveil.nlp.detector_training.chinese_names import rename_people, write_frames
from lexveil.nlp.evaluation.gold import GoldDocument
from lexveil.nlp.recognizers.person_zh import ROLE_WORDS
from lexveil.nlp.taggers.lattice import (
    LABELS,
    LEVELS,
    LONGEST_WORD,
    SETS,
    Codes,
    Direction,
    Floats,
    LatticeParameters,
    Lexicon,
    find_rows,
    fold_characters,
    hash_words,
    split_segments,
)
from lexveil.nlp.text import NormalizedText
from lexveil.nlp.vocabulary import COMPOUND_SURNAMES_ZH, SURNAMES_ZH

_DIMENSION, _HIDDEN = 48, 64
_EPOCHS, _BATCH, _RATE, _DROPOUT = 5, 64, 4e-3, 0.3
_RARE = 3  # a character of fewer segments shares the embedding of unknown ones
_UNKNOWN = 0.02  # characters that are hidden in training, so that unknown ones are no surprise
_COPIES, _FRAMES = 1, 9000
_OPERATING = {"balanced": 0.15, "strict": 0.08}
# Classes of jieba's parts of speech. Its names of people begin with nr.
_CLASSES = (
    ("n", "ng", "an"), ("v", "vn", "vg", "vd", "vi", "vq"), ("a", "ad", "ag", "z", "b", "d", "df", "dg"),
    ("ns",), ("nt",), ("nz", "j"), ("i", "l"), ("m", "mq", "q", "t", "tg"),
    ("r", "rr", "rg", "rz", "c", "p", "u", "ud", "ug", "uj", "ul", "uv", "uz", "f", "y", "e", "o", "h", "k"), ("s", "x"),
)  # fmt: skip
# Half of jieba's names of two characters are words, and many of its transliterated ones are places and things. Its
# other names are left out.
_ROLE, _SURNAME, _RARE_SURNAME, _SHORT_NAME, _FOREIGN_NAME = range(len(_CLASSES), len(_CLASSES) + 5)
_SHORT, _FOREIGN = 2, "nrt"
_CLASS_OF = {
    _FOREIGN: _FOREIGN_NAME,
    **{part: number for number, parts in enumerate(_CLASSES) for part in parts},
}
_COMMON_SURNAMES = 100


@dataclass(frozen=True, slots=True)
class _Segments:
    """Segments of documents.

    Attributes:
        characters: folded code points of each.
        labels: the label of each character.
        words: (n, SETS * classes) words of the lexicon at each character.
    """

    characters: list[Codes] = field(repr=False)
    labels: list[NDArray[np.int64]] = field(repr=False)
    words: list[NDArray[np.float16]] = field(repr=False)


class LatticeNetwork(nn.Module):
    """The network; see `lexveil.nlp.taggers.lattice`."""

    def __init__(self, characters: int, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, _DIMENSION)
        self.lstm = nn.LSTM(_DIMENSION + words, _HIDDEN, batch_first=True, bidirectional=True)
        self.emission = nn.Linear(2 * _HIDDEN, len(LABELS))
        self.transition = nn.Parameter(torch.zeros(len(LABELS), len(LABELS)))
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, rows: Tensor, words: Tensor) -> Tensor:
        """Return scores of labels. Shape: (B, T), (B, T, W) -> (B, T, L)."""
        inputs = self.dropout(torch.cat((self.embedding(rows), words), dim=2))
        return self.emission(self.dropout(self.lstm(inputs)[0]))

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of a character's label. Shape: (B, T, L), (B, T) -> ()."""
        gold = (
            scores.gather(2, labels[..., None]).sum() + self.transition[labels[:, :-1], labels[:, 1:]].sum()
        )
        # Products of the steps' matrices in pairs: as few operations as the logarithm of the length.
        steps = self.transition + scores[:, 1:, None, :]
        while steps.shape[1] > 1:
            odd = steps[:, steps.shape[1] // 2 * 2 :]
            first, second = steps[:, : steps.shape[1] // 2 * 2 : 2], steps[:, 1::2]
            steps = torch.cat((torch.logsumexp(first[..., None] + second[:, :, None], dim=3), odd), dim=1)
        paths = scores[:, 0, :, None] + steps[:, 0] if steps.shape[1] else scores[:, 0, :, None]
        return (torch.logsumexp(paths.flatten(1), dim=1).sum() - gold) / labels.numel()


def read_lexicon(path: Path) -> Lexicon:
    """Return the words of a dictionary in jieba's format: word, count and part of speech, one a line.

    Words of people's roles and surnames are those of the rules.
    """
    words: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, count, part = line.split(" ")
        number = _find_class(word, part)
        if number is not None and all("\u4e00" <= c <= "\u9fff" for c in word):
            words[word] = number * LEVELS + min(len(count) - 1, LEVELS - 1)
    for rank, surname in enumerate((*SURNAMES_ZH, *COMPOUND_SURNAMES_ZH)):
        common = rank < _COMMON_SURNAMES or len(surname) > 1
        words[surname] = (_SURNAME if common else _RARE_SURNAME) * LEVELS + 1
    words.update(
        dict.fromkeys((word for word in ROLE_WORDS if len(word) <= LONGEST_WORD), _ROLE * LEVELS + 2)
    )
    hashes: dict[int, int] = {}
    for word, code in words.items():
        characters = fold_characters(word)
        hashes[int(hash_words(characters, np.zeros(1, np.int64), len(word))[0])] = code
    order = sorted(hashes)
    return Lexicon(
        np.array(order, np.uint32), np.array([hashes[one] for one in order], np.uint8), len(_CLASSES) + 5
    )


def _find_class(word: str, part: str) -> int | None:
    """Return the class of a word of the dictionary; None if it is left out."""
    if len(word) > LONGEST_WORD:
        return None
    if part.startswith("nr") and len(word) == _SHORT:
        return _SHORT_NAME
    return _CLASS_OF.get(part) if len(word) > 1 or part != _FOREIGN else None


def train_lattice(
    documents: Sequence[GoldDocument],
    lexicon: Lexicon,
    seed: int,
    *,
    epochs: int = _EPOCHS,
    copies: int = _COPIES,
    frames: int = _FRAMES,
) -> LatticeParameters:
    """Train on copies of documents with other names, and on documents of frames: the same for the same seed."""
    examples = [*rename_people(documents, seed, copies), *write_frames(seed + 1, frames)]
    segments = _split(examples, lexicon)
    known = _find_characters(segments.characters)
    torch.manual_seed(seed)
    network = LatticeNetwork(len(known) + 1, SETS * lexicon.classes)
    rng = random.Random(seed)
    rows = [torch.from_numpy(find_rows(one, known)) for one in segments.characters]
    # A batch holds segments of nearly one length; the shorter ones end with line ends.
    line_end = int(find_rows(fold_characters("\n"), known)[0])
    steps = epochs * -(-len(rows) // _BATCH)
    optimizer = torch.optim.Adam(network.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for batch in _shuffle(rows, rng):
            padded = pad_sequence([rows[index] for index in batch], batch_first=True, padding_value=line_end)
            padded = padded.masked_fill(torch.rand(padded.shape) < _UNKNOWN, 0)
            words = pad_sequence(
                [torch.from_numpy(segments.words[index]) for index in batch], batch_first=True
            )
            labels = pad_sequence(
                [torch.from_numpy(segments.labels[index]) for index in batch], batch_first=True
            )
            loss = network.loss(network(padded, words.float()), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return _export(network, known, lexicon)


def _split(documents: Iterable[GoldDocument], lexicon: Lexicon) -> _Segments:
    result = _Segments([], [], [])
    for document in documents:
        text = NormalizedText.of(document.text).text
        if len(text) != len(document.text):
            continue  # offsets would differ
        labels = np.zeros(len(text), np.int64)
        for span in document.annotations[0]:
            labels[span.start : span.end] = 2
            labels[span.start] = 1
        batch = split_segments([text])
        words = lexicon.describe(batch.characters, batch.segment).astype(np.float16)
        cuts = np.flatnonzero(np.diff(batch.segment)) + 1
        result.characters.extend(np.split(batch.characters, cuts))
        result.labels.extend(np.split(labels[batch.position], cuts))
        result.words.extend(np.split(words, cuts))
    return result


def _find_characters(segments: Iterable[Codes]) -> Codes:
    counts = Counter(character for segment in segments for character in np.unique(segment).tolist())
    return np.array(sorted(one for one, count in counts.items() if count >= _RARE), np.uint32)


def _shuffle(rows: Sequence[Tensor], rng: random.Random) -> Iterator[list[int]]:
    """Yield batches of segments of nearly equal length, in random order."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]) + rng.random() * 4)
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    rng.shuffle(batches)
    yield from batches


def _export(network: LatticeNetwork, known: Codes, lexicon: Lexicon) -> LatticeParameters:
    def read(tensor: Tensor) -> Floats:
        return np.ascontiguousarray(tensor.detach().numpy().astype(np.float32))

    def read_direction(suffix: str) -> Direction:
        weights = {name: getattr(network.lstm, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh")}
        bias = getattr(network.lstm, f"bias_ih_l0{suffix}") + getattr(network.lstm, f"bias_hh_l0{suffix}")
        return Direction(read(weights["weight_ih"].T), read(weights["weight_hh"].T), read(bias))

    return LatticeParameters(
        known,
        read(network.embedding.weight),
        lexicon,
        (read_direction(""), read_direction("_reverse")),
        read(network.emission.weight.T),
        read(network.emission.bias),
        read(network.transition),
        _OPERATING,
    )
