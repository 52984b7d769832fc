"""Options that commands share: dataclasses that Typer sees as single options, and their workspace."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from lexveil.flows.commands.options import IngestFields, WorkspaceOptions, expand_options, open_workspace
from lexveil.pipeline.errors import SettingsError, WorkspaceError
from lexveil.pipeline.settings import IngestSettings, Settings
from lexveil.pipeline.workspace.workspace import Workspace


@dataclass(frozen=True)
class Colors:
    front: Annotated[str, typer.Option(help="Of the letters.")] = "black"
    back: Annotated[str | None, typer.Option("--background", "-b")] = None


def paint(
    name: Annotated[str, typer.Argument()],
    *,
    colors: Colors,
    twice: Annotated[bool, typer.Option("--twice")] = False,
) -> None:
    """Paint something."""
    typer.echo(f"{name} {colors} {twice}")


def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(expand_options(paint))
    return app


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["wall"], f"wall {Colors()} False"),
        (["wall", "--front", "red", "-b", "blue"], f"wall {Colors('red', 'blue')} False"),
        (["--twice", "--background", "blue", "wall"], f"wall {Colors(back='blue')} True"),
    ],
)
def test_each_field_is_an_option(words: list[str], printed: str) -> None:
    result = CliRunner().invoke(app(), words)
    assert (result.exit_code, result.stdout) == (0, printed + "\n")


def test_help_lists_the_fields_in_their_place() -> None:
    shown = CliRunner().invoke(app(), ["--help"]).stdout
    assert "Paint something." in shown
    assert "Of the letters." in shown
    assert shown.index("--front") < shown.index("--background") < shown.index("--twice")
    assert "--colors" not in shown


def test_what_is_no_option_is_refused() -> None:
    result = CliRunner().invoke(app(), ["wall", "--colors", "red"])
    assert result.exit_code == 2


def test_the_command_itself_stays_as_it_was() -> None:
    expanded = expand_options(paint)
    assert (expanded.__name__, expanded.__doc__) == ("paint", "Paint something.")
    assert list(inspect.signature(expanded).parameters) == ["name", "front", "back", "twice"]
    assert list(inspect.signature(paint).parameters) == ["name", "colors", "twice"]


def test_the_fields_of_a_record_are_settings() -> None:
    for name in IngestFields.__dataclass_fields__:
        assert name in IngestSettings.model_fields


def test_options_go_before_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "lexveil.toml"
    file.write_text("workers = 2\n[ingest]\ntext_field = 'body'\nid_field = 'key'\n")
    settings = WorkspaceOptions(config=file).settings(ingest={"id_field": "number", "text_field": None})
    assert (settings.workers, settings.ingest.text_field, settings.ingest.id_field) == (2, "body", "number")
    with pytest.raises(SettingsError, match="nowhere"):
        WorkspaceOptions(config=tmp_path / "nowhere").open()


class TestTheWorkspace:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_the_named_one(self, tmp_path: Path) -> None:
        made = Workspace.create_or_open(tmp_path / "w")
        settings = Settings(workers=3)
        opened = open_workspace("w", settings)
        assert (opened.id, opened.settings) == (made.id, made.with_settings(settings).settings)
        assert opened.settings.workers == 3

    def test_the_only_one_without_a_name(self) -> None:
        made = Workspace.create_or_open(Path(".lexveil") / "inbox")
        assert open_workspace(None, Settings()).id == made.id
        assert WorkspaceOptions().open(workers=3).settings.workers == 3

    def test_none_or_several_must_be_named(self) -> None:
        with pytest.raises(WorkspaceError, match=r"0 workspaces under \.lexveil.* -w"):
            open_workspace(None, Settings())
        for name in ("inbox", "archive"):
            Workspace.create_or_open(Path(".lexveil") / name)
        with pytest.raises(WorkspaceError, match=r"2 workspaces under \.lexveil.* -w"):
            open_workspace(None, Settings())
