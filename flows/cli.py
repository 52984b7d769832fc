"""The `lexveil` command. Thin: it reads options, opens the workspace, calls a stage or starts the flow.

Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import actions, audit, console, detection, ledger, log, metrics, operating, search, serving
from flows.options import (
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

app = typer.Typer(
    help="Turn confidential legal documents into features, without giving the people in them away.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _workspace_of(sources: list[Path]) -> Path:
    """Each source has a workspace of its own unless one is named: other documents, another model."""
    from pipeline.storage import is_remote, url_of

    if is_remote(sources[0]):
        name = url_of(sources[0]).partition("://")[2].rstrip("/")
    else:
        first = sources[0].resolve()
        name = first.name if first.is_dir() else f"{first.parent.name}-{first.name.split('.')[0]}"
    return WORKSPACES / "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


@app.command()
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
    workspace: WorkspaceOption = None,
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
    from pipeline.request import idle, prepare, request_run, submit
    from pipeline.standing import located_sources

    sources = located_sources(sources)
    where = workspace or _workspace_of(sources)
    result = idle(where, settings, sources)
    if result is None:
        place = prepare(where, settings, sources, need_labels=settings.train.objective != "denoise")
        request = request_run(place, settings, sources)
        from flows.main import run as run_flow

        submit(place, request)
        with console.progress(as_json) as progress:
            result = run_flow(place, request.run_id, progress)
    console.show_run(result, as_json)


def _ingest_fields(*names: str | None) -> dict[str, str | None]:
    return dict(
        zip(("text_field", "id_field", "label_field", "owner_field", "split_field"), names, strict=True)
    )


@app.command()
def ingest(
    sources: SourcesArgument,
    text_field: TextField = None,
    id_field: IdField = None,
    label_field: LabelField = None,
    owner_field: OwnerField = None,
    split_field: SplitField = None,
    removed_share: RemovedShare = None,
    workers: Workers = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read documents into the workspace, encrypted at rest."""
    fields = _ingest_fields(text_field, id_field, label_field, owner_field, split_field)
    settings = settings_of(config, ingest={**fields, "removed_share": removed_share}, workers=workers)
    from pipeline.request import prepare
    from pipeline.stages.ingest import ingest as stage
    from pipeline.standing import located_sources

    sources = located_sources(sources)
    place = prepare(workspace or _workspace_of(sources), settings, sources, need_labels=False)
    with actions.alone(place, settings, "ingest") as done, console.worker_pool(settings, as_json) as each:
        manifest = stage(place, settings, sources, each)
        done |= actions.of_manifest(manifest)
    console.show_manifest(manifest, as_json)


