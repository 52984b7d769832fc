"""Options that several commands share, and how they lead to the settings and the workspace."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

if TYPE_CHECKING:
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.workspace.workspace import Workspace

DEFAULT_WORKSPACES = Path(".lexveil")

WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        help="Folder of the workspace, or a URL: s3://bucket/prefix. Default: .lexveil/<name of the source>",
    ),
]
RequiredWorkspace = Annotated[
    str, typer.Option("--workspace", "-w", help="Folder of the workspace, or a URL: s3://bucket/prefix.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file. Default: ./lexveil.toml")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]

SourcesArgument = Annotated[
    list[Path], typer.Argument(help="Files, folders, files of records; or URLs such as s3://bucket/inbox.")
]
InArgument = Annotated[Path, typer.Argument(metavar="IN", help="File of records, or a document.")]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the file that is written, if there is one.")
]

TextField = Annotated[
    str | None, typer.Option(help="Field with the text; dots reach nested fields. Default: text")
]
IdField = Annotated[str | None, typer.Option(help="Field with the document's own id. Default: id")]
LabelField = Annotated[
    str | None, typer.Option(help="Field with the class, or a list of classes. Default: label, else labels")
]
OwnerField = Annotated[
    str | None, typer.Option(help="Field naming the owner, protected as one unit, or a list of owners.")
]
SplitField = Annotated[
    str | None, typer.Option(help="Field naming the split; documents with any value but train are held out.")
]
RemovedShare = Annotated[
    float | None,
    typer.Option(
        help="With ingest.removed = erase: the share of a folder's documents that may disappear at once."
    ),
]

KindOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Kind of model: linear, mlp, lstm, topic_lstm, square, cubic, lora, last_layers or full.",
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Name of a model, or a kind for the newest model of that kind.")
]
Epsilon = Annotated[float | None, typer.Option(help="Privacy budget of the training run. Default: 8")]
Objective = Annotated[
    str | None, typer.Option(help="Training objective: auto, classify, multilabel or denoise.")
]
Diagnostics = Annotated[
    bool | None,
    typer.Option("--diagnostics/--no-diagnostics", help="Also train without privacy, for the report only."),
]
Seed = Annotated[
    int | None, typer.Option(help="Known randomness, for tests: VOIDS the guarantee.", hidden=True)
]
Workers = Annotated[int | None, typer.Option(help="Worker processes. Default: one per core, at most 4")]
Head = Annotated[
    str | None, typer.Option(help="A head that was kept elsewhere: it must still be in the chain.")
]


@dataclass(frozen=True)
class CommonOptions:
    """Options of every command that needs no workspace."""

    config: ConfigOption = None
    as_json: JsonOption = False

    def settings(self, **sections: Any) -> Settings:
        """Set up logging and read the settings; options in `sections` override the settings file."""
        return _read_settings(self.config, sections)


@dataclass(frozen=True)
class WorkspaceOptions:
    """Options of every command that works in a workspace."""

    location: WorkspaceOption = None
    config: ConfigOption = None
    as_json: JsonOption = False

    def settings(self, **sections: Any) -> Settings:
        """Set up logging and read the settings; options in `sections` override the settings file."""
        return _read_settings(self.config, sections)

    def open(self, **sections: Any) -> Workspace:
        """Open the named workspace, or the only one that was created here without a name.

        Raises:
            WorkspaceError: There is no such workspace, or the choice is ambiguous.
        """
        return open_workspace(self.location, self.settings(**sections))


@dataclass(frozen=True)
class RecordFields:
    """Fields of a record that every command on files of records knows, named as in `[ingest]`."""

    text_field: TextField = None
    id_field: IdField = None


@dataclass(frozen=True)
class IngestFields(RecordFields):
    """Fields of a record that ingestion knows, named as in `[ingest]`."""

    label_field: LabelField = None
    owner_field: OwnerField = None
    split_field: SplitField = None
    removed_share: RemovedShare = None


def open_workspace(location: str | None, settings: Settings) -> Workspace:
    """Open the named workspace, or the only one that was created here without a name.

    Raises:
        WorkspaceError: There is no such workspace, or the choice is ambiguous.
    """
    from lexveil.pipeline.errors import WorkspaceError
    from lexveil.pipeline.workspace.workspace import Workspace

    if location is not None:
        return Workspace.open(location, settings)
    known = [path.parent for path in sorted(DEFAULT_WORKSPACES.glob("*/workspace.json"))]
    if len(known) == 1:
        return Workspace.open(known[0], settings)
    raise WorkspaceError(f"{len(known)} workspaces under {DEFAULT_WORKSPACES}; name the one you mean with -w")


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command as Typer can read it: each dataclass parameter is replaced by its fields.

    Typer knows single options only. `erase(document, *, options: WorkspaceOptions)` becomes
    `erase(*, document, location, config, as_json)`, which builds the `WorkspaceOptions` from the last three.
    """
    expanded: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        annotation: Any = parameter.annotation
        if is_dataclass(annotation):
            group = cast("type[Any]", annotation)
            groups[parameter.name] = group
            expanded += _parameters(group)
        else:
            expanded.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def call(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    call.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in expanded}
    return call


def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]


def _read_settings(config: Path | None, sections: dict[str, Any]) -> Settings:
    from lexveil.pipeline.logs import set_up_logging
    from lexveil.pipeline.settings import load_settings

    set_up_logging()
    return load_settings(config, **sections)
