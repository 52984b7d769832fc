"""`lexveil search`: hyper-parameter search, on public documents or charged to the privacy ledger."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows.actions import exclusive_action
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    Epsilon,
    KindOption,
    LabelField,
    OwnerField,
    SplitField,
    TextField,
    Workers,
    WorkspaceOptions,
    open_workspace,
)


def search(
    public: Annotated[
        list[Path] | None,
        typer.Option(metavar="SOURCE", help="Public documents to search on, uncharged. May be repeated."),
    ] = None,
    trial_epsilon: Annotated[
        float | None,
        typer.Option(
            help="Search on the workspace's documents: each trial, and the scores, cost this epsilon."
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=2, max=45, help="Number of candidate settings to try.")] = 9,
    model: KindOption = None,
    epsilon: Epsilon = None,
    text_field: TextField = None,
    label_field: LabelField = None,
    owner_field: OwnerField = None,
    split_field: SplitField = None,
    workers: Workers = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Try learning rates, clipping norms and numbers of steps; print settings for lexveil.toml."""
    _refuse_contradictions(public, trial_epsilon, options.location)
    fields = {
        "text_field": text_field,
        "label_field": label_field,
        "owner_field": owner_field,
        "split_field": split_field,
    }
    settings = options.settings(ingest=fields, train={"model": model, "epsilon": epsilon}, workers=workers)
    from lexveil.pipeline.request import prepare_workspace
    from lexveil.pipeline.stages import search as searches
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask

    with ExitStack() as stack:
        if public is None:
            workspace = open_workspace(options.location, settings)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-search-")))
            workspace = prepare_workspace(folder, settings, public, need_labels=True)
        facts = {"public": public is not None, "trials": trials}
        outcome = stack.enter_context(exclusive_action(workspace, "search", facts))
        progress = stack.enter_context(console.progress(options.as_json))
        each = stack.enter_context(console.worker_pool(settings, quiet=True))

        if trial_epsilon is None:
            ingest(workspace, public or [], each)
            mask(workspace, each)
            best = searches.search_public(workspace, trials, each, progress)
        else:
            best = searches.search_private(workspace, trials, trial_epsilon, each, progress)
            outcome |= {"spent": best.spent}
    result = {
        "trials": searches.tabulate_trials(best),
        "noise": best.noise,
        "spent": best.spent,
        "statement": best.statement,
    }
    if options.as_json:
        console.show(result | {"settings": best.settings}, as_json=True)
    else:
        console.show(result, as_json=False)
        typer.echo(f"\n{best.settings}")


def _refuse_contradictions(
    public: list[Path] | None, trial_epsilon: float | None, location: str | None
) -> None:
    from lexveil.pipeline.errors import SettingsError

    if (public is None) == (trial_epsilon is None):
        raise SettingsError(
            "name --public SOURCE, whose search costs nothing, or --trial-epsilon, to search on the "
            "workspace's own documents at a charge"
        )
    if public is not None and location is not None:
        raise SettingsError("a search on --public documents leaves every workspace alone: drop -w")
    if trial_epsilon is not None and not 0 < trial_epsilon <= 1000:
        raise SettingsError("--trial-epsilon must be above 0 and at most 1000")
