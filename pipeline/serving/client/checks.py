"""Is the server honest? Known answers and duplicates among the documents, in blocks it cannot tell apart.

What is found: a head that is not the one the manifest was signed for, a head that changed although the
manifest says it did not, answers that differ from ciphertext to ciphertext. A lie in a share f of the
ciphertexts is missed with a probability of about (1-f)^k, for k checks. What is not:
`lexveil.privacy.he.probes`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import numpy as np

from lexveil.privacy.he.layout import Floats

# One check of each kind for so many documents, and one more; free blocks of the last ciphertext add to them.
DOCUMENTS_PER_CHECK = 64
_random = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """Features with the logits that are expected for them.

    features: shape (n, n_features). logits: shape (n, n_classes). tolerance: how far the expected logits may
    themselves be off.
    """

    features: Floats = field(repr=False)
    logits: Floats = field(repr=False)
    tolerance: float


@dataclass(frozen=True, slots=True)
class Mixed:
    """Documents, probes and duplicates in one order that only the client knows.

    features: what is encrypted, shape (rows, n_features). documents: row of each document. probes: (row,
    set of known answers, place in it) of each probe. twins: (row, document) of each duplicate.
    """

    features: Floats = field(repr=False)
    documents: list[int] = field(repr=False)
    probes: list[tuple[int, int, int]] = field(repr=False)
    twins: list[tuple[int, int]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """How many checks were made, and how many failed."""

    probes: int
    wrong_probes: int
    twins: int
    unequal_twins: int

    @property
    def honest(self) -> bool:
        return not self.wrong_probes and not self.unequal_twins


def mix(
    features: Floats, known: list[KnownAnswers], per_ciphertext: int, extra: Floats | None = None
) -> Mixed:
    """Mixes probes of each set, duplicates, and `extra` rows (probes without an answer yet) into documents.

    features: shape (n, n_features). A duplicate stands in another ciphertext than its document where there
    are two. The extra rows come back as the last documents.
    """
    n_documents = len(features)
    rows = [features] if extra is None else [features, extra]
    n = sum(len(part) for part in rows)
    each = 1 + n_documents // DOCUMENTS_PER_CHECK
    chosen = [(which, _random.randrange(len(a.logits))) for which, a in enumerate(known) for _ in range(each)]
    twin_of = [_random.randrange(n_documents) for _ in range(each)]
    free = -(n + len(chosen) + each) % per_ciphertext
    # Blocks cost the same whether they are full or not. Slots of a large layout need no thousands of probes.
    for _ in range(min(free, per_ciphertext, 2 * each + 8)):
        if known and _random.random() < 0.75:
            which = _random.randrange(len(known))
            chosen.append((which, _random.randrange(len(known[which].logits))))
        else:
            twin_of.append(_random.randrange(n_documents))
    rows += [known[which].features[[place]] for which, place in chosen]
    rows += [features[[document]] for document in twin_of]
    total = n + len(chosen) + len(twin_of)
    place_of = list(range(total))
    _random.shuffle(place_of)
    _part_twins(place_of, twin_of, n + len(chosen), per_ciphertext)
    mixed = np.empty((total, features.shape[1]))
    mixed[place_of] = np.concatenate(rows)
    probes = [(place_of[n + i], which, place) for i, (which, place) in enumerate(chosen)]
    twins = [(place_of[n + len(chosen) + i], document) for i, document in enumerate(twin_of)]
    return Mixed(mixed, place_of[:n], probes, twins)


def check(mixed: Mixed, logits: Floats, known: list[KnownAnswers], error_bound: float) -> Found:
    """Compares answers with what they should be. error_bound: of a logit, for these features."""
    wrong = sum(
        _apart(logits[row], known[which].logits[place], error_bound + known[which].tolerance)
        for row, which, place in mixed.probes
    )
    unequal = sum(
        _apart(logits[row], logits[mixed.documents[document]], 2 * error_bound)
        for row, document in mixed.twins
    )
    return Found(len(mixed.probes), wrong, len(mixed.twins), unequal)


def _apart(found: Floats, expected: Floats, tolerance: float) -> bool:
    return not bool(np.abs(found - expected).max() <= tolerance)  # also true for what is not a number


def _part_twins(place_of: list[int], twin_of: list[int], first: int, per_ciphertext: int) -> None:
    """Swaps places until a duplicate and its document lie in different ciphertexts."""
    if len(place_of) <= per_ciphertext:
        return
    for offset, document in enumerate(twin_of):
        twin = first + offset
        for _ in range(64):
            if place_of[twin] // per_ciphertext != place_of[document] // per_ciphertext:
                break
            other = _random.randrange(len(place_of))
            place_of[twin], place_of[other] = place_of[other], place_of[twin]