@app.command()
def mask(
    decisions: Annotated[
        Path | None,
        typer.Option(
            "--decisions", help="File that a review page exported, or a folder of them: keep, apply."
        ),
    ] = None,
    workers: Workers = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mask the personal information of all ingested documents."""
    settings, place = settings_of(config, workers=workers), open_workspace(workspace)
    from pipeline.review import store_decisions
    from pipeline.stages.mask import mask as stage

    with actions.alone(place, settings, "mask") as done, console.worker_pool(settings, as_json) as each:
        stored = {} if decisions is None else {"reviewed": store_decisions(place, settings, decisions)}
        manifest = stage(place, settings, each)
        done |= actions.of_manifest(manifest) | stored
    console.show_manifest(manifest, as_json, **stored)


@app.command()
def train(
    model: ModelOption = None,
    epsilon: Epsilon = None,
    objective: Objective = None,
    workers: Workers = None,
    seed: Seed = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a feature extractor under differential privacy; the ledger is charged first."""
    settings = settings_of(
        config,
        train={"model": model, "epsilon": epsilon, "objective": objective, "seed": seed},
        workers=workers,
    )
    place = open_workspace(workspace)
    from pipeline.models import read_card
    from pipeline.stages.train import assist
    from pipeline.stages.train import train as stage
    from privacy.dp.group import rank

    if rank() > 0:  # started by torchrun: the first process alone writes and speaks
        assist(place, settings)
        return
    with actions.alone(place, settings, "train") as done, console.worker_pool(settings, as_json) as each:
        trained = stage(place, settings, each)
        card = read_card(trained.saved.folder)
        done |= actions.of_model(card) | {"new": trained.new}
    console.show({"new": trained.new, **card}, as_json)


@app.command()
def extract(
    model: NameOption = None,
    workers: Workers = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the features table by a trained model."""
    settings, place = settings_of(config, workers=workers), open_workspace(workspace)
    from pipeline.features import shown_features
    from pipeline.request import new_run_id
    from pipeline.stages.extract import extract as stage

    run = new_run_id()
    with (
        actions.alone(place, settings, "extract", {"run": run}) as done,
        console.worker_pool(settings, as_json) as each,
    ):
        manifest = stage(place, settings, model, each, run)
        done |= actions.of_manifest(manifest)
    console.show_manifest(manifest, as_json, features=shown_features(place))


@app.command()
def evaluate(
    test: Annotated[Path, typer.Option("--test", help="File of labelled records.")],
    model: NameOption = None,
    text_field: TextField = None,
    label_field: LabelField = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a model on a file of labelled records, masked as the training text was."""
    settings = settings_of(config, ingest={"text_field": text_field, "label_field": label_field})
    place = open_workspace(workspace)
    from dataclasses import asdict

    from pipeline import audit_log
    from pipeline.stages.evaluate import evaluate_file

    with audit_log.recorded(place, settings, "evaluate"):
        scores = evaluate_file(place, settings, model or settings.train.model, test)
    console.show(asdict(scores), as_json)


@app.command()
def erase(
    document: Annotated[
        str | None, typer.Argument(metavar="[DOC_ID]", help="doc_id, or the id in the source.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="All documents of this owner, as the source or the tables name it.")
    ] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Destroy the keys of a document, or of an owner's, remove them from every table, and prove it."""
    settings, place = settings_of(config), open_workspace(workspace)
    from pipeline.erasure import erase as stage

    with actions.alone(place, settings, "erase") as done:
        erasure = stage(place, settings, document, owner)
        done |= erasure.to_json()  # signed, and chained: the record of the erasure
    console.show(erasure.to_json(), as_json)
    if erasure.scan.left:
        raise typer.Exit(1)


@app.command()
def restore(
    document: Annotated[str, typer.Argument(metavar="DOC_ID")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the exact original of a masked document. Needs the master key."""
    settings, place = settings_of(config), open_workspace(workspace)
    from pipeline import audit_log
    from pipeline.stages.mask import restore_document

    with audit_log.recorded(place, settings, "restore") as done:
        text = restore_document(place, settings, document)
        target.write_text(text, encoding="utf-8", newline="")
        done["doc_id"] = document
    console.show({"doc_id": document, "characters": len(text), "output": str(target)}, as_json)


@app.command()
def quarantine(
    workspace: WorkspaceOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List what could not be read, and why. Needs the master key."""
    settings, place = settings_of(config), open_workspace(workspace)
    from pipeline import audit_log
    from pipeline.stages.ingest import read_quarantine

    with audit_log.recorded(place, settings, "quarantine") as done:
        rows = [{"reason": reason, "where": where} for reason, where in read_quarantine(place, settings)]
        done["rows"] = len(rows)
    console.show({"quarantined": len(rows), "items": rows}, as_json)


ledger.add_to(app)
log.add_to(app)
metrics.add_to(app)
audit.add_to(app)
detection.add_to(app)
search.add_to(app)
serving.add_to(app)
operating.add_to(app)


def main() -> None:
    """Entry point. Bad input: one line on stderr and exit code 2."""
    from pipeline.errors import LexveilError, StorageFailed

    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        sys.exit(console.complain(f"{error.format_message()} See `lexveil --help`.", 2))
    except typer.Abort:
        sys.exit(130)
    except LexveilError as error:
        sys.exit(console.complain(str(error), error.exit_code))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if console.debugging():
            raise
        from pipeline.storage import STORAGE_FAILED, trouble

        if (told := trouble(error)) is not None:
            sys.exit(console.complain(f"{STORAGE_FAILED} {told}", StorageFailed.exit_code))
        sys.exit(
            console.complain(f"internal error: {type(error).__name__} (LEXVEIL_DEBUG=unsafe shows it)", 1)
        )
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
