"""`lexveil serve` and `classify`: encrypted classification, both of its sides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows import console
from flows.options import (
    ConfigOption,
    IdField,
    JsonOption,
    NameOption,
    TextField,
    WorkspaceOption,
    open_workspace,
    settings_of,
)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (serve, classify):
        app.command()(command)


def serve(
    model: NameOption = None,
    host: Annotated[str | None, typer.Option(help="Default: 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Default: 8300")] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve encrypted classification by a model's head, until interrupted."""
    settings, place = settings_of(config, encrypted={"host": host, "port": port}), open_workspace(workspace)
    from pipeline.endpoint import serve_model

    console.show({"url": f"http://{settings.encrypted.host}:{settings.encrypted.port}"}, as_json)
    serve_model(place, settings, model)


def classify(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    url: Annotated[str, typer.Option(help="Where `lexveil serve` listens.")] = "http://127.0.0.1:8300",
    text_field: TextField = None,
    id_field: IdField = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify documents by an endpoint that never sees them; labels go to OUT."""
    settings = settings_of(config, ingest={"text_field": text_field, "id_field": id_field})
    from pipeline.endpoint import classify_file

    console.show(classify_file(source, target, url, settings), as_json)
