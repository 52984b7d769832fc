"""The saved models of a workspace, and the card that says what each protects."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nlp.encoders.models import FeatureModel, Kind
from nlp.encoders.storage import ModelRefused, save
from pipeline.errors import TrainingRefused
from pipeline.storage import sync_folder
from pipeline.workspace import Workspace, read_json, write_bytes, write_json

CARD = "card.json"
_CARD_FOR_PEOPLE = "MODEL_CARD.md"
_AUDIT_HEAD = "\n## Audit\n"

_REFUSALS = {
    "missing": "a file of its folder is missing",
    "schema_version": "another version of Lexveil wrote it",
    "config": "its config.json is broken",
    "encoder_digest": "it was trained over another public encoder",
    "precision": "it was trained on embeddings of another precision (setting train.precision)",
    "weights": "its weights are broken, or don't fit its configuration",
}
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


def written_moment(moment: float) -> str:
    """A `KeyStore.moment` as a card has it: models are ordered by it, and set before or after a document."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def save_model(workspace: Workspace, model: FeatureModel, card: ModelCard) -> SavedModel:
    """Save a trained model with its card; the folder appears whole or not at all."""
    folder = workspace.models / card.name
    made = folder if workspace.remote else workspace.models / f".{card.name}.partial"
    if not workspace.remote:
        shutil.rmtree(made, ignore_errors=True)
    save(model, made)
    (made / "labels.json").write_text(json.dumps(list(model.config.labels), ensure_ascii=False, indent=1))
    (made / _CARD_FOR_PEOPLE).write_text(card.markdown(), encoding="utf-8")
    # Last: an object store can't rename a folder, and without its card a model isn't one.
    write_json(made / CARD, {**asdict(card), "statement": card.statement})
    if not workspace.remote:
        for path in (*made.iterdir(), made):  # or a power cut could leave the name and not the weights
            sync_folder(path)
        made.replace(folder)
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


def record_audit(folder: Path, audit: Mapping[str, Any]) -> None:
    """Put the verdict of an audit on a model's card, in the place of an earlier one."""
    card = {**read_card(folder), "audit": dict(audit)}
    write_json(folder / CARD, card)
    path = folder / _CARD_FOR_PEOPLE
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


def models(workspace: Workspace) -> list[SavedModel]:
    """The workspace's models, oldest first."""
    folders = [folder for folder in workspace.models.glob("*") if (folder / CARD).is_file()]
    cards = [(read_card(folder), folder) for folder in folders if not folder.name.startswith(".")]
    return [_saved(folder, card) for card, folder in sorted(cards, key=lambda pair: pair[0]["created"])]


def refusal(error: ModelRefused) -> TrainingRefused:
    """Why a model's folder can't be used, for people."""
    reason = _REFUSALS.get(error.code, error.code)
    return TrainingRefused(f"the model can't be used: {reason}; train it again, or put the right folder back")


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
