"""The command line as a whole: its table of commands, its common options, and how errors end."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import lexveil as package
from lexveil.flows import cli
from lexveil.pipeline.workspace.storage import write_json
from lexveil.pipeline.workspace.workspace import Workspace
from tests.deadlines import HANGS_AFTER
from tests.flows.command_line import Lexveil, assert_refused

if TYPE_CHECKING:
    from tests.conftest import Finished

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "presidio_analyzer", "spacy", "transformers", "prefect", "pyarrow")
# Commands on files, or on an endpoint, that work in no workspace.
WITHOUT_WORKSPACE = ("detect", "anonymize", "classify", "keys rotate", "join draft", "join key")
WITHOUT_JSON = ("metrics", "up")


def all_commands() -> dict[str, Any]:
    """Every command by its full name."""
    commands: dict[str, Any] = {}
    for name, command in get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            commands |= {f"{name} {word}": one for word, one in command.commands.items()}
        else:
            commands[name] = command
    return commands


def options_of(command: Any) -> set[str]:
    return {flag for one in command.params for flag in one.opts}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(option: str) -> None:
    program = (
        f"import sys; sys.argv = ['lexveil', '{option}']\n"
        "from lexveil.flows.cli import main\n"
        "try: main()\n"
        f"finally: print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=HANGS_AFTER
    )
    assert result.returncode == 0, result.stderr
    assert "LOADED []" in result.stdout, result.stderr


def test_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    result = CliRunner().invoke(cli.app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"lexveil {package.__version__}\n")
    assert package.__version__ == project["version"]


def test_help_lists_every_command(lexveil: Lexveil) -> None:
    shown = lexveil("--help").out
    for command in ("run", "ingest", "mask", "train", "extract", "evaluate", "detect", "detect evaluate",
                    "anonymize", "ledger", "log", "keys", "erase", "serve", "classify"):  # fmt: skip
        assert f"\n  {command} " in shown


def test_without_arguments_it_helps(lexveil: Lexveil) -> None:
    output = lexveil()
    assert output.code == 0
    assert "Usage: lexveil " in output.out


@pytest.mark.parametrize(("name", "command"), all_commands().items(), ids=all_commands())
def test_every_command_knows_the_common_options(name: str, command: Any) -> None:
    options = options_of(command)
    assert "--config" in options
    assert ("--json" in options) == (name not in WITHOUT_JSON)
    assert ({"--workspace", "-w"} <= options) == (name not in WITHOUT_WORKSPACE)


@pytest.mark.parametrize(("name", "command"), all_commands().items(), ids=all_commands())
def test_every_command_and_every_option_says_what_it_is(name: str, command: Any) -> None:
    assert command.help, name
    for one in command.params:
        assert one.help, f"{name}: {one.name}"


@pytest.mark.parametrize("name", all_commands())
def test_the_usage_of_every_command_names_it(lexveil: Lexveil, name: str) -> None:
    output = lexveil(*name.split(), "--help")
    assert output.code == 0
    assert output.out.startswith(f"Usage: lexveil {name} ")


@pytest.mark.parametrize("name", WITHOUT_WORKSPACE)
def test_a_workspace_is_refused_where_it_would_be_ignored(
    lexveil: Lexveil, tmp_path: Path, name: str
) -> None:
    files = () if name == "keys rotate" else ("in.jsonl", "out.jsonl")
    for option in ("-w", "--workspace"):
        assert_refused(lexveil, tmp_path, *name.split(), *files, option, "nowhere", says=option)


class TestBadInput:
    def test_unknown_options_commands_and_missing_arguments(self, lexveil: Lexveil, tmp_path: Path) -> None:
        assert_refused(lexveil, tmp_path, "run", "--colour", "x", says="--colour")
        assert_refused(lexveil, tmp_path, "runn", says="runn")
        assert_refused(lexveil, tmp_path, "ledger", "shwo", says="shwo")
        assert_refused(lexveil, tmp_path, "run", says="sources")
        assert_refused(lexveil, tmp_path, "run", ".", "--epsilon", "much", says="epsilon")
        assert_refused(lexveil, tmp_path, "evaluate", says="--test")

    def test_another_schema_version(self, lexveil: Lexveil, tmp_path: Path, write_jsonl: Any) -> None:
        workspace = Workspace.create_or_open(tmp_path / "w")
        write_json(workspace.root / "workspace.json", {"schema": 99})
        path = write_jsonl([{"text": "Text.", "label": "a"}])
        for command in (
            ["run", path],
            ["ingest", path],
            ["mask"],
            ["train"],
            ["ledger", "show"],
            ["erase", "x"],
        ):
            assert_refused(lexveil, tmp_path, *command, "-w", "w", says="version 99")

    def test_no_workspace(self, lexveil: Lexveil, tmp_path: Path) -> None:
        for command in (["mask"], ["train"], ["extract"], ["audit"], ["ledger", "verify"], ["log", "show"],
                        ["restore", "x", "out.txt"], ["backup", "copy"], ["metrics"], ["serve"]):  # fmt: skip
            assert_refused(lexveil, tmp_path, *command, "-w", "w", says="no workspace")
            assert_refused(lexveil, tmp_path, *command, says="-w")

    def test_another_workspaces_key(
        self, lexveil: Lexveil, finished: Finished, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
        root = finished.workspace.root
        assert_refused(lexveil, tmp_path, "run", *finished.sources, "-w", root, says="is not the key")
        assert_refused(lexveil, tmp_path, "quarantine", "-w", root, says="is not the key")

    def test_configuration(self, lexveil: Lexveil, tmp_path: Path, write_jsonl: Any) -> None:
        path = write_jsonl([{"text": "Text.", "label": "a"}])
        assert_refused(lexveil, tmp_path, "run", path, "--config", "none.toml", says="none.toml")
        (tmp_path / "lexveil.toml").write_text("[train]\nmodle = 'lstm'\n")
        assert_refused(lexveil, tmp_path, "run", path, says="train.modle")
        assert_refused(lexveil, tmp_path, "keys", "rotate", says="train.modle")


class TestUnexpectedErrors:
    """What no command foresaw: its type is shown, its message is not, since it may quote a document."""

    def failing(self, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> tuple[object, ...]:
        """The words of a command that fails in this way."""

        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr("lexveil.pipeline.maintenance.ledger.verify_export", fail)
        return ("ledger", "verify", "--export", "ledger.json")

    def test_the_type_is_shown_and_no_more(self, lexveil: Lexveil, monkeypatch: pytest.MonkeyPatch) -> None:
        output = lexveil(*self.failing(monkeypatch, ValueError("Canary Wharfinger")))
        assert (output.code, output.out) == (1, "")
        assert "ValueError" in output.err
        assert "Canary" not in output.err

    def test_an_object_store_that_fails_is_named(
        self, lexveil: Lexveil, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint = pytest.importorskip("botocore.exceptions").EndpointConnectionError
        output = lexveil(*self.failing(monkeypatch, endpoint(endpoint_url="http://canary")))
        assert (output.code, output.out, output.err.count("\n")) == (1, "", 1)
        assert "internal error" not in output.err
        assert "canary" not in output.err

    def test_it_is_raised_where_somebody_debugs(
        self, lexveil: Lexveil, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LEXVEIL_DEBUG", "unsafe")
        words = self.failing(monkeypatch, ValueError("Canary Wharfinger"))
        with pytest.raises(ValueError, match="Canary"):
            lexveil(*words)

    def test_an_interrupt_is_silent(self, lexveil: Lexveil, monkeypatch: pytest.MonkeyPatch) -> None:
        output = lexveil(*self.failing(monkeypatch, KeyboardInterrupt()))
        assert (output.code, output.out, output.err) == (130, "", "")
