"""`lexveil audit`: one JSON object, exit code 4 and one line where a claim is broken."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lexveil.flows import cli

Said = tuple[int, str, str]


@pytest.fixture
def lexveil(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call the command in this process."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["lexveil", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, shown.out, shown.err

    return call


def test_a_model_that_holds_and_one_that_lies(lexveil: Callable[..., Said], finished: Any) -> None:
    place = ("-w", finished.workspace.root, "--gate-only")
    code, out, err = lexveil("audit", *place, "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    found = json.loads(out)
    assert (found["passed"], found["failed"], found["attacks"]) == (True, [], "not asked for")
    assert found["model"] == finished.first["model"]
    assert {test["verdict"] for test in found["tests"]} == {"held"}

    (path,) = finished.workspace.models.glob("*/card.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epsilon": 0.5}))
    code, out, err = lexveil("audit", found["model"], *place)
    assert code == 4
    assert err.splitlines()[-1].startswith("error: the audit of")
    assert "accounting" in err
    assert "FAILED" in out


def test_no_workspace(lexveil: Callable[..., Said], tmp_path: Any) -> None:
    code, out, err = lexveil("audit", "-w", tmp_path / "none")
    assert (code, out, err.count("\n")) == (2, "", 1)
