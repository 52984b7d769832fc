"""Checks of the server's answers: known answers and duplicates, which it cannot distinguish from documents.

They detect a head that is not the one of the signed manifest, a head that changed although the manifest says
that it did not, and answers that differ from ciphertext to ciphertext. Wrong answers in a share f of the
ciphertexts are missed with a probability of about (1-f)^k, for k checks. `lexveil.privacy.he.probes` says
what they do not detect.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import numpy as np

from lexveil.privacy.he.layout import Floats

# Each kind of check is made once, and once more per so many documents; free blocks of the last ciphertext
# hold further checks.
DOCUMENTS_PER_CHECK = 64
_random = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """Features, and the logits that are expected for them.

    Attributes:
        features: Shape (n, n_features).
        logits: Shape (n, n_classes).
        tolerance: largest error of the expected logits themselves.
    """

    features: Floats = field(repr=False)
    logits: Floats = field(repr=False)
    tolerance: float


@dataclass(frozen=True, slots=True)
class MixedRequest:
    """Documents, probes and duplicates in an order that only the client knows.

    Attributes:
        features: what is encrypted. Shape (rows, n_features).
        documents: row of each document.
        probes: (row, index of the known answers, index in them) of each probe.
        twins: (row, document) of each duplicate.
    """

    features: Floats = field(repr=False)
    documents: list[int] = field(repr=False)
    probes: list[tuple[int, int, int]] = field(repr=False)
    twins: list[tuple[int, int]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class HonestyReport:
    """Numbers of checks that were made, and that failed.

    Attributes:
        probes: probes with known answers.
        wrong_probes: those whose answer was wrong.
        twins: duplicates of documents.
        unequal_twins: those whose answer differed from the document's.
    """

    probes: int
    wrong_probes: int
    twins: int
    unequal_twins: int

    @property
    def honest(self) -> bool:
        """True if no check failed."""
        return not self.wrong_probes and not self.unequal_twins


def mix_checks(
    features: Floats, known: list[KnownAnswers], per_ciphertext: int, extra: Floats | None = None
) -> MixedRequest:
    """Mix probes and duplicates into documents.

    A duplicate is put into another ciphertext than its document if there are two ciphertexts.

    Args:
        features: features of the documents. Shape (n, n_features).
        known: sets of known answers. The probes come from each of them.
        per_ciphertext: documents of a ciphertext.
        extra: features of probes without an answer yet. They are the last documents of the result.
    """
    n_documents = len(features)
    rows = [features] if extra is None else [features, extra]
    n = sum(len(part) for part in rows)
    each = 1 + n_documents // DOCUMENTS_PER_CHECK
    chosen = [(which, _random.randrange(len(a.logits))) for which, a in enumerate(known) for _ in range(each)]
    twin_of = [_random.randrange(n_documents) for _ in range(each)]
    free = -(n + len(chosen) + each) % per_ciphertext
    # A block costs the same whether it is used or not. A large layout does not need thousands of probes.
    for _ in range(min(free, per_ciphertext, 2 * each + 8)):
        if known and _random.random() < 0.75:
            which = _random.randrange(len(known))
            chosen.append((which, _random.randrange(len(known[which].logits))))
        else:
            twin_of.append(_random.randrange(n_documents))
    rows += [known[which].features[[index]] for which, index in chosen]
    rows += [features[[document]] for document in twin_of]
    total = n + len(chosen) + len(twin_of)
    row_of = list(range(total))
    _random.shuffle(row_of)
    _separate_twins(row_of, twin_of, n + len(chosen), per_ciphertext)
    mixed = np.empty((total, features.shape[1]))
    mixed[row_of] = np.concatenate(rows)
    probes = [(row_of[n + i], which, index) for i, (which, index) in enumerate(chosen)]
    twins = [(row_of[n + len(chosen) + i], document) for i, document in enumerate(twin_of)]
    return MixedRequest(mixed, row_of[:n], probes, twins)


def check_answers(
    request: MixedRequest, logits: Floats, known: list[KnownAnswers], error_bound: float
) -> HonestyReport:
    """Compare the answers to probes and duplicates with what they should be.

    Args:
        request: what was encrypted.
        logits: the answers. Shape (rows, n_classes).
        known: the known answers that were mixed in.
        error_bound: largest absolute error of a logit for these features.
    """
    wrong = sum(
        _differ(logits[row], known[which].logits[index], error_bound + known[which].tolerance)
        for row, which, index in request.probes
    )
    unequal = sum(
        _differ(logits[row], logits[request.documents[document]], 2 * error_bound)
        for row, document in request.twins
    )
    return HonestyReport(len(request.probes), wrong, len(request.twins), unequal)


def _differ(logits: Floats, expected: Floats, tolerance: float) -> bool:
    return not bool(np.abs(logits - expected).max() <= tolerance)  # True for NaN too


def _separate_twins(row_of: list[int], twin_of: list[int], first: int, per_ciphertext: int) -> None:
    """Swap rows until duplicates and their documents are in different ciphertexts.

    Args:
        row_of: row of each document, probe and duplicate. It is changed.
        twin_of: document of each duplicate.
        first: index of the first duplicate in `row_of`.
        per_ciphertext: rows of a ciphertext.
    """
    if len(row_of) <= per_ciphertext:
        return
    for offset, document in enumerate(twin_of):
        twin = first + offset
        for _ in range(64):
            if row_of[twin] // per_ciphertext != row_of[document] // per_ciphertext:
                break
            other = _random.randrange(len(row_of))
            row_of[twin], row_of[other] = row_of[other], row_of[twin]
