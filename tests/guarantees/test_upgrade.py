"""An upgrade of Lexveil: nothing that was paid for is paid for again, and what exists goes on."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import signal
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.pipeline.settings import load_settings
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.workspace import Workspace
from tests.deadlines import HANGS_AFTER, wait_until
from tests.flows.command_line import call

if TYPE_CHECKING:
    from tests.conftest import Command, Finished, PrefectServer

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "nlp", "privacy", "flows")
SENTENCES = (
    (
        "The design of the bottle is dictated by its function, the challenger says, and was shown at "
        "a fair before the filing date. An injunction is sought against further copying, together "
        "with delivery up of the infringing copies. The melody of sixteen bars returns in the "
        "refrain; fair use is pleaded because the article was news."
    ),
    (
        "The petition pleads irreconcilable differences; the divorce itself is not opposed, only its "
        "financial consequences. The children live with the mother and see the father every second "
        "weekend; maintenance is in dispute."
    ),
    (
        "The bonus for the year was withheld although the targets had been met. After the transfer of "
        "the business the staff kept their continuity of service, and the new employer was bound by "
        "the collective agreement. A supervisor told staff that shifts would be cut."
    ),
)
NOTHING_TO_MASK = [f"{text} {text.replace('.', ';')}" for text in SENTENCES]
EARLIER = ROOT / "fixtures" / "workspaces" / "faa0730.tar.xz"


def charges(workspace: Workspace) -> list[str]:
    """The hashes of all entries of the ledger."""
    ledger, _ = open_ledger(workspace)
    assert ledger.verify().ok
    return [entry.hash for entry in ledger.entries()]


def edit_docstrings(folder: Path) -> int:
    """Change every module docstring and add a comment. Returns the number of files."""
    edited = 0
    for file in folder.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        body = ast.parse(text).body
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            file.write_text(text.replace('"""', '"""Edited. ', 1) + "# A comment.\n", encoding="utf-8")
            edited += 1
    return edited


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with a copy of the package in which every docstring was edited."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            tmp_path / "edited" / "lexveil" / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        assert edit_docstrings(tmp_path / "edited" / "lexveil" / package) > 10
    shutil.copy(ROOT / "src" / "lexveil" / "__init__.py", tmp_path / "edited" / "lexveil")
    return tmp_path / "edited"


# Prints where the package is, then calls the command with each list of arguments.
COMMANDS = """
import json, sys
import lexveil
from lexveil.flows.cli import main

print(lexveil.__file__)
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as end:
        if end.code:
            raise
"""


class TestDocstringsAreEdited:
    def test_nothing_is_charged_and_nothing_redone(
        self,
        finished: Finished,
        command_in: Callable[[Path], Command],
        prefect_server: PrefectServer,
        edited: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "lexveil.toml").write_text(
            "[ingest]\nowner_field = 'owner'\nshard_documents = 16\n[train]\nsteps = 5\nheld_out = 0.3\n"
            "[encrypted]\nsample = 8\n[ledger]\nlimit_epsilon = 30.0\n"
        )
        monkeypatch.chdir(tmp_path)
        command, root = command_in(tmp_path), finished.workspace.root
        workspace = finished.workspace.with_settings(finished.settings)
        end = ("-w", str(root), "--json")
        run = ("run", str(finished.sources[0]), *end)
        search = ("search", "--trials", "2", "--trial-epsilon", "0.1", *end)
        assert call(capsys, "ledger", "limit", "30", *end).code == 0
        searched = call(capsys, *search).json
        # With the new limit, which the report shows.
        done = command.run(*run, PREFECT_API_URL=prefect_server.url)
        assert done.returncode == 0, done.stderr
        before, parts = charges(workspace), _contents(root)

        (tmp_path / "commands.py").write_text(COMMANDS)
        commands = json.dumps([run, ("train", *end), search])
        again = command.run_script(
            tmp_path / "commands.py", commands, PYTHONPATH=f"{edited}{os.pathsep}{ROOT}"
        )
        assert again.returncode == 0, again.stderr
        where, *printed = again.stdout.splitlines()
        assert where == str(edited / "lexveil" / "__init__.py")
        ran, trained, searched_again = map(json.loads, printed)
        assert (ran["changed"], trained["new"], searched_again) == (False, False, searched)
        assert charges(workspace) == before
        assert _contents(root) == parts


def _contents(root: Path) -> dict[str, bytes]:
    """Every part and model."""
    files = [*root.rglob("*.parquet"), *root.rglob("*.safetensors"), *root.rglob("card.json")]
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def test_a_rule_that_changed_redoes_the_masking_and_charges_nothing(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts may differ then; the model stays the model of its documents."""
    from lexveil.pipeline.stages.mask import mask

    workspace = finished.workspace.with_settings(finished.settings)
    before = charges(workspace)
    monkeypatch.setattr("lexveil.pipeline.stages.mask.code_digest", lambda module: "another")
    manifest = mask(workspace)
    assert manifest.redone == {
        "mask": f"{manifest.done_now} of {len(manifest.shards)} shards redone: the code changed"
    }
    assert train(workspace).new is False
    assert charges(workspace) == before


