"""`lexveil train` on bad input: one line, the right exit code, and a ledger that says what was spent.

Run as a script, this file is the two processes that torchrun would start.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lexveil.flows import cli
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.encoding import encode_texts
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from tests.flows.command_line import Output, call

ROOT = Path(__file__).parents[3]
WORDS = ("lease", "tenant", "notice", "payment", "court", "appeal", "salary", "dismissal", "warranty")
STEPS, CHUNK = 5, 32


def variables(encoder: Path, **settings: object) -> dict[str, str]:
    """The environment that asks for these settings of the training."""
    asked = {
        "steps": STEPS, "encoder": encoder, "chunk_length": CHUNK, "labels": '["a", "b", "c"]', **settings,
    }  # fmt: skip
    return {f"LEXVEIL_TRAIN__{name.upper()}": str(value) for name, value in asked.items()}


@dataclass(frozen=True)
class Training:
    """A workspace whose documents are encoded, and the command that trains on them."""

    workspace: Workspace
    encoder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object, command: str = "train", **settings: object) -> Output:
        location = [] if command == "run" else ["-w", self.workspace.root]
        with self.monkeypatch.context() as patch:
            for name, value in variables(self.encoder, **settings).items():
                patch.setenv(name, value)
            return call(self.capsys, command, *location, "--json", *arguments)

    def runs(self) -> list[tuple[str, int]]:
        """State and charged steps of every run in the ledger, which is intact."""
        ledger, population = open_ledger(self.workspace.with_settings(Settings()))
        try:
            assert ledger.verify().ok
            return [(run.state, run.charged_steps) for run in ledger.reservations(population)]
        finally:
            ledger.close()

    def refused(self, says: str, *arguments: object, code: int = 2, **settings: Any) -> None:
        before = self.files()
        output = self(*arguments, **settings)
        assert (output.code, output.out) == (code, ""), output.err
        assert output.err.startswith("error: ")
        assert output.err.count("\n") == 1
        assert says in output.err
        assert self.files() == before

    def files(self) -> dict[str, bytes]:
        """All that lies in the workspace but its log."""
        folders = (self.workspace.models, self.workspace.training)
        ledger = self.workspace.protected / "ledger.sqlite"
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in (*files, ledger) if path.exists()}


def documents(rows: Sequence[Mapping[str, Any]], folder: Path, encoder: Path) -> Path:
    """A workspace with these documents, masked and encoded. Each row has label and owner."""
    from lexveil.pipeline.stages.encode import encode
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask

    records = [
        {"text": " ".join(WORDS[(at * at + at * word) % len(WORDS)] for word in range(12)) + f" {at}.", **row}
        for at, row in enumerate(rows)
    ]
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    settings = Settings.model_validate(
        {
            "ingest": {"owner_field": "owner"},
            "mask": {"detector": "rules"},
            "train": {"encoder": encoder, "chunk_length": CHUNK},
        }
    )
    workspace = Workspace.create_or_open(folder / "workspace", settings)
    ingest(workspace, [folder / "records.jsonl"])
    mask(workspace)
    encode(workspace, "embedding")
    return workspace.root


@pytest.fixture(scope="module")
def encoder(bert_in: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bert_in(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def usual(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty documents of three classes and ten owners, of whom one has twelve."""
    rows = [{"label": "abc"[at % 3], "owner": str(max(0, at // 2 - 5))} for at in range(30)]
    return documents(rows, tmp_path_factory.mktemp("usual"), encoder)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "MASK__DETECTOR": "rules", "INGEST__OWNER_FIELD": "owner", "TRAIN__HELD_OUT": "0", "WORKERS": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"LEXVEIL_{name}", value)


@pytest.fixture
def training(
    usual: Path,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Training:
    shutil.copytree(usual, tmp_path / "workspace")
    return Training(Workspace.open(tmp_path / "workspace"), encoder, monkeypatch, capsys)


def test_cuda_where_there_is_none(training: Training, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    training.refused("no CUDA device", device="cuda")
    output = training(usual_source(tmp_path), "-w", tmp_path / "new", command="run", device="cuda")
    assert output.code == 2
    assert "no CUDA device" in output.err
    assert not (tmp_path / "new").exists()
    training.refused("train.device", device="gpu")


def usual_source(folder: Path) -> Path:
    path = folder / "some.jsonl"
    rows = [{"text": f"Text {at}.", "label": "ab"[at % 2], "owner": str(at)} for at in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", "1e9"), ("epsilon", "nan"), ("epsilon", "0"), ("epsilon", "1e-300"),
        ("delta", "0"), ("delta", "1"), ("sample_rate", "0"), ("sample_rate", "1.5"),
        ("steps", "0"), ("steps", "10000000000"),
        ("learning_rate", "inf"), ("max_grad_norm", "nan"), ("max_batch", "0"), ("micro_batch", "0"),
        ("max_items_per_owner", "0"), ("checkpoint_seconds", "-1"),
    ],
)  # fmt: skip
def test_settings_that_no_run_can_have(training: Training, name: str, value: str) -> None:
    changed: dict[str, Any] = {name: value}
    training.refused(f"train.{name}", **changed)


def test_a_plan_that_is_impossible(training: Training) -> None:
    training.refused("possible with these settings: learning_rate must be finite", max_grad_norm="1e-320")


def test_weights_that_are_not_finite_are_charged_in_full(training: Training) -> None:
    output = training(learning_rate="1e300", epsilon=2)
    assert (output.code, output.out) == (5, "")
    _, error = output.err.splitlines()  # after the warning of few owners
    assert "error: a weight was not finite after step 0;" in error
    assert training.runs() == [("abandoned", STEPS)]
    assert training.files().keys() == {str(training.workspace.protected / "ledger.sqlite")}
    # Nothing of it stands in the way of the next.
    assert training(epsilon=2).code == 0
    assert training.runs() == [("abandoned", STEPS), ("committed", STEPS)]


def test_what_the_ledger_refuses(training: Training) -> None:
    assert training(epsilon=8).code == 0
    training.refused("the privacy ledger refuses: epsilon", code=3, epsilon=9)
    assert training.runs() == [("committed", STEPS)]


def test_a_broken_ledger(training: Training) -> None:
    import sqlite3

    assert training(epsilon=2).code == 0
    with sqlite3.connect(training.workspace.protected / "ledger.sqlite") as table:
        table.execute("DROP TRIGGER entries_refuse_update")
        table.execute("UPDATE entries SET payload = replace(payload, '5', '4') WHERE kind = 'reserve'")
    training.refused("the ledger's chain is broken at entry 2", code=3, epsilon=1)


def test_a_model_of_another_version(training: Training) -> None:
    assert training(epsilon=2).code == 0
    (folder,) = training.workspace.models.iterdir()
    config = read_json(folder / "config.json")
    assert config is not None
    write_json(folder / "config.json", {**config, "schema_version": 99})
    output = training(command="extract")
    assert (output.code, output.out, output.err.count("\n")) == (2, "", 1)
    assert "another version of Lexveil wrote it" in output.err
    assert training.runs() == [("committed", STEPS)]


def test_chunks_longer_than_the_encoder_takes(encoder: Path) -> None:
    with pytest.raises(
        TrainingRefusedError, match="chunk_length is 128, this public encoder takes at most 64"
    ):
        encode_texts(["Text."], TrainSettings(encoder=encoder, chunk_length=128), "embedding")


def test_draws_have_a_largest_size_and_are_charged_for_it(training: Training) -> None:
    assert training(epsilon=3, max_batch=3, sample_rate=0.4).code == 0
    (folder,) = training.workspace.models.iterdir()
    card = read_json(folder / "card.json")
    assert card is not None
    assert (card["max_batch"], card["owners"]) == (3, 10)
    assert 2.9 < card["epsilon"] <= 3
    ledger, population = open_ledger(training.workspace.with_settings(Settings()))
    (run,) = ledger.reservations(population)
    ledger.close()
    assert run.charge.truncation is not None
    assert (run.charge.truncation.max_batch, run.charge.truncation.n_owners) == (3, 10)


def test_an_owner_of_many_documents_is_cut_and_the_card_says_so(training: Training) -> None:
    assert training(epsilon=3, max_items_per_owner=4, micro_batch=2, sample_rate=1.0).code == 0
    (folder,) = training.workspace.models.iterdir()
    assert "| max items per owner | 4 |" in (folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("a", "1"), ("b", "1"), ("a", "1")], "at least two owners"),
        ([("a", "1"), ("a", "2"), ("a", "3")], "two classes"),
        ([("a", "1"), ("b", "2"), (None, "3")], None),
        ([("a", "1"), ("b", "2"), ("c", "3")], None),
    ],
)
def test_documents_that_cannot_train(
    rows: list[tuple[str | None, str]],
    says: str | None,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = documents([{"label": label, "owner": owner} for label, owner in rows], tmp_path, encoder)
    training = Training(Workspace.open(root), encoder, monkeypatch, capsys)
    if says is None:
        assert training(epsilon=2).code == 0
    else:
        training.refused(says, labels="")


@pytest.mark.parametrize("polish", [5, 6])
def test_another_representation_is_advised_before_documents_in_other_languages_are_charged(
    polish: int,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = ["The tenant pays the rent to the landlord every month, and gives notice of any damage."] * 10
    texts[:polish] = ["Umowa zostaje zawarta na czas nieokreślony, a strony mogą ją zmienić."] * polish
    rows = [
        {"text": f"{text} {at}.", "label": "ab"[at % 2], "owner": str(at)} for at, text in enumerate(texts)
    ]
    root = documents(rows, tmp_path, encoder)
    output = Training(Workspace.open(root), encoder, monkeypatch, capsys)(epsilon=2)
    assert output.code == 0
    advised = [line for line in output.err.splitlines() if '"multilingual-1"' in line]
    assert len(advised) == (polish > 5)


def test_more_classes_than_documents(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes of held-out documents count, since the set of labels is public."""
    monkeypatch.setenv("LEXVEIL_INGEST__SPLIT_FIELD", "split")
    rows = [{"label": str(at), "owner": str(at), "split": "train" if at < 3 else "test"} for at in range(5)]
    folder = tmp_path / "made"
    folder.mkdir()
    records = [{"text": f"{WORDS[at]} {WORDS[at + 1]} {at}.", **row} for at, row in enumerate(rows)]
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.stages.encode import encode
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask

    settings = load_settings(None, train={"encoder": encoder, "chunk_length": CHUNK})
    workspace = Workspace.create_or_open(folder / "workspace", settings)
    ingest(workspace, [folder / "records.jsonl"])
    mask(workspace)
    encode(workspace, "embedding")
    Training(workspace, encoder, monkeypatch, capsys).refused("more documents than classes", labels="")


def test_two_processes_train_what_one_trains(training: Training, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    shared = Path(shutil.copytree(training.workspace.root, tmp_path / "shared"))
    settings: dict[str, Any] = {"epsilon": 2, "micro_batch": 2, "checkpoint_seconds": 0}
    assert training("--seed", 5, **settings).code == 0
    environment = {**os.environ} | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment |= variables(training.encoder, **settings)
    command = [sys.executable, __file__, "train", "-w", str(shared), "--json", "--seed", "5"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    # What the first process refuses ends all of them without a word from the others.
    assert done.returncode == 3
    warning, refusal = done.stderr.splitlines()
    assert "there are only 10 owners" in warning
    assert refusal.startswith("error: the privacy ledger refuses")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["new"] is True
    two = Training(Workspace.open(shared), training.encoder, training.monkeypatch, training.capsys)
    assert two.runs() == training.runs() == [("committed", STEPS)]
    assert [entry.action for entry in two.workspace.log.read()].count("charge") == 1
    assert not list(two.workspace.training.glob("*"))
    folders = [next(one.workspace.models.iterdir()) for one in (two, training)]
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        assert float((tensor - weights[1][name]).abs().max()) <= 1e-5 * float(tensor.abs().max())


def script() -> int:
    """The command in two processes, forked once everything is loaded; then again, with a budget that no
    ledger has. Returns the exit code of the last.
    """
    import lexveil.pipeline.stages.train  # noqa: F401  (before the fork)
    from lexveil.pipeline.models.encoding import load_encoder
    from lexveil.pipeline.settings import load_settings

    load_encoder(load_settings(None).train)
    in_two_processes()
    sys.argv += ["--epsilon", "9.9"]
    return in_two_processes()


def in_two_processes() -> int:
    """Returns the exit code of the first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    os.environ["WORLD_SIZE"] = "2"
    children: list[int] = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            try:
                cli.main()
            except SystemExit as ended:
                sys.stdout.flush()
                os._exit(int(ended.code or 0))
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes[1] == 0
    return codes[0]


if __name__ == "__main__":
    sys.exit(script())
