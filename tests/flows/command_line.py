"""`lexveil` as the tests of its commands call it: in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lexveil.flows import cli


@dataclass(frozen=True)
class Output:
    """What a command ended with and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)


Lexveil = Callable[..., Output]


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Output:
    """Call the command: not by Typer's runner, since errors become lines and exit codes in `main`."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Output(ended.value.code, shown.out, shown.err)


def assert_refused(lexveil: Lexveil, folder: Path, *arguments: object, says: str, code: int = 2) -> None:
    """The command is refused in one line, and nothing below the folder changes."""
    before = contents(folder)
    output = lexveil(*arguments)
    assert (output.code, output.out) == (code, ""), output.err
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert output.err.endswith("\n")
    assert says in output.err
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder. SQLite puts two empty helpers next to a table that is only read."""
    return {
        str(path): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm"))
    }
