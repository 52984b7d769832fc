"""Preview of a run: what it would read and spend, before it stores or charges anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lexveil.nlp import int8
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.maintenance.ledger import open_ledger_for_reading
from lexveil.pipeline.models.encoding import count_languages, describe_other_languages
from lexveil.pipeline.request import scan_request
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.sources.survey import describe_owner_fields, looks_like_owner, survey_sources
from lexveil.pipeline.training.classes import (
    NO_LABELS,
    list_public_classes,
    resolve_objective,
    stops_without_labels,
)
from lexveil.pipeline.training.data import FEW_UNITS, describe_few_units
from lexveil.pipeline.training.identity import find_current_model
from lexveil.pipeline.training.recipes import plan_charge
from lexveil.pipeline.training.reservations import find_charged_population, read_limit
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.budget import Account, Population


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do. Counts are exact and carry no noise; documents that occur twice count twice.

    Attributes:
        files: number of source files.
        documents: number of records and of files that are one document.
        fields: number of documents that have a field, by its name.
        owners: number of owners, or of documents if each is its own owner.
        unit: "owner" or "document".
        may_name_owners: fields that may name owners; empty if the owner field is named.
        classes: number of classes, with those of the documents that the workspace has.
        labeled: number of documents with a label.
        objective: what the model would learn; None: the run would stop after masking.
        epsilon: what would be charged; 0 if nothing is trained, a trained model is used, or a schedule has
            paid for the training.
        spent: what the population has spent.
        left: what it may still spend, before this run.
        warnings: what to think about first.
    """

    files: int
    documents: int
    fields: dict[str, int] = field(repr=False)
    owners: int
    unit: str
    may_name_owners: tuple[str, ...] = field(repr=False)
    classes: int
    labeled: int
    objective: str | None
    epsilon: float
    spent: float
    left: float
    warnings: tuple[str, ...] = ()


def preview_run(location: str | Path, settings: Settings, sources: Sequence[Path]) -> Preview:
    """Preview a run. Nothing is stored and nothing is charged.

    Args:
        location: folder or URL of the workspace, which need not exist.
        settings: settings of the run.
        sources: sources of the run.

    Raises:
        UserError: a source, the key or the workspace is wrong.
        BudgetRefusedError: the ledger is broken or does not answer.
    """
    items = scan_request(location, settings, sources).items
    if Workspace.exists(location):
        workspace = Workspace.open(location, settings)
    else:
        workspace = Workspace.preview(location, settings)
    found = survey_sources(items, settings.ingest)
    labels = found.labels.union(workspace.catalogue.read().column("label").to_pylist())
    model = find_current_model(workspace)
    stops = model is None and stops_without_labels(settings.train, labels)
    unit = "document" if found.owners is None else "owner"
    names = [name for name in found.fields if looks_like_owner(name)] if unit == "document" else []
    classes = list_public_classes(settings.train)
    spent, limit, announced = _read_budget(workspace, unit)
    preview = Preview(
        files=len({item.path for item in items}),
        documents=found.documents,
        fields=dict(found.fields),
        owners=found.documents if found.owners is None else found.owners,
        unit=unit,
        may_name_owners=tuple(names),
        classes=len(classes or {name for label in labels for name in parse_classes(label)}),
        labeled=found.labeled,
        objective=None if stops else resolve_objective(settings.train, labels),
        epsilon=0.0 if stops or announced or model is not None else settings.train.epsilon,
        spent=spent,
        left=max(0.0, limit - spent),
    )
    known = {} if model is not None else count_languages(workspace) or found.languages
    other_languages = describe_other_languages(workspace.settings.train, known)
    return replace(preview, warnings=tuple(_list_warnings(preview, other_languages)))


def _read_budget(workspace: Workspace, unit: str) -> tuple[float, float, bool]:
    """Return what the population has spent, its limit, and whether a schedule has paid for the training.

    A ledger that does not exist is not created.
    """
    chosen = workspace.settings.ledger
    shared = chosen.url or workspace.settings.database.url
    if not shared and not (workspace.protected / "ledger.sqlite").exists():
        return 0.0, chosen.limit_epsilon, False
    with open_ledger_for_reading(workspace) as ledger:
        population = find_charged_population(ledger, Population(chosen.population, unit))
        limit = read_limit(workspace, ledger, population)
        account = ledger.account(population)
        announced = bool(account.schedules) and _is_announced(account, workspace.settings.train)
        return account.spent_epsilon(limit.delta), limit.epsilon, announced


def _is_announced(account: Account, train: TrainSettings) -> bool:
    try:
        return account.find_schedule(plan_charge(train)) is not None
    except TrainingRefusedError:
        return False


def _list_warnings(preview: Preview, other_languages: str | None) -> Iterator[str]:
    if preview.may_name_owners:
        yield describe_owner_fields(len(preview.may_name_owners))
    if preview.epsilon and preview.owners < FEW_UNITS:
        yield describe_few_units(preview.owners, preview.unit)
    if preview.objective is None:
        yield NO_LABELS
    if preview.epsilon > preview.left:
        yield "the training would charge more than is left, so the privacy ledger may refuse it"
    for line in (other_languages, int8.explain_absence()):
        if line:
            yield line
