"""`lexveil run`, the main job, and a command for each of its stages."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows.actions import (
    exclusive_action,
    summarize_manifest,
    summarize_model,
)
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    DEFAULT_WORKSPACES,
    Diagnostics,
    Epsilon,
    IngestFields,
    KindOption,
    LabelField,
    ModelOption,
    Objective,
    Seed,
    SourcesArgument,
    TextField,
    Workers,
    WorkspaceOptions,
)


def run(
    sources: SourcesArgument,
    *,
    fields: IngestFields,
    model: KindOption = None,
    epsilon: Epsilon = None,
    objective: Objective = None,
    diagnostics: Diagnostics = None,
    workers: Workers = None,
    seed: Seed = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only show what would be read and charged."),
    ] = False,
    options: WorkspaceOptions,
) -> None:
    """Run the main job: ingest, mask, train under DP, extract, run the encrypted check, report."""
    training = {
        "model": model,
        "epsilon": epsilon,
        "objective": objective,
        "diagnostics": diagnostics,
        "seed": seed,
    }
    settings = options.settings(ingest=asdict(fields), train=training, workers=workers)
    from lexveil.flows.prefect_home import keep_prefect_in
    from lexveil.pipeline.request import (
        make_request,
        needs_labels,
        prepare_workspace,
        reuse_last_result,
        scan_request,
        submit_request,
    )
    from lexveil.pipeline.sources.scheduled import locate_sources

    sources = locate_sources(sources)
    location = options.location or _default_workspace(sources)
    if plan:
        from lexveil.pipeline.reports.preview import preview_run

        console.show_plan(asdict(preview_run(location, settings, sources)), options.as_json)
        return
    scan = scan_request(location, settings, sources)
    result = reuse_last_result(location, settings, sources, scan)
    if result is None:
        workspace = prepare_workspace(location, settings, sources, needs_labels(settings), scan)
        request = make_request(workspace, sources)
        keep_prefect_in(workspace)
        from lexveil.flows.main import run as run_flow

        submit_request(workspace, request)
        with console.progress(options.as_json) as progress:
            result = run_flow(workspace, request.run_id, progress)
    console.show_run(result, options.as_json)


def ingest(
    sources: SourcesArgument,
    *,
    fields: IngestFields,
    workers: Workers = None,
    options: WorkspaceOptions,
) -> None:
    """Read documents into the workspace, encrypted at rest."""
    settings = options.settings(ingest=asdict(fields), workers=workers)
    from lexveil.pipeline.request import prepare_workspace
    from lexveil.pipeline.sources.scheduled import locate_sources
    from lexveil.pipeline.stages.ingest import ingest as run_stage

    sources = locate_sources(sources)
    location = options.location or _default_workspace(sources)
    workspace = prepare_workspace(location, settings, sources, need_labels=False)
    with (
        exclusive_action(workspace, "ingest") as outcome,
        console.worker_pool(settings, options.as_json) as each,
    ):
        manifest = run_stage(workspace, sources, each)
        outcome |= summarize_manifest(manifest)
    console.show_manifest(manifest, options.as_json)


def mask(
    decisions: Annotated[
        Path | None,
        typer.Option(
            "--decisions",
            help="File that a review page exported, or a folder of such files, to store and apply.",
        ),
    ] = None,
    workers: Workers = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Mask the personal information of all ingested documents."""
    workspace = options.open(workers=workers)
    from lexveil.pipeline.masking.decisions import store_decisions
    from lexveil.pipeline.stages.mask import mask as run_stage

    with (
        exclusive_action(workspace, "mask") as outcome,
        console.worker_pool(workspace.settings, options.as_json) as each,
    ):
        stored = {} if decisions is None else {"reviewed": store_decisions(workspace, decisions)}
        manifest = run_stage(workspace, each)
        outcome |= summarize_manifest(manifest) | stored
    console.show_manifest(manifest, options.as_json, **stored)


def train(
    model: KindOption = None,
    epsilon: Epsilon = None,
    objective: Objective = None,
    workers: Workers = None,
    seed: Seed = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Train a feature extractor under differential privacy; the ledger is charged first."""
    training = {"model": model, "epsilon": epsilon, "objective": objective, "seed": seed}
    workspace = options.open(train=training, workers=workers)
    from lexveil.pipeline.models.card import read_card
    from lexveil.pipeline.stages import train as training_stage
    from lexveil.privacy.dp.group import rank

    if rank() > 0:  # started by torchrun: only the first process writes and prints
        training_stage.run_helper_rank(workspace)
        return
    with (
        exclusive_action(workspace, "train") as outcome,
        console.worker_pool(workspace.settings, options.as_json) as each,
    ):
        trained = training_stage.train(workspace, each)
        card = read_card(trained.saved.folder)
        outcome |= summarize_model(card) | {"new": trained.new}
    console.show({"new": trained.new, **card}, options.as_json)


def extract(model: ModelOption = None, workers: Workers = None, *, options: WorkspaceOptions) -> None:
    """Write the features table with a trained model."""
    workspace = options.open(workers=workers)
    from lexveil.pipeline.request import new_run_id
    from lexveil.pipeline.stages.extract import extract as run_stage
    from lexveil.pipeline.workspace.features import format_features_path

    run_id = new_run_id()
    with (
        exclusive_action(workspace, "extract", {"run": run_id}) as outcome,
        console.worker_pool(workspace.settings, options.as_json) as each,
    ):
        manifest = run_stage(workspace, model, each, run_id)
        outcome |= summarize_manifest(manifest)
    console.show_manifest(manifest, options.as_json, features=format_features_path(workspace))


def evaluate(
    test: Annotated[Path | None, typer.Option("--test", help="File of labeled records.")] = None,
    release: Annotated[
        float | None,
        typer.Option(
            metavar="EPSILON",
            help="Write a noisy score, which may be published, on the model's card; it costs EPSILON.",
        ),
    ] = None,
    model: ModelOption = None,
    text_field: TextField = None,
    label_field: LabelField = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Score a model on a file of labeled records, masked like the training text, or on what was held out."""
    if (test is None) == (release is None):
        raise typer.BadParameter("give --test FILE, or --release EPSILON")
    fields = {"text_field": text_field, "label_field": label_field}
    workspace = options.open(ingest=fields, train={"epsilon": release})
    name = model or workspace.settings.train.model
    if release is not None:
        from lexveil.pipeline.stages.release import release_score

        with exclusive_action(workspace, "release-score") as outcome:
            released = release_score(workspace, name, release)
            outcome |= {"name": name, "epsilon": released["epsilon"], "reservation": released["reservation"]}
        console.show(released, options.as_json)
        return
    assert test is not None
    from lexveil.pipeline.stages.evaluate import evaluate_file

    with workspace.log.record("evaluate"):
        scores = evaluate_file(workspace, name, test)
    console.show(asdict(scores), options.as_json)


def _default_workspace(sources: list[Path]) -> Path:
    """Return the workspace of unnamed runs: one per source, since other documents mean another model."""
    from lexveil.pipeline.workspace.storage import is_remote, to_url

    if is_remote(sources[0]):
        name = to_url(sources[0]).partition("://")[2].rstrip("/")
    else:
        first = sources[0].resolve()
        name = first.name if first.is_dir() else f"{first.parent.name}-{first.name.split('.')[0]}"
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    return DEFAULT_WORKSPACES / safe
