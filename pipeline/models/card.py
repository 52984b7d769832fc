"""TODO docstring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lexveil.nlp.encoders.config import Kind
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.workspace.storage import read_json, write_bytes, write_json

CARD = "card.json"

CARD_FOR_PEOPLE = "MODEL_CARD.md"

_AUDIT_HEAD = "\n## Audit\n"

NOT_COVERED = (
    "The features: the model's weights are differentially private, a feature row is not. It depends on its "
    "own document without noise.",
    "What masking missed: DP bounds what the weights tell of one {unit}, it does not clean the texts.",
    "The set of label names, the number of {unit}s and the choice of settings, which are taken as public.",
    "More than one {unit}: facts that many {unit}s share are what a model is meant to learn.",
    "Figures measured on private documents (losses, F1, counts), which carry no noise and must stay inside.",
)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What was spent on a model, and what that does not cover.

    Attributes:
        max_batch: the most owners of a step, None where a draw may have any size.
        max_items_per_owner: of an owner with more, that many were taken, without a look at labels.
        unit: what the guarantee protects as one: "owner" or "document".
        relation: the neighbouring relation.
        recipe: digest of the settings that the model was trained with.
        seeded: trained from a known seed, for a test: the guarantee is void.
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
    labels: int
    population: str
    reservation: str
    recipe: str
    encoder_digest: str
    created: str
    seeded: bool

    @property
    def statement(self) -> str:
        """The guarantee in one line, for tables and reports."""
        if self.seeded:
            return "NOT PRIVATE: trained from a known seed, for a test."
        return (
            f"Weights trained under ({self.epsilon:.3g}, {self.delta:.0e})-differential privacy, unit: one "
            f"{self.unit}, neighbours: {self.relation}. Features themselves are not differentially private."
        )

    def markdown(self) -> str:
        """The card for people."""
        rows = "\n".join(f"| {f.name.replace('_', ' ')} | {getattr(self, f.name)} |" for f in fields(self))
        gaps = "\n".join(f"- {line.format(unit=self.unit)}" for line in NOT_COVERED)
        return (
            f"# {self.name}\n\n{self.statement}\n\n| | |\n|---|---|\n{rows}\n\n## Not covered\n{gaps}\n"
            f"{_AUDIT_HEAD}{audit_line({})}\n"
        )


def read_card(folder: Path) -> dict[str, Any]:
    """A model's card.

    Raises:
        TrainingRefusedError: the folder has none.
    """
    card = read_json(folder / CARD)
    if card is None:
        raise TrainingRefusedError("the model's folder has no readable card.json")
    return card


def record_audit(folder: Path, audit: Mapping[str, Any]) -> None:
    """Put the verdict of an audit on a model's card, in the place of an earlier one."""
    card = {**read_card(folder), "audit": dict(audit)}
    write_json(folder / CARD, card)
    path = folder / CARD_FOR_PEOPLE
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {card['name']}\n\n{card['statement']}\n"
    kept = text.partition(_AUDIT_HEAD)[0]
    write_bytes(path, f"{kept}{_AUDIT_HEAD}{audit_line(card)}\n".encode())


def audit_line(card: Mapping[str, Any]) -> str:
    """What a card says of the audit, in one line; a card without one, such as an old one, says so."""
    found = card.get("audit")
    if found is None:
        return "Not audited."
    tests, failed = len(found["tests"]), found["failed"]
    verdict = f"FAILED: {', '.join(failed)}" if failed else "Passed"
    held = f"{tests - len(failed)} of {tests} tests held on {found['date'][:10]}"
    bound = f"{found['epsilon_lower_bound']:.2g} at {found['confidence']:.0%} confidence"
    return (
        f"{verdict}. {held}. Of a claimed epsilon of "
        f"{found['claimed_epsilon']:g} the one-run audit proves {bound}."
    )
