"""Promises: what is written is for its user alone; reading writes nothing; a lost key is not replaced."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.lock import lock
from lexveil.pipeline.workspace.workspace import Workspace
from tests.flows.command_line import Lexveil, assert_refused, call, contents

if TYPE_CHECKING:
    from tests.conftest import Command

ROOT = Path(__file__).parents[2]
# Each command with an input that it finds in the folder of the test.
OUTPUTS = [
    ("log", "export"),
    ("ledger", "export"),
    ("ledger", "show", "--plot"),
    ("restore", "DOC_ID"),
]


@pytest.fixture
def lexveil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lexveil:
    monkeypatch.chdir(tmp_path)
    return partial(call, capsys)


@pytest.fixture
def careless() -> Iterator[None]:
    """A umask that leaves new files open to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def first_id(workspace: Workspace) -> str:
    return tables.to_strings(tables.read_part(next(workspace.masked.glob("part-*"))), "doc_id")[0]


@pytest.mark.usefixtures("careless")
class TestOutputs:
    @pytest.mark.parametrize("words", OUTPUTS, ids=" ".join)
    def test_a_file_that_exists_is_replaced_only_on_request(
        self, lexveil: Lexveil, masked: Workspace, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        command = [first_id(masked) if word == "DOC_ID" else word for word in words]
        target = tmp_path / "out.svg"
        target.write_text("mine")
        assert_refused(
            lexveil, tmp_path, *command, "out.svg", "-w", masked.root, says="--overwrite replaces it"
        )
        assert target.read_text() == "mine"
        assert lexveil(*command, "out.svg", "--overwrite", "-w", masked.root).code == 0
        assert target.read_text() != "mine"

    @pytest.mark.parametrize("words", [OUTPUTS[0], OUTPUTS[3]], ids=" ".join)
    def test_what_comes_from_documents_is_for_the_user_alone(
        self, lexveil: Lexveil, masked: Workspace, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        command = [first_id(masked) if word == "DOC_ID" else word for word in words]
        assert lexveil(*command, "out", "-w", masked.root).code == 0
        assert mode_of(tmp_path / "out") == 0o600

    @pytest.mark.parametrize("command", ["detect", "anonymize"])
    def test_so_is_what_is_converted_without_a_workspace(
        self, lexveil: Lexveil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        monkeypatch.setenv("LEXVEIL_MASK__DETECTOR", "rules")
        (tmp_path / "in.jsonl").write_text('{"text": "Write to jane@roe.example."}\n')
        assert lexveil(command, "in.jsonl", "out.jsonl", "--workers", 1).code == 0
        assert mode_of(tmp_path / "out.jsonl") == 0o600
        assert_refused(lexveil, tmp_path, command, "in.jsonl", "out.jsonl", says="--overwrite replaces it")

    def test_labels_are_not_replaced_before_an_endpoint_is_asked(
        self, lexveil: Lexveil, tmp_path: Path
    ) -> None:
        (tmp_path / "in.jsonl").write_text('{"text": "a"}\n')
        (tmp_path / "labels.jsonl").write_text("mine")
        words = ("classify", "in.jsonl", "labels.jsonl", "--url", "http://127.0.0.1:9")
        assert_refused(lexveil, tmp_path, *words, says="--overwrite replaces it")


@pytest.mark.usefixtures("careless")
class TestWorkspace:
    def test_a_new_one_is_closed_to_others(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path / "w")
        with lock(workspace):
            pass
        found = {path.name: mode_of(path) for path in (workspace.root, workspace.masked, workspace.runs)}
        assert found == {"w": 0o700, "masked": 0o700, "runs": 0o700}
        assert mode_of(workspace.protected) == 0o700

    def test_an_open_one_is_closed_once_and_what_a_group_may_do_stays(
        self, masked: Workspace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lexveil.pipeline.logs.log.propagate", True)
        masked.root.chmod(0o755)
        masked.masked.chmod(0o755)
        with lock(masked):
            pass
        assert (mode_of(masked.root), mode_of(masked.masked)) == (0o750, 0o750)
        told = [record.getMessage() for record in caplog.records]
        assert told == [
            f"{path} is no longer open to other users of this machine"
            for path in (masked.root, masked.masked)
        ]
        with lock(masked):
            pass
        assert len(caplog.records) == len(told)


class TestKey:
    @pytest.mark.parametrize(
        "words", [("quarantine",), ("log", "verify"), ("mask",), ("restore", "x", "out")]
    )
    def test_a_lost_one_is_not_replaced(
        self, lexveil: Lexveil, masked: Workspace, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        (masked.protected / "master.key").rename(tmp_path / "kept.key")
        assert_refused(
            lexveil, masked.protected, *words, "-w", masked.root, says="it is missing; put its file back"
        )
        (tmp_path / "kept.key").rename(masked.protected / "master.key")
        assert lexveil("quarantine", "-w", masked.root).code == 0

    def test_nor_by_a_run(self, lexveil: Lexveil, masked: Workspace, tmp_path: Path) -> None:
        (tmp_path / "in.jsonl").write_text(
            '{"text": "Some text.", "label": "a"}\n{"text": "Other.", "label": "b"}\n'
        )
        (masked.protected / "master.key").unlink()
        assert_refused(lexveil, masked.root, "ingest", "in.jsonl", "-w", masked.root, says="it is missing")

    def test_nor_a_lost_table(self, lexveil: Lexveil, masked: Workspace, tmp_path: Path) -> None:
        (tmp_path / "in.jsonl").write_text(
            '{"text": "Some text.", "label": "a"}\n{"text": "Other.", "label": "b"}\n'
        )
        for path in masked.protected.glob("keys.sqlite*"):
            path.unlink()
        for words in (("quarantine",), ("ingest", "in.jsonl")):
            assert_refused(lexveil, masked.root, *words, "-w", masked.root, says="is missing or empty")

    def test_reading_begins_none(self, lexveil: Lexveil, tmp_path: Path) -> None:
        Workspace.create_or_open(tmp_path / "w")
        for words in (("quarantine",), ("log", "verify"), ("log", "show")):
            assert_refused(lexveil, tmp_path, *words, "-w", "w", says="there is none yet")
        assert lexveil("ledger", "show", "-w", "w").code == 0
        assert list((tmp_path / "w" / "protected").iterdir()) == []


# Runs commands on a workspace that is mounted read-only, and prints how they end.
READ_ONLY = """
import contextlib, io, json, subprocess, sys
workspace, commands = sys.argv[1], json.loads(sys.argv[2])
for mount in (["--bind", workspace, workspace], ["-o", "remount,bind,ro", workspace]):
    subprocess.run(["mount", *mount], check=True)
from lexveil.flows import cli
ended = {}
for words in commands:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main([*words, "-w", workspace, "--json"])
        except SystemExit as end:
            ended[" ".join(words)] = [end.code, out.getvalue(), err.getvalue()]
print(json.dumps(ended))
"""


def on_a_read_only_mount(workspace: Workspace, *commands: str) -> dict[str, Any]:
    alone = ["unshare", "--map-root-user", "--mount"]
    words = json.dumps([command.split() for command in commands])
    done = subprocess.run(
        [*alone, sys.executable, "-c", READ_ONLY, str(workspace.root), words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespace to read in: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestReading:
    def test_works_on_a_read_only_mount(self, lexveil: Lexveil, masked: Workspace) -> None:
        assert lexveil("ledger", "limit", 20, "-w", masked.root).code == 0
        before = contents(masked.root)
        source = masked.root.with_name("in.jsonl")
        records = [{"text": f"Clause {n} of a lease.", "label": "ab"[n % 2]} for n in range(8)]
        source.write_text("".join(json.dumps(record) + "\n" for record in records))
        read = ("ledger show", "ledger verify", "log show", "log verify")
        written = ("quarantine", "mask", "extract", "ledger limit 30", f"run {source}", f"ingest {source}")
        ended = on_a_read_only_mount(masked, *read, *written)
        assert contents(masked.root) == before
        codes = {name: end[0] for name, end in ended.items()}
        assert codes == dict.fromkeys(read, 0) | dict.fromkeys(written, 2)
        (population,) = json.loads(ended["ledger show"][1])["populations"]
        assert population["limit"] == 20
        assert json.loads(ended["log verify"][1])["intact"]
        for name in written:
            _, out, err = ended[name]
            assert (out, err.count("\n")) == ("", 1), err
            assert "cannot be written" in err

    def test_leaves_nothing_beside_the_databases(self, lexveil: Lexveil, masked: Workspace) -> None:
        assert lexveil("ledger", "limit", 20, "-w", masked.root).code == 0
        before = {path.name for path in masked.protected.iterdir()}
        for words in (("ledger", "show"), ("ledger", "verify"), ("log", "show"), ("log", "verify")):
            assert lexveil(*words, "-w", masked.root).code == 0
        assert {path.name for path in masked.protected.iterdir()} == before


def test_a_home_of_prefect_that_cannot_be_written_is_one_line(
    tmp_path: Path, command_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its server would be started again and again, for minutes."""
    command: Command = command_in(tmp_path)
    records = [{"text": f"Clause {n} of a lease.", "label": "ab"[n % 2]} for n in range(8)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "file").write_text("")
    done = command.run("run", "in.jsonl", "-w", "w", PREFECT_HOME=str(tmp_path / "file" / "prefect"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "set PREFECT_HOME to a folder" in done.stderr
    shutil.rmtree(tmp_path / "w")
