"""The model card: what was spent on a model, what that does not cover, and the verdict of its audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from lexveil.nlp.encoders.config import Kind, trains_features
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.workspace.storage import read_json, write_bytes, write_json

CARD = "card.json"
CARD_FOR_PEOPLE = "MODEL_CARD.md"
_AUDIT_HEAD = "\n## Audit\n"
_SCORE_HEAD = "\n## Released score\n"

NOT_COVERED = (
    "The features: the model's weights are differentially private, a feature row is not. It depends on its "
    "own document without noise.",
    "What masking missed: DP bounds what the weights tell of one {unit}, it does not clean the texts.",
    "The number of {unit}s, the list of classes and the other settings, which are taken as public.",
    "More than one {unit}: facts that many {unit}s share are what a model is meant to learn.",
    "Figures measured on private documents (losses, F1, counts), which carry no noise and must stay inside.",
)
# The last line for a model whose settings did not list the classes.
PRIVATE_LABELS = (
    "The labels and the objective: they were taken from private documents, and no noise covers that. Names "
    "of classes were masked."
)
LabelSource = Literal["settings", "documents, names masked", "documents, without any label"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Card of a model: the privacy spent on it and the settings of its training.

    Attributes:
        name: name of the model.
        kind: kind of the model.
        objective: "classify", "multilabel" or "denoise".
        epsilon: epsilon of the training run alone, at `delta`.
        delta: delta of the guarantee.
        unit: what the guarantee protects as one: "owner" or "document".
        relation: the neighboring relation of the guarantee.
        steps: number of training steps.
        sample_rate: probability that a step draws an owner.
        noise_multiplier: standard deviation of the noise, divided by `max_grad_norm`.
        max_grad_norm: L2 norm to which the gradient of an owner is clipped.
        max_batch: largest number of owners in a step; None: no limit.
        max_items_per_owner: number of items taken of an owner that has more, selected without the labels.
        owners: number of owners trained on; of sets of owners where documents have several.
        documents_left_out: number of documents that are not used, so that each owner is in one such set.
        labels: number of labels.
        label_source: what decided on the labels and the objective: the settings, or private documents.
        population: population of the ledger that was charged.
        reservation: id of the ledger's entry for the run.
        recipe: digest of the settings that the model was trained with.
        encoder_digest: digest of the public encoder.
        created: time of creation, ISO 8601, UTC, in the order of the key table.
        seeded: True if the model was trained from a known seed, for a test: the guarantee is void.
        joint: what several offices that trained it together have agreed on; None: one office did.
        offices: number of offices that added up noisy sums, for the audit; None as above.
        colluders: number of them against which the guarantee holds.
    """

    name: str
    kind: Kind
    objective: str
    epsilon: float
    delta: float
    unit: str
    relation: str
    steps: int
    sample_rate: float
    noise_multiplier: float
    max_grad_norm: float
    max_batch: int | None
    max_items_per_owner: int
    owners: int
    documents_left_out: int
    labels: int
    label_source: LabelSource
    population: str
    reservation: str
    recipe: str
    encoder_digest: str
    created: str
    seeded: bool
    joint: str | None = None
    offices: int | None = None
    colluders: int | None = None

    @property
    def statement(self) -> str:
        """The guarantee in one line, for tables and reports."""
        if self.seeded:
            return "NOT PRIVATE: trained from a known seed, for a test."
        return (
            f"Weights trained under ({self.epsilon:.3g}, {self.delta:.0e})-differential privacy, unit: one "
            f"{self.unit}, neighbors: {self.relation}. Features themselves are not differentially private."
        )

    def to_markdown(self) -> str:
        """Return the card as Markdown, for people."""
        rows = "\n".join(f"| {f.name.replace('_', ' ')} | {getattr(self, f.name)} |" for f in fields(self))
        lines = NOT_COVERED if self.label_source == "settings" else (*NOT_COVERED, PRIVATE_LABELS)
        gaps = "\n".join(f"- {line.format(unit=self.unit)}" for line in lines)
        return (
            f"# {self.name}\n\n{self.statement}\n\n| | |\n|---|---|\n{rows}\n\n## Not covered\n{gaps}\n"
            f"{_AUDIT_HEAD}{format_audit({})}\n"
        )


def describe_learning(kind: Kind) -> str:
    """Describe in one sentence what the features of a kind of model owe to its training."""
    if trains_features(kind):
        return (
            "Features come from weights that were trained for this model's labels: they suit these, and "
            "other questions often less than those of a linear model, which come from public weights."
        )
    return "Features come from public weights alone: training changed only the head that reads them."


def read_card(folder: Path) -> dict[str, Any]:
    """Read the card of a model.

    Args:
        folder: folder of the model.

    Raises:
        TrainingRefusedError: the folder has no readable card.
    """
    card = read_json(folder / CARD)
    if card is None:
        raise TrainingRefusedError("the model's folder has no readable card.json")
    return card


def record_audit(folder: Path, audit: Mapping[str, Any]) -> None:
    """Write the verdict of an audit on a model's card; it replaces an earlier verdict.

    Args:
        folder: folder of the model.
        audit: the verdict, which becomes the card's field `audit`.
    """
    _record(folder, "audit", audit)


def record_score(folder: Path, released: Mapping[str, Any]) -> None:
    """Write a released score on a model's card; it replaces an earlier one.

    Args:
        folder: folder of the model.
        released: the score, which becomes the card's field `released`.
    """
    _record(folder, "released", released)


def _record(folder: Path, name: str, value: Mapping[str, Any]) -> None:
    """Write a field of the card, and the last sections of the card for people, which follow from it."""
    card = {**read_card(folder), name: dict(value)}
    write_json(folder / CARD, card)
    path = folder / CARD_FOR_PEOPLE
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {card['name']}\n\n{card['statement']}\n"
    bare = text.partition(_AUDIT_HEAD)[0].partition(_SCORE_HEAD)[0]
    score = f"{_SCORE_HEAD}{_format_score(card['released'])}\n" if "released" in card else ""
    write_bytes(path, f"{bare}{score}{_AUDIT_HEAD}{format_audit(card)}\n".encode())


def _format_score(released: Mapping[str, Any]) -> str:
    return (
        f"{released['score']:.3f}, with noise of standard deviation {released['noise']:.3f}: the share of an "
        f"owner's documents that are classified correctly, mean over {released['owners']} held-out owners. "
        f"It was charged ({released['epsilon']:.3g}, {released['delta']:.0e}) to population "
        f"{released['population']}."
    )


def format_audit(card: Mapping[str, Any]) -> str:
    """Return the audit on a card in one line; a card without an audit gives "Not audited."."""
    audit = card.get("audit")
    if audit is None:
        return "Not audited."
    tests, failed = len(audit["tests"]), audit["failed"]
    verdict = f"FAILED: {', '.join(failed)}" if failed else "Passed"
    held = f"{tests - len(failed)} of {tests} tests held on {audit['date'][:10]}"
    bound = f"{audit['epsilon_lower_bound']:.2g} at {audit['confidence']:.0%} confidence"
    if "profile_lower_bound" in audit:  # not on cards of earlier versions
        alike = f"{audit['profile_lower_bound']:.2g}"
        bound += f", and {alike} if only the noise can differ from the claimed mechanism (f-DP)"
    return (
        f"{verdict}. {held}. Of a claimed epsilon of "
        f"{audit['claimed_epsilon']:g} the one-run audit proves {bound}."
    )
