"""What the commands share: their options, the settings and the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.workspace.workspace import Workspace

WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        help="Folder of the workspace, or a URL: s3://bucket/prefix. Default: .lexveil/<name of the source>",
    ),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings; default ./lexveil.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
SourcesArgument = Annotated[
    list[Path], typer.Argument(help="Files, folders, files of records; or URLs: s3://bucket/inbox.")
]
TextField = Annotated[str | None, typer.Option(help="Field of the text; dots reach inside. Default: text")]
IdField = Annotated[str | None, typer.Option(help="Field of the document's own id. Default: id")]
LabelField = Annotated[
    str | None, typer.Option(help="Field of the class, or of a list of them. Default: label, else labels")
]
OwnerField = Annotated[str | None, typer.Option(help="Field of whose privacy counts as one.")]
SplitField = Annotated[str | None, typer.Option(help="Field whose values other than train are held out.")]
RemovedShare = Annotated[
    float | None,
    typer.Option(help="With ingest.removed = erase: the share of a folder's documents that may go at once."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="linear, mlp, lstm, square, cubic, lora, last_layers or full.")
]
NameOption = Annotated[
    str | None, typer.Option("--model", help="A model's name, or its kind for the newest.")
]
Epsilon = Annotated[float | None, typer.Option(help="Privacy budget of the training run. Default: 8")]
Objective = Annotated[str | None, typer.Option(help="auto, classify or denoise.")]
Workers = Annotated[int | None, typer.Option(help="Worker processes. Default: the cores, at most 4")]
Diagnostics = Annotated[
    bool | None,
    typer.Option("--diagnostics/--no-diagnostics", help="Also train without privacy, for the report only."),
]
Seed = Annotated[
    int | None, typer.Option(help="Known randomness, for tests: VOIDS the guarantee.", hidden=True)
]
WORKSPACES = Path(".lexveil")


def settings_of(config: Path | None, **sections: Any) -> Settings:
    from lexveil.pipeline.logs import set_up_logging
    from lexveil.pipeline.settings import load_settings

    set_up_logging()
    return load_settings(config, **sections)


def open_workspace(location: str | None, settings: Settings) -> Workspace:
    """The named workspace, or the only one that was made here without a name."""
    from lexveil.pipeline.errors import WorkspaceError
    from lexveil.pipeline.workspace.workspace import Workspace

    if location is not None:
        return Workspace.open(location, settings)
    here = [path.parent for path in sorted(WORKSPACES.glob("*/workspace.json"))]
    if len(here) == 1:
        return Workspace.open(here[0], settings)
    raise WorkspaceError(f"{len(here)} workspaces under {WORKSPACES}; name the one you mean with -w")
