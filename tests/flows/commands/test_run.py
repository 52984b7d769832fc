"""`lexveil run` and its stages: what is wrong is said before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lexveil.flows.commands import run
from lexveil.pipeline.workspace.storage import locate
from lexveil.pipeline.workspace.workspace import Workspace
from tests.flows.command_line import Lexveil, assert_refused, contents

if TYPE_CHECKING:
    from tests.conftest import Finished

WriteJsonl = Callable[..., Path]
LABELED = [{"id": i, "text": f"Text {i}.", "label": "ab"[i % 2], "owner": i} for i in range(4)]


class TestBadInput:
    @pytest.mark.parametrize("command", ["run", "ingest"])
    def test_a_missing_folder(self, lexveil: Lexveil, tmp_path: Path, command: str) -> None:
        assert_refused(lexveil, tmp_path, command, "none", "-w", "w", says="none")
        assert_refused(lexveil, tmp_path, command, "none", "--json", says="none")

    @pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf"])
    def test_an_epsilon_that_is_not_valid(
        self, lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl, epsilon: str
    ) -> None:
        path = write_jsonl(LABELED)
        assert_refused(lexveil, tmp_path, "run", path, "-w", "w", "--epsilon", epsilon, says="epsilon")

    def test_key_files(
        self, lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, key = write_jsonl(LABELED), tmp_path / "key"
        key.write_text("ab" * 32)
        key.chmod(0o644)
        monkeypatch.setenv("LEXVEIL_MASTER_KEY_FILE", str(key))
        assert_refused(lexveil, tmp_path, "run", path, "-w", "w", says="chmod 600")
        key.chmod(0o600)
        key.write_text("too short")
        assert_refused(lexveil, tmp_path, "ingest", path, "-w", "w", says="64 hexadecimal")
        monkeypatch.setenv("LEXVEIL_MASTER_KEY_FILE", str(tmp_path))
        assert_refused(lexveil, tmp_path, "run", path, "-w", "w", says="master key")
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "zz" * 32)
        assert_refused(lexveil, tmp_path, "run", path, "-w", "w", says="64 hexadecimal")

    def test_a_folder_that_is_another_thing(
        self, lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl
    ) -> None:
        path = write_jsonl(LABELED, "mine/records.jsonl")
        assert_refused(lexveil, tmp_path, "run", path, "-w", "mine", says="neither a workspace")

    @pytest.mark.parametrize("field", ["label", "owner", "split"])
    def test_a_field_that_does_not_exist(
        self, lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl, field: str
    ) -> None:
        words = ("run", write_jsonl(LABELED), "-w", "w")
        assert_refused(lexveil, tmp_path, *words, f"--{field}-field", "meta.none", says="meta.none")
        assert_refused(lexveil, tmp_path, *words, "--text-field", "none", says="none")

    def test_fewer_than_two_classes(self, lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        words = ("run", write_jsonl([{**row, "label": "a"} for row in LABELED]), "-w", "w")
        assert_refused(lexveil, tmp_path, *words, says="two")
        assert_refused(lexveil, tmp_path, *words, "--label-field", "label", says="two")

    def test_a_plan_shows_what_a_run_would_do_and_writes_nothing(
        self, lexveil: Lexveil, tmp_path: Path, write_jsonl: WriteJsonl
    ) -> None:
        path = write_jsonl(LABELED)
        before = contents(tmp_path)
        shown = lexveil("run", path, "-w", "w", "--plan", "--epsilon", "3")
        assert (shown.code, shown.err) == (0, "")
        assert "may name owners: owner\n" in shown.out
        assert "objective: classify\nepsilon: 3\nspent: 0\nleft: 10\n" in shown.out
        assert shown.out.count("\nwarning: ") == 2
        planned = lexveil("run", path, "-w", "w", "--plan", "--owner-field", "owner", "--json").json
        assert (planned["owners"], planned["unit"], planned["epsilon"]) == (4, "owner", 8.0)
        assert contents(tmp_path) == before

    def test_a_source_of_no_known_kind(self, lexveil: Lexveil, tmp_path: Path) -> None:
        for command in ("run", "ingest"):
            assert_refused(lexveil, tmp_path, command, "nowhere://bucket/inbox", "-w", "w", says="nowhere")

    def test_nothing_is_ingested_masked_or_trained_yet(self, lexveil: Lexveil, tmp_path: Path) -> None:
        _ = Workspace.create_or_open(tmp_path / "w").keys
        for command, says in (("mask", "ingest"), ("train", "mask"), ("extract", "train")):
            output = lexveil(command, "-w", "w")
            assert (output.code, output.out) == (2, ""), output.err
            assert f"lexveil {says}" in output.err

    def test_the_budget(self, lexveil: Lexveil, finished: Finished) -> None:
        output = lexveil("train", "--epsilon", "9.5", "-w", finished.workspace.root, "--json")
        *_, error = output.err.splitlines()  # after a line on classes that documents named
        assert (output.code, output.out, error.split(":")[0]) == (3, "", "error")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("inbox", "inbox"),
        ("inbox/", "inbox"),
        ("my files/records.2025.jsonl", "my_files-records"),
        ("s3://bucket/client a/inbox/", "bucket_client_a_inbox"),
    ],
)
def test_a_source_has_its_own_workspace_unless_one_is_named(
    source: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "://" in source:
        pytest.importorskip("s3fs")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    assert run._default_workspace([locate(source)]) == Path(".lexveil") / name


class TestStagesThatAreDone:
    """One JSON object on stdout. The stages have nothing left to do, so that no worker need start."""

    def test_every_stage(self, lexveil: Lexveil, finished: Finished, tmp_path: Path) -> None:
        (tmp_path / "lexveil.toml").write_text(
            "[ingest]\nowner_field = 'owner'\nshard_documents = 16\n[train]\nsteps = 5\nheld_out = 0.3\n"
        )
        common = ("-w", finished.workspace.root, "--json")
        for command in (["ingest", *finished.sources], ["mask"], ["extract"]):
            result = lexveil(*command, *common).json
            assert result["shards_done_now"] == 0 or result["stage"] == "ingest"
            assert result["rows"] == finished.first["ingested"] or result["stage"] == "ingest"
        result = lexveil("train", *common).json
        assert (result["new"], result["name"]) == (False, finished.first["model"])

    def test_the_log_has_each_of_them(self, lexveil: Lexveil, finished: Finished, tmp_path: Path) -> None:
        (tmp_path / "lexveil.toml").write_text("[ingest]\nowner_field = 'owner'\nshard_documents = 16\n")
        common = ("-w", finished.workspace.root, "--json")
        masked = lexveil("mask", *common).json
        assert lexveil("train", "--epsilon", "9.5", *common).code == 3
        (_, done, _, failed) = Workspace.open(finished.workspace.root).log.read()[-4:]
        assert (done.action, done.outcome, done.facts["rows"]) == ("mask", "done", masked["rows"])
        assert (failed.action, failed.outcome) == ("train", "failed: BudgetRefusedError")

    def test_evaluate(self, lexveil: Lexveil, finished: Finished, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl([{"text": "The lessee shall pay.", "label": "contract"}])
        common = ("-w", finished.workspace.root, "--json")
        result = lexveil("evaluate", "--model", "linear", "--test", path, *common).json
        assert set(result) == {"micro_f1", "macro_f1", "n"}
        assert result["n"] == 1
