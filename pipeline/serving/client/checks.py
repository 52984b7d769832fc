"""Checks of the server's answers: known answers and duplicates, which it cannot distinguish from documents.

The server knows the probes that its manifest publishes. It does not know a client's own: feature rows of
documents that it has answered, and mixtures of them with random directions, which were never sent. The logits
of a head are a polynomial of the features, so along a line they are a polynomial of one number, of the head's
degree n: the answers at n + 1 points (`Line`) give the answer at every other.

The checks find answers that differ, by more than the stated errors, from what the same server answered before
or published: with a probability of about 1-(1-f)^k for k checks if a share f of the answers is wrong. They do
not find a function that was wrong from the first request and agrees with the published probes
(`lexveil.privacy.he.probes`).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lexveil.privacy.he.layout import Floats

# Each kind of check is made once, and once more per so many documents; free blocks of the last ciphertext
# hold further checks.
DOCUMENTS_PER_CHECK = 64
FIRST_LINES = 2
MOST_LINES = 16
_TWIN_SHARE = 0.25
_RENEWED_SHARE = 0.25
_random = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class Probe:
    """Features of one input, and the logits that are expected for it.

    Attributes:
        features: Shape (n_features,).
        logits: Shape (n_classes,).
        tolerance: largest error of the expected logits themselves.
    """

    features: Floats = field(repr=False)
    logits: Floats = field(repr=False)
    tolerance: float


@dataclass(frozen=True, slots=True)
class Line:
    """The row of a document, another row, and the answers at both and at equal distances between them.

    Attributes:
        ends: the rows. Shape (2, n_features).
        logits: Shape (degree + 1, n_classes).
        tolerance: stated error of the answers.
    """

    ends: Floats = field(repr=False)
    logits: Floats = field(repr=False)
    tolerance: float

    def interpolate(self, place: float) -> Probe:
        """Return the input at a place, from 0 to 1 on the line, with the logits that follow for it."""
        weights = _weigh_nodes(len(self.logits), place)
        tolerance = float(np.abs(weights).sum()) * self.tolerance
        return Probe(place_on_line(self.ends, place), weights @ self.logits, tolerance)

    def draw(self) -> Probe:
        """Return the row of the document itself, one time in three, or any other point of the line."""
        return self.interpolate(0.0 if _random.randrange(3) == 0 else _random.random())


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """A line whose answers the client requests.

    Attributes:
        ends: the rows. Shape (2, n_features).
        document: number of the document that is its first end.
        asked: features of its other points. Shape (degree, n_features).
    """

    ends: Floats = field(repr=False)
    document: int = field(repr=False)
    asked: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class MixedRequest:
    """Documents, probes and duplicates in an order that only the client knows.

    Attributes:
        features: what is encrypted. Shape (rows, n_features).
        documents: row of each document.
        probes: row of each probe, and the probe.
        twins: (row, document) of each duplicate.
    """

    features: Floats = field(repr=False)
    documents: list[int] = field(repr=False)
    probes: list[tuple[int, Probe]] = field(repr=False)
    twins: list[tuple[int, int]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class HonestyReport:
    """Numbers of checks made and failed.

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


def place_on_line(ends: Floats, place: float | Floats) -> Floats:
    """Return the point at a place from 0 to 1, or at several. Its norm is not above the longer end's.

    Args:
        ends: the ends of the line. Shape (2, n_features).
        place: one place, or several, of shape (n, 1).

    Returns:
        Shape (n_features,), or (n, n_features).
    """
    return (1.0 - place) * ends[0] + place * ends[1]


def plan_lines(features: Floats, count: int, degree: int) -> list[PlannedLine]:
    """Choose lines, each from a document to a random mixture of another one and of a random direction.

    A random direction has a part in every direction in which the documents themselves hardly differ.

    Args:
        features: features of the documents. Shape (n, n_features).
        count: number of lines.
        degree: degree of the head.
    """
    generator = np.random.default_rng(secrets.randbits(128))
    places = np.arange(1, degree + 1)[:, None] / degree
    planned: list[PlannedLine] = []
    for _ in range(count):
        document, other = (_random.randrange(len(features)) for _ in range(2))
        direction = generator.normal(size=features.shape[1])
        direction *= np.linalg.norm(features[document]) / np.linalg.norm(direction)
        mixture = place_on_line(np.stack([direction, features[other]]), _random.random())
        ends = np.stack([features[document], mixture])
        planned.append(PlannedLine(ends, document, place_on_line(ends, places)))
    return planned


