"""`lexveil detect` and `anonymize` for files without a workspace, `lexveil review` for people."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lexveil.flows import actions
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    ConfigOption,
    IdField,
    JsonOption,
    TextField,
    Workers,
    WorkspaceOption,
    open_workspace,
    settings_of,
)

_FILES = "files"


class _FileFormByDefault(TyperGroup):
    """`lexveil detect IN OUT` without a word between: any first word that is no command is a file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = bool(args) and args[0] in self.commands and args[0] != _FILES
        return super().parse_args(ctx, args if named else [_FILES, *args])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return "" if name == _FILES else name, command, rest


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(cls=_FileFormByDefault, rich_markup_mode=None)
    group.command(_FILES)(detect)
    group.command()(evaluate)
    app.add_typer(
        group,
        name="detect",
        help="Find personal information in a file; `detect evaluate` scores the detector.",
    )
    app.command()(anonymize)
    app.command()(review)


def detect(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    text_field: TextField = None,
    id_field: IdField = None,
    workers: Workers = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the spans of personal information of each record, without a workspace.

    `lexveil detect evaluate GOLD` scores the detector instead, on documents that people have marked.
    """
    from lexveil.pipeline.masking.standalone import detect_file

    _convert(detect_file, source, target, text_field, id_field, workers, config, as_json)


def evaluate(
    gold: Annotated[Path, typer.Argument(metavar="GOLD", help="TAB JSON or span-JSONL, .gz or .zst too.")],
    workers: Workers = None,
    location: Annotated[
        str | None,
        typer.Option("--workspace", "-w", help="Keep the scores here, for the reports of its runs."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score the detector on documents in which people have marked the personal information.

    er_di and er_qi: the share of DIRECT and QUASI entities masked at every mention (TAB's metrics). The
    detector and its operating point come from the settings ([mask] detector, preset).

    Score on documents that the detector has not been trained on: those that ship learnt from TAB's train and
    dev cases, so scores on these are too good.
    """
    settings = settings_of(config, workers=workers)
    workspace = None if location is None else open_workspace(location, settings)
    from lexveil.flows.runners.pool import WorkerPool
    from lexveil.pipeline.masking.evaluation import evaluate_gold

    with WorkerPool(settings.workers) as pool:
        result = evaluate_gold(gold, settings, workspace, pool.ordered)
    if not as_json:
        rows = [{"type": name, **scores} for name, scores in result.pop("by_type").items()]
        result = {**result, "by_type": rows}
    console.show(result, as_json)


def anonymize(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    text_field: TextField = None,
    id_field: IdField = None,
    workers: Workers = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the masked text of each record, without a workspace. Can't be undone."""
    from lexveil.pipeline.masking.standalone import anonymize_file

    _convert(anonymize_file, source, target, text_field, id_field, workers, config, as_json)


def _convert(
    convert: Any,
    source: Path,
    target: Path,
    text_field: str | None,
    id_field: str | None,
    workers: int | None,
    config: Path | None,
    as_json: bool,
) -> None:
    settings = settings_of(config, ingest={"text_field": text_field, "id_field": id_field}, workers=workers)
    from lexveil.flows.runners.pool import WorkerPool

    with WorkerPool(settings.workers) as pool:
        result = convert(source, target, settings, pool.ordered)
    console.show(result, as_json)


def review(
    documents: Annotated[
        list[str] | None, typer.Argument(metavar="DOC_ID", help="doc_id, or the id in the source.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="A page for every document.")] = False,
    gold: Annotated[
        bool, typer.Option("--gold", help="Write the reviewed documents as gold for training and scoring.")
    ] = False,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write pages on which people accept, reject and add what is masked. Needs the master key.

    Open a page in a browser and press ? there. It exports a file without text, which `lexveil mask
    --decisions FILE` applies. Pages and gold hold the original text: they lie under protected/review.
    """
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.errors import SourceError
    from lexveil.pipeline.reports.review_page import write_gold, write_reviews

    if bool(documents) + every + gold != 1:
        raise SourceError("name documents, or give --all or --gold")
    if gold:
        with actions.alone(workspace, "review-gold"):
            written = write_gold(workspace)
        console.show(written, as_json)
        return
    with actions.alone(workspace, "review") as done, console.progress(as_json) as tell:
        paths = write_reviews(workspace, documents or [], None if tell is None else partial(tell, "review"))
        done["pages"] = len(paths)
    pages = len(paths) - every
    console.show({"pages": pages, "open": str(paths[0]) if pages else "none"}, as_json)
