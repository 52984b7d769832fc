"""The main job and its stages, each as a command of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows import actions
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    WORKSPACES,
    ConfigOption,
    Diagnostics,
    Epsilon,
    IdField,
    JsonOption,
    LabelField,
    ModelOption,
    NameOption,
    Objective,
    OwnerField,
    RemovedShare,
    Seed,
    SourcesArgument,
    SplitField,
    TextField,
    Workers,
    WorkspaceOption,
    open_workspace,
    settings_of,
)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (run, ingest, mask, train, extract, evaluate):
        app.command()(command)


def _workspace_of(sources: list[Path]) -> Path:
    """Each source has a workspace of its own unless one is named: other documents, another model."""
    from lexveil.pipeline.workspace.storage import is_remote, url_of

    if is_remote(sources[0]):
        name = url_of(sources[0]).partition("://")[2].rstrip("/")
    else:
        first = sources[0].resolve()
        name = first.name if first.is_dir() else f"{first.parent.name}-{first.name.split('.')[0]}"
    return WORKSPACES / "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def run(
    sources: SourcesArgument,
    text_field: TextField = None,
    id_field: IdField = None,
    label_field: LabelField = None,
    owner_field: OwnerField = None,
    split_field: SplitField = None,
    removed_share: RemovedShare = None,
    model: ModelOption = None,
    epsilon: Epsilon = None,
    objective: Objective = None,
    diagnostics: Diagnostics = None,
    workers: Workers = None,
    seed: Seed = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The main job: ingest, mask, train under differential privacy, extract, check encrypted, report."""
    settings = settings_of(
        config,
        ingest={
            **_ingest_fields(text_field, id_field, label_field, owner_field, split_field),
            "removed_share": removed_share,
        },
        train={
            "model": model,
            "epsilon": epsilon,
            "objective": objective,
            "diagnostics": diagnostics,
            "seed": seed,
        },
        workers=workers,
    )
    from lexveil.pipeline.request import idle, prepare, request_run, submit
    from lexveil.pipeline.sources.scheduled import located_sources

    sources = located_sources(sources)
    where = location or _workspace_of(sources)
    result = idle(where, settings, sources)
    if result is None:
        workspace = prepare(where, settings, sources, need_labels=settings.train.objective != "denoise")
        request = request_run(workspace, sources)
        from lexveil.flows.main import run as run_flow

        submit(workspace, request)
        with console.progress(as_json) as progress:
            result = run_flow(workspace, request.run_id, progress)
    console.show_run(result, as_json)


def _ingest_fields(*names: str | None) -> dict[str, str | None]:
    return dict(
        zip(("text_field", "id_field", "label_field", "owner_field", "split_field"), names, strict=True)
    )


def ingest(
    sources: SourcesArgument,
    text_field: TextField = None,
    id_field: IdField = None,
    label_field: LabelField = None,
    owner_field: OwnerField = None,
    split_field: SplitField = None,
    removed_share: RemovedShare = None,
    workers: Workers = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read documents into the workspace, encrypted at rest."""
    fields = _ingest_fields(text_field, id_field, label_field, owner_field, split_field)
    settings = settings_of(config, ingest={**fields, "removed_share": removed_share}, workers=workers)
    from lexveil.pipeline.request import prepare
    from lexveil.pipeline.sources.scheduled import located_sources
    from lexveil.pipeline.stages.ingest import ingest as stage

    sources = located_sources(sources)
    workspace = prepare(location or _workspace_of(sources), settings, sources, need_labels=False)
    with actions.alone(workspace, "ingest") as done, console.worker_pool(settings, as_json) as each:
        manifest = stage(workspace, sources, each)
        done |= actions.of_manifest(manifest)
    console.show_manifest(manifest, as_json)


def mask(
    decisions: Annotated[
        Path | None,
        typer.Option(
            "--decisions", help="File that a review page exported, or a folder of them: keep, apply."
        ),
    ] = None,
    workers: Workers = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mask the personal information of all ingested documents."""
    settings = settings_of(config, workers=workers)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.masking.decisions import store_decisions
    from lexveil.pipeline.stages.mask import mask as stage

    with actions.alone(workspace, "mask") as done, console.worker_pool(settings, as_json) as each:
        stored = {} if decisions is None else {"reviewed": store_decisions(workspace, decisions)}
        manifest = stage(workspace, each)
        done |= actions.of_manifest(manifest) | stored
    console.show_manifest(manifest, as_json, **stored)


def train(
    model: ModelOption = None,
    epsilon: Epsilon = None,
    objective: Objective = None,
    workers: Workers = None,
    seed: Seed = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a feature extractor under differential privacy; the ledger is charged first."""
    settings = settings_of(
        config,
        train={"model": model, "epsilon": epsilon, "objective": objective, "seed": seed},
        workers=workers,
    )
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.models.card import read_card
    from lexveil.pipeline.stages.train import assist
    from lexveil.pipeline.stages.train import train as stage
    from lexveil.privacy.dp.group import rank

    if rank() > 0:  # started by torchrun: the first process alone writes and speaks
        assist(workspace)
        return
    with actions.alone(workspace, "train") as done, console.worker_pool(settings, as_json) as each:
        trained = stage(workspace, each)
        card = read_card(trained.saved.folder)
        done |= actions.of_model(card) | {"new": trained.new}
    console.show({"new": trained.new, **card}, as_json)


def extract(
    model: NameOption = None,
    workers: Workers = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the features table by a trained model."""
    settings = settings_of(config, workers=workers)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.request import new_run_id
    from lexveil.pipeline.stages.extract import extract as stage
    from lexveil.pipeline.workspace.features import shown_features

    run = new_run_id()
    with (
        actions.alone(workspace, "extract", {"run": run}) as done,
        console.worker_pool(settings, as_json) as each,
    ):
        manifest = stage(workspace, model, each, run)
        done |= actions.of_manifest(manifest)
    console.show_manifest(manifest, as_json, features=shown_features(workspace))


def evaluate(
    test: Annotated[Path, typer.Option("--test", help="File of labelled records.")],
    model: NameOption = None,
    text_field: TextField = None,
    label_field: LabelField = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a model on a file of labelled records, masked as the training text was."""
    settings = settings_of(config, ingest={"text_field": text_field, "label_field": label_field})
    workspace = open_workspace(location, settings)
    from dataclasses import asdict

    from lexveil.pipeline.stages.evaluate import evaluate_file

    with workspace.log.recorded("evaluate"):
        scores = evaluate_file(workspace, model or settings.train.model, test)
    console.show(asdict(scores), as_json)