def keep_lines(planned: Sequence[PlannedLine], documents: Floats, asked: Floats, bound: float) -> list[Line]:
    """Return planned lines with their answers.

    Args:
        planned: the lines.
        documents: logits of the documents. Shape (n, n_classes).
        asked: logits of the requested points, one line after the other. Shape (lines * degree, n_classes).
        bound: stated error of the answers.
    """
    kept: list[Line] = []
    start = 0
    for line in planned:
        end = start + len(line.asked)
        logits = np.concatenate([documents[[line.document]], asked[start:end]])
        kept.append(Line(line.ends, logits, bound))
        start = end
    return kept


def count_new_lines(kept: int) -> int:
    """Return how many new lines a request should contain.

    Once enough lines are kept, only one in several requests replaces a line, because the points of a new line
    take up blocks of the request.
    """
    if not kept:
        return FIRST_LINES
    return int(kept < MOST_LINES or _random.random() < _RENEWED_SHARE)


def replace_lines(kept: Sequence[Line], new: Sequence[Line]) -> list[Line]:
    """Return at most `MOST_LINES` lines: the new ones, and a random choice of those that were kept."""
    return [*_random.sample(kept, min(len(kept), MOST_LINES - len(new))), *new]


def list_sources(published: Sequence[Probe], kept: Sequence[Line]) -> list[Callable[[], Probe]]:
    """Return functions that draw probes: one third published, which the server knows, the others not."""
    sources: list[Callable[[], Probe]] = [lambda: _random.choice(published)]
    return [*sources, *(2 * [lambda: _random.choice(kept).draw()] if kept else [])]


def mix_checks(
    features: Floats, sources: Sequence[Callable[[], Probe]], per_ciphertext: int, extra: Floats
) -> MixedRequest:
    """Mix probes and duplicates into documents.

    If there are several ciphertexts, a duplicate is in another one than its document.

    Args:
        features: features of the documents. Shape (n, n_features).
        sources: functions that draw probes; each is used equally often.
        per_ciphertext: documents of a ciphertext.
        extra: features of points without an answer yet. They are the last documents of the result. Shape
            (m, n_features).
    """
    n_documents, n = len(features), len(features) + len(extra)
    each = 1 + n_documents // DOCUMENTS_PER_CHECK
    probes = [draw() for draw in sources for _ in range(each)]
    twin_of = [_random.randrange(n_documents) for _ in range(each)]
    free = -(n + len(probes) + each) % per_ciphertext
    # A block costs the same whether it is used or not. A large layout does not need thousands of probes.
    for _ in range(min(free, per_ciphertext, 2 * each + 8)):
        if sources and _random.random() >= _TWIN_SHARE:
            probes.append(_random.choice(sources)())
        else:
            twin_of.append(_random.randrange(n_documents))
    rows = [features, extra, *(probe.features[None] for probe in probes), features[twin_of]]
    first_twin = n + len(probes)
    total = first_twin + len(twin_of)
    row_of = list(range(total))
    _random.shuffle(row_of)
    _separate_twins(row_of, twin_of, first_twin, per_ciphertext)
    mixed = np.empty((total, features.shape[1]))
    mixed[row_of] = np.concatenate(rows)
    twins = list(zip(row_of[first_twin:], twin_of, strict=True))
    return MixedRequest(mixed, row_of[:n], list(zip(row_of[n:first_twin], probes, strict=True)), twins)


def check_answers(request: MixedRequest, logits: Floats, error_bound: float) -> HonestyReport:
    """Compare the answers to probes and duplicates with what they should be.

    Every check is made, even after one has failed, so that the duration does not depend on the answers.

    Args:
        request: what was encrypted.
        logits: the answers. Shape (rows, n_classes).
        error_bound: largest absolute error of a logit for these features.
    """
    wrong = sum(
        _differ(logits[row], probe.logits, error_bound + probe.tolerance) for row, probe in request.probes
    )
    unequal = sum(
        _differ(logits[row], logits[request.documents[document]], 2 * error_bound)
        for row, document in request.twins
    )
    return HonestyReport(len(request.probes), wrong, len(request.twins), unequal)


def _weigh_nodes(count: int, place: float) -> Floats:
    """Return Lagrange's weights of `count` equidistant points for the value at a place of the line."""
    nodes = [node / (count - 1) for node in range(count)]
    weights = [math.prod((place - b) / (a - b) for b in nodes if b != a) for a in nodes]
    return np.array(weights, np.float64)


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
