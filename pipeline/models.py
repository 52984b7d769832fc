"""The saved models of a workspace, and the card that says what each protects."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nlp.encoders.models import FeatureModel, Kind
from nlp.encoders.storage import save
from pipeline.errors import TrainingRefused
from pipeline.tables import sync_folder
from pipeline.workspace import Workspace, read_json, write_json

CARD = "card.json"

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
        return f"# {self.name}\n\n{self.statement}\n\n| | |\n|---|---|\n{rows}\n\n## Not covered\n{gaps}\n"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model of the workspace. `digest` names its weights."""

    name: str
    kind: Kind
    folder: Path
    digest: str
    statement: str
    recipe: str


def now() -> str:
    """This moment, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def save_model(workspace: Workspace, model: FeatureModel, card: ModelCard) -> SavedModel:
    """Save a trained model with its card; the folder appears whole or not at all."""
    folder = workspace.models / card.name
    partial = workspace.models / f".{card.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    save(model, partial)
    write_json(partial / CARD, {**asdict(card), "statement": card.statement})
    (partial / "labels.json").write_text(json.dumps(list(model.config.labels), ensure_ascii=False, indent=1))
    (partial / "MODEL_CARD.md").write_text(card.markdown(), encoding="utf-8")
    partial.replace(folder)
    sync_folder(workspace.models)
    return _saved(folder, read_card(folder))


def read_card(folder: Path) -> dict[str, Any]:
    """A model's card.

    Raises:
        TrainingRefused: the folder has none.
    """
    card = read_json(folder / CARD)
    if card is None:
        raise TrainingRefused("the model's folder has no readable card.json")
    return card


def models(workspace: Workspace) -> list[SavedModel]:
    """The workspace's models, oldest first."""
    folders = [folder for folder in workspace.models.glob("*") if (folder / CARD).is_file()]
    cards = [(read_card(folder), folder) for folder in folders if not folder.name.startswith(".")]
    return [_saved(folder, card) for card, folder in sorted(cards, key=lambda pair: pair[0]["created"])]


def find_model(workspace: Workspace, name: str) -> SavedModel:
    """The model of that name, else the newest of that kind.

    Raises:
        TrainingRefused: there is none.
    """
    known = models(workspace)
    found = [model for model in known if name in (model.name, model.kind)]
    if not found:
        raise TrainingRefused(f"this workspace has no model {name!r}; train one with `lexveil train`")
    return found[-1]


def find_recipe(workspace: Workspace, recipe: str) -> SavedModel | None:
    """The newest model that was trained with this recipe, on whatever documents."""
    found = [model for model in models(workspace) if model.recipe == recipe]
    return found[-1] if found else None


def _saved(folder: Path, card: dict[str, Any]) -> SavedModel:
    digest = card["reservation"]
    return SavedModel(card["name"], card["kind"], folder, digest, card["statement"], card["recipe"])
