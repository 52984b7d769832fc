"""`lexveil search`: hyper-parameters, on public documents or charged for."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows import actions
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    ConfigOption,
    Epsilon,
    JsonOption,
    LabelField,
    ModelOption,
    OwnerField,
    SplitField,
    TextField,
    Workers,
    WorkspaceOption,
    open_workspace,
    settings_of,
)


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command("search")(search)


def search(
    public: Annotated[
        list[Path] | None,
        typer.Option(metavar="SOURCE", help="Public documents to search on, uncharged. May be repeated."),
    ] = None,
    trial_epsilon: Annotated[
        float | None,
        typer.Option(help="Search on the workspace's documents: each trial, and the scores, cost this."),
    ] = None,
    trials: Annotated[int, typer.Option(min=2, max=45, help="How many settings to try.")] = 9,
    model: ModelOption = None,
    epsilon: Epsilon = None,
    text_field: TextField = None,
    label_field: LabelField = None,
    owner_field: OwnerField = None,
    split_field: SplitField = None,
    workers: Workers = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try learning rates, clipping norms and numbers of steps; print settings for lexveil.toml."""
    from lexveil.pipeline.errors import SettingsError

    if (public is None) == (trial_epsilon is None):
        raise SettingsError(
            "name --public SOURCE, whose search costs nothing, or --trial-epsilon, to search on the "
            "workspace's own documents at a charge"
        )
    if public is not None and location is not None:
        raise SettingsError("a search on --public documents leaves every workspace alone: drop -w")
    if trial_epsilon is not None and not 0 < trial_epsilon <= 1000:
        raise SettingsError("--trial-epsilon must lie above 0 and be at most 1000")
    fields = {"text_field": text_field, "label_field": label_field, "owner_field": owner_field}
    settings = settings_of(
        config,
        ingest=fields | {"split_field": split_field},
        train={"model": model, "epsilon": epsilon},
        workers=workers,
    )
    from lexveil.pipeline.request import prepare
    from lexveil.pipeline.stages import search as searches
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask

    with ExitStack() as stack:
        if public is None:
            workspace = open_workspace(location, settings)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-search-")))
            workspace = prepare(folder, settings, public, need_labels=True)
        facts = {"public": public is not None, "trials": trials}
        done = stack.enter_context(actions.alone(workspace, "search", facts))
        bar = stack.enter_context(console.progress(as_json))
        each = stack.enter_context(console.worker_pool(settings, True))

        def on_trial(count: int, total: int) -> None:
            if bar is not None:
                bar("trial", count, total)

        if public is not None:
            ingest(workspace, public, each)
            mask(workspace, each)
            found = searches.search_public(workspace, trials, each, on_trial)
        else:
            assert trial_epsilon is not None
            found = searches.search_private(workspace, trials, trial_epsilon, each, on_trial)
            done |= {"spent": found.spent}
    result = {
        "trials": searches.as_rows(found),
        "noise": found.noise,
        "spent": found.spent,
        "statement": found.statement,
    }
    if as_json:
        console.show(result | {"settings": found.settings}, as_json)
        return
    console.show(result, as_json)
    typer.echo(f"\n{found.settings}")
