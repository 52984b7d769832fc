"""`lexveil detect` and `anonymize`: personal information in files, without a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows import console
from flows.options import ConfigOption, IdField, JsonOption, TextField, Workers, WorkspaceOption, settings_of


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (detect, anonymize):
        app.command()(command)


def detect(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    text_field: TextField = None,
    id_field: IdField = None,
    workers: Workers = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the spans of personal information of each record, without a workspace."""
    from pipeline.standalone import detect_file

    _convert(detect_file, source, target, text_field, id_field, workers, config, as_json)


def anonymize(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    text_field: TextField = None,
    id_field: IdField = None,
    workers: Workers = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the masked text of each record, without a workspace. Can't be undone."""
    from pipeline.standalone import anonymize_file

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
    from flows.pool import WorkerPool

    with WorkerPool(settings.workers) as pool:
        result = convert(source, target, settings, pool.ordered)
    console.show(result, as_json)
