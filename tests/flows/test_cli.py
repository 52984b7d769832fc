"""The command line: what is wrong is said in one line before anything is written; --json is one object."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lexveil.flows import cli
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.storage import write_json
from lexveil.pipeline.workspace.workspace import Workspace
from tests.deadlines import HANGS_AFTER

WriteJsonl = Callable[..., Path]
HEAVY = ("torch", "presidio_analyzer", "spacy", "transformers", "prefect", "pydantic_settings", "pyarrow")
LABELLED = [{"id": i, "text": f"Text {i}.", "label": "ab"[i % 2], "owner": i} for i in range(4)]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        return json.loads(line)


Command = Callable[..., Said]


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """The command sets logging up for a process of its own."""
    log = logging.getLogger("lexveil")
    before = (list(log.handlers), log.propagate, log.level)
    yield
    log.handlers[:], log.propagate, log.level = before
    logging.captureWarnings(False)


@pytest.fixture
def lexveil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["lexveil", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, shown.out, shown.err)

    return call


def everything(folder: Path) -> dict[str, bytes]:
    """What lies below a folder. SQLite lays two empty helpers beside a table that is only looked at."""
    return {
        str(path): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm"))
    }


def refused(lexveil: Command, tmp_path: Path, *arguments: object, says: str, code: int = 2) -> None:
    before = everything(tmp_path)
    said = lexveil(*arguments)
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert said.err.endswith("\n")
    assert says in said.err
    assert everything(tmp_path) == before


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['lexveil', '--help']\n"
        "from lexveil.flows.cli import main\n"
        "try: main()\n"
        f"finally: print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    root = Path(cli.__file__).resolve().parents[1]
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=HANGS_AFTER
    )
    assert "LOADED []" in result.stdout, result.stderr
    for command in ("run", "ingest", "mask", "train", "extract", "evaluate", "detect", "anonymize", "ledger",
                    "erase", "serve", "classify"):  # fmt: skip
        assert command in result.stdout


def test_every_command_knows_the_common_options(lexveil: Command) -> None:
    for command in ("run", "ingest", "mask", "train", "extract", "evaluate", "detect", "anonymize",
                    "ledger show", "ledger verify", "erase", "serve", "classify"):  # fmt: skip
        said = lexveil(*command.split(), "--help")
        assert said.code == 0
        for option in ("--workspace", "-w", "--config", "--json"):
            assert option in said.out, command


class TestBadInput:
    def test_unknown_options_commands_and_missing_arguments(self, lexveil: Command, tmp_path: Path) -> None:
        refused(lexveil, tmp_path, "run", "--colour", "x", says="--colour")
        refused(lexveil, tmp_path, "runn", says="runn")
        refused(lexveil, tmp_path, "run", says="sources")
        refused(lexveil, tmp_path, "run", ".", "--epsilon", "much", says="epsilon")
        refused(lexveil, tmp_path, "evaluate", says="--test")

    @pytest.mark.parametrize("command", ["run", "ingest"])
    def test_a_missing_folder(self, lexveil: Command, tmp_path: Path, command: str) -> None:
        refused(lexveil, tmp_path, command, "none", "-w", "w", says="none")
        refused(lexveil, tmp_path, command, "none", "--json", says="none")

    @pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf"])
    def test_an_epsilon_that_is_none(
        self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl, epsilon: str
    ) -> None:
        path = write_jsonl(LABELLED)
        refused(lexveil, tmp_path, "run", path, "-w", "w", "--epsilon", epsilon, says="epsilon")

    def test_key_files(self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl,
                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
        path, key = write_jsonl(LABELLED), tmp_path / "key"
        key.write_text("ab" * 32)
        key.chmod(0o644)
        monkeypatch.setenv("LEXVEIL_MASTER_KEY_FILE", str(key))
        refused(lexveil, tmp_path, "run", path, "-w", "w", says="chmod 600")
        key.chmod(0o600)
        key.write_text("too short")
        refused(lexveil, tmp_path, "ingest", path, "-w", "w", says="64 hexadecimal")
        monkeypatch.setenv("LEXVEIL_MASTER_KEY_FILE", str(tmp_path))
        refused(lexveil, tmp_path, "run", path, "-w", "w", says="master key")
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "zz" * 32)
        refused(lexveil, tmp_path, "run", path, "-w", "w", says="64 hexadecimal")

    def test_another_workspaces_key(
        self, lexveil: Command, finished: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
        root = finished.workspace.root
        refused(lexveil, tmp_path, "run", *finished.sources, "-w", root, says="isn't the key")
        refused(lexveil, tmp_path, "quarantine", "-w", root, says="isn't the key")

    def test_another_schema_version(self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        place = Workspace.create_or_open(tmp_path / "w")
        write_json(place.root / "workspace.json", {"schema": 99})
        path = write_jsonl(LABELLED)
        for command in (
            ["run", path],
            ["ingest", path],
            ["mask"],
            ["train"],
            ["ledger", "show"],
            ["erase", "x"],
        ):
            refused(lexveil, tmp_path, *command, "-w", "w", says="version 99")

    def test_no_workspace(self, lexveil: Command, tmp_path: Path) -> None:
        for command in (["mask"], ["train"], ["extract"], ["ledger", "verify"], ["serve"]):
            refused(lexveil, tmp_path, *command, "-w", "w", says="no workspace")
            refused(lexveil, tmp_path, *command, says="-w")

    def test_a_folder_that_is_another_thing(
        self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl
    ) -> None:
        path = write_jsonl(LABELLED, "mine/records.jsonl")
        refused(lexveil, tmp_path, "run", path, "-w", "mine", says="neither a workspace")

    @pytest.mark.parametrize("field", ["label", "owner", "split"])
    def test_a_field_that_is_not_there(
        self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl, field: str
    ) -> None:
        path = write_jsonl(LABELLED)
        refused(lexveil, tmp_path, "run", path, "-w", "w", f"--{field}-field", "meta.none", says="meta.none")
        refused(lexveil, tmp_path, "run", path, "-w", "w", "--text-field", "none", says="none")

    def test_fewer_than_two_classes(self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl([{**row, "label": "a"} for row in LABELLED])
        refused(lexveil, tmp_path, "run", path, "-w", "w", says="two")
        refused(lexveil, tmp_path, "run", path, "-w", "w", "--label-field", "label", says="two")

    def test_configuration(self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl(LABELLED)
        refused(lexveil, tmp_path, "run", path, "--config", "none.toml", says="none.toml")
        (tmp_path / "lexveil.toml").write_text("[train]\nmodle = 'lstm'\n")
        refused(lexveil, tmp_path, "run", path, says="train.modle")

    def test_files_in_and_out(self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl(LABELLED)
        for command in ("detect", "anonymize", "classify"):
            refused(lexveil, tmp_path, command, "none.jsonl", "out.jsonl", says="none.jsonl")
        refused(lexveil, tmp_path, "classify", path, "out.jsonl", "--url", "http://127.0.0.1:9", says="error")

    def test_nothing_is_ingested_or_trained_yet(self, lexveil: Command, tmp_path: Path) -> None:
        Workspace.create_or_open(tmp_path / "w")
        assert "lexveil ingest" in lexveil("mask", "-w", "w").err
        assert "lexveil mask" in lexveil("train", "-w", "w").err
        assert "lexveil train" in lexveil("extract", "-w", "w").err
        assert lexveil("erase", "unknown", "-w", "w").code == 2

    def test_the_budget(self, lexveil: Command, finished: Any) -> None:
        said = lexveil("train", "--epsilon", "9.5", "-w", finished.workspace.root, "--json")
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)

    def test_an_unforeseen_error_says_its_type_alone(
        self, lexveil: Command, finished: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def choke(*_: Any) -> None:
            raise ValueError("Canary Wharfinger")

        monkeypatch.setattr("lexveil.pipeline.maintenance.erasure.erase", choke)
        said = lexveil("erase", "x", "-w", finished.workspace.root)
        assert (said.code, said.out) == (1, "")
        assert "ValueError" in said.err
        assert "Canary" not in said.err


class TestJson:
    """One object on stdout. The stages have nothing left to do, so that no worker need start."""

    def test_stages_that_are_done(self, lexveil: Command, finished: Any, tmp_path: Path) -> None:
        (tmp_path / "lexveil.toml").write_text(
            "[ingest]\nowner_field = 'owner'\nshard_documents = 16\n[train]\nsteps = 5\nheld_out = 0.3\n"
        )
        place = ("-w", finished.workspace.root, "--json")
        n = finished.first["ingested"]
        for command in (["ingest", *finished.sources], ["mask"], ["extract"]):
            found = lexveil(*command, *place).json
            assert (found["shards_done_now"], found["rows"]) == (0, n) or found["stage"] == "ingest"
        found = lexveil("train", *place).json
        assert (found["new"], found["name"]) == (False, finished.first["model"])

    def test_the_ledger(self, lexveil: Command, finished: Any) -> None:
        place = ("-w", finished.workspace.root, "--json")
        shown = lexveil("ledger", "show", *place).json
        (population,), (run,) = shown["populations"], shown["runs"]
        assert run["epsilon"] == finished.first["epsilon"]
        assert (population["unit"], run["state"]) == ("owner", "committed")
        assert population["left"] == pytest.approx(population["limit"] - population["spent"])
        assert lexveil("ledger", "verify", *place).json["intact"] is True
        assert lexveil("ledger", "limit", "20", *place).json["populations"][0]["limit"] == 20
        assert lexveil("ledger", "limit", "0", *place).code == 2

    def test_a_broken_ledger_is_exit_code_one(self, lexveil: Command, finished: Any) -> None:
        import sqlite3

        with sqlite3.connect(finished.workspace.protected / "ledger.sqlite") as database:
            (table,) = [
                name
                for (name,) in database.execute("select name from sqlite_master where type = 'table'")
                if "entr" in name or "ledger" in name
            ]
            for (trigger,) in database.execute(
                "select name from sqlite_master where type = 'trigger'"
            ).fetchall():
                database.execute(f'drop trigger "{trigger}"')
            database.execute(f'delete from "{table}" where rowid = (select min(rowid) from "{table}")')
        said = lexveil("ledger", "verify", "-w", finished.workspace.root, "--json")
        assert (said.code, said.json["intact"]) == (1, False)

    def test_quarantine_restore_and_erase(self, lexveil: Command, finished: Any, tmp_path: Path) -> None:
        place = ("-w", finished.workspace.root, "--json")
        found = lexveil("quarantine", *place).json
        assert found["quarantined"] == finished.first["quarantined"]
        part = tables.read_part(next(finished.workspace.masked.glob("part-*")))
        doc_id = tables.to_strings(part, "doc_id")[0]
        told = lexveil("restore", doc_id, "out.txt", *place).json
        text = (tmp_path / "out.txt").read_bytes().decode()
        assert told["characters"] == len(text)
        assert "".join(text.split()) in finished.gold
        assert lexveil("erase", doc_id, *place).json["keys"] == 1
        assert lexveil("restore", doc_id, "again.txt", *place).code == 2

    def test_evaluate(self, lexveil: Command, finished: Any, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl([{"text": "The lessee shall pay.", "label": "contract"}])
        found = lexveil(
            "evaluate", "--model", "linear", "--test", path, "-w", finished.workspace.root, "--json"
        )
        assert set(found.json) == {"micro_f1", "macro_f1", "n"}

    def test_detect_by_workers(self, lexveil: Command, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl([{"id": "a", "text": "Write to john@example.com."}])
        said = lexveil("detect", path, "out.jsonl", "--workers", "1", "--json")
        assert (said.json["documents"], said.json["spans"]) == (1, 1)
        assert said.err == ""
        (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert (row["id"], row["spans"][0]["start"], row["spans"][0]["end"]) == ("a", 9, 25)


def test_people_get_lines(lexveil: Command, finished: Any) -> None:
    said = lexveil("ledger", "show", "-w", finished.workspace.root)
    assert said.code == 0
    assert "owner" in said.out
    assert not said.out.startswith("{")


def test_without_arguments_it_helps(lexveil: Command) -> None:
    said = lexveil()
    assert said.code == 0
    assert "Usage" in said.out