def test_documents_that_changed_are_trained_on_again(finished: Finished) -> None:
    from lexveil.pipeline.maintenance.erasure import erase
    from lexveil.pipeline.stages.mask import mask

    settings = finished.settings.model_copy(
        update={"ledger": finished.settings.ledger.model_copy(update={"limit_epsilon": 30.0})}
    )
    workspace = finished.workspace.with_settings(settings)
    ledger, population = open_ledger(workspace)
    ledger.set_limit(population, 30.0, 1e-5)
    before = len(charges(workspace))
    erase(workspace, workspace.catalogue.read().column("doc_id")[0].as_py())
    mask(workspace)
    assert train(workspace).new is True
    assert len(charges(workspace)) > before


class TestWorkspaceOfAnEarlierVersion:
    """Made by commit faa0730 from twelve synthetic documents: trained, searched, served to a client."""

    @pytest.fixture(scope="class")
    @classmethod
    def office(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("office")
        with tarfile.open(EARLIER) as archive:
            archive.extractall(folder, filter="tar")
        return folder

    @pytest.fixture
    def lexveil(
        self, office: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[..., dict[str, Any]]:
        """Run a command on the workspace, in this process, and return its JSON."""
        monkeypatch.chdir(office)
        monkeypatch.setenv("XDG_STATE_HOME", str(office / "state"))
        monkeypatch.setenv("LEXVEIL_TRAIN__STEPS", "5")

        def run(*arguments: str) -> dict[str, Any]:
            done = call(capsys, *arguments, "--json")
            assert done.code == 0, done.err
            return done.json

        return run

    @pytest.fixture
    def workspace(self, office: Path) -> Workspace:
        return Workspace.open(office / "workspace", load_settings(office / "lexveil.toml"))

    def test_ledger_and_log_are_intact(self, lexveil: Any) -> None:
        assert lexveil("ledger", "verify", "-w", "workspace")["intact"] is True
        assert lexveil("log", "verify", "-w", "workspace")["broken_at"] is None

    def test_training_and_searching_again_charge_nothing(self, lexveil: Any, workspace: Workspace) -> None:
        before = charges(workspace)
        assert lexveil("train", "-w", "workspace")["new"] is False
        found = lexveil("search", "--trials", "2", "--trial-epsilon", "0.5", "-w", "workspace")
        assert round(found["spent"], 3) == 8.959  # 8.954 at the whole delta: 1 % of it is for other orders
        assert charges(workspace) == before

    def test_a_run_redoes_what_must_be_and_says_why(
        self,
        office: Path,
        command_in: Callable[[Path], Command],
        prefect_server: PrefectServer,
        lexveil: Any,
        workspace: Workspace,
    ) -> None:
        """Its source files are gone from where they were, as from a drop folder."""
        before, model = charges(workspace), sorted(path.name for path in workspace.models.iterdir())
        done = command_in(office).run(
            "run", "src/corpus", "-w", "workspace", "--json", PREFECT_API_URL=prefect_server.url
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert (result["masked"], result["trained_now"]) == (12, False)
        assert result["redone"]["mask"].endswith("an earlier version of Lexveil made them")
        assert charges(workspace) == before
        assert sorted(path.name for path in workspace.models.iterdir()) == model
        assert lexveil("train", "-w", "workspace")["new"] is False
        assert lexveil("run", "src/corpus", "-w", "workspace")["changed"] is False

    def test_the_model_is_served_to_the_client_that_knows_it(
        self, office: Path, lexveil: Any, command_in: Callable[[Path], Command]
    ) -> None:
        """The client has the server's key pinned, and secret keys of its own.

        Its texts hold nothing to mask: what the rules find may change, what a model answers may not.
        """
        records = [
            {"id": f"text-{number}", "owner": "client", "text": text}
            for number, text in enumerate(NOTHING_TO_MASK)
        ]
        (office / "few.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        _pin_to(office / "state", port)
        state = str(office / "state")
        process = command_in(office).start(
            "serve", "-w", "workspace", "--port", str(port), XDG_STATE_HOME=state
        )
        try:
            wait_until(lambda: _answers(port) or process.poll() is not None)
            found = lexveil("classify", "few.jsonl", "labels.jsonl", "--url", f"http://127.0.0.1:{port}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=HANGS_AFTER)
        assert (found["documents"], found["unreadable"]) == (3, 0)
        labels = [json.loads(line)["label"] for line in (office / "labels.jsonl").read_text().splitlines()]
        assert labels == ["intellectual_property", "family", "contract"]  # what the earlier version answered

    def test_documents_are_restored_and_erased(
        self, office: Path, lexveil: Any, workspace: Workspace
    ) -> None:
        doc_id = workspace.catalogue.read().column("doc_id")[0].as_py()
        lexveil("restore", doc_id, "original.txt", "-w", "workspace")
        records = (office / "src/corpus/records/matters.jsonl").read_text().splitlines()
        assert (office / "original.txt").read_text() in {json.loads(line)["text"] for line in records}
        erased = lexveil("erase", doc_id, "-w", "workspace")
        assert erased["scan"]["left"] == 0
        assert doc_id not in workspace.catalogue.read().column("doc_id").to_pylist()
        assert lexveil("log", "verify", "-w", "workspace")["broken_at"] is None


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _pin_to(state: Path, port: int) -> None:
    """The client's folder for an endpoint is named after its address: put it where this test's server is."""
    (known,) = (state / "lexveil" / "endpoints").iterdir()
    known.rename(known.with_name(hashlib.sha256(f"http://127.0.0.1:{port}".encode()).hexdigest()[:16]))
