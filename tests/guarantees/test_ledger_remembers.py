"""Promise: a population spends its limit once, whatever becomes of its ledger and of the owners' field.

Each way to overspend is gone the user's way, by the commands, and refused in one line.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.postgres import new_database
from lexveil.pipeline.errors import BudgetRefusedError
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.workspace.workspace import Workspace
from tests.flows.command_line import Output, call

if TYPE_CHECKING:
    from tests.conftest import Finished

WORDS = ("lease", "tenant", "notice", "payment", "court", "appeal", "salary", "dismissal", "warranty")
DOCUMENTS, TRAINED_ON, CHUNK = 16, 12, 32


@dataclass(frozen=True)
class Office:
    """`lexveil` on one workspace; its population's limit is 10, and a training costs 8 unless it says."""

    root: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    environment: Mapping[str, str]

    def __call__(self, *arguments: object, **environment: Any) -> Output:
        with self.monkeypatch.context() as patch:
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            return call(self.capsys, *arguments, "-w", self.root, "--json")

    def done(self, *arguments: object, code: int = 0, **environment: Any) -> dict[str, Any]:
        output = self(*arguments, **environment)
        assert output.code == code, output.err
        return output.json

    def spent(self, **environment: Any) -> float:
        (population,) = self.done("ledger", "show", **environment)["populations"]
        return population["spent"]

    def refused(self, *arguments: object, says: str, code: int = 3, **environment: Any) -> None:
        """One line, and no model."""
        before = list_models(Workspace.open(self.root))
        output = self(*arguments, **environment)
        assert (output.code, output.out) == (code, ""), output.err
        assert output.err.startswith("error: ")
        assert output.err.count("\n") == 1
        assert says in output.err
        assert list_models(Workspace.open(self.root)) == before

    @property
    def ledger(self) -> Path:
        return self.root / "protected" / "ledger.sqlite"

    def charges(self) -> list[dict[str, Any]]:
        """The numbers of each charge in the log."""
        return [entry.facts for entry in Workspace.open(self.root).log.read() if entry.action == "charge"]


def write_records(path: Path, numbers: range, owned: bool) -> Path:
    rows = [
        {
            "text": " ".join(WORDS[(at * at + at * word) % len(WORDS)] for word in range(12)) + f" {at}.",
            "label": "ab"[at % 2],
            "split": "train" if at < TRAINED_ON else "test",
            **({"owner": f"o{at // 2}"} if owned else {}),
        }
        for at in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def encoder(bert_in: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bert_in(tmp_path_factory.mktemp("encoder"))


Open = Callable[..., Office]


@pytest.fixture
def office(encoder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Open:
    def open_office(root: Path, **environment: Any) -> Office:
        own = {
            "LEXVEIL_MASK__DETECTOR": "rules",
            "LEXVEIL_TRAIN__ENCODER": str(encoder),
            "LEXVEIL_TRAIN__CHUNK_LENGTH": str(CHUNK),
            "LEXVEIL_TRAIN__STEPS": "3",
            "LEXVEIL_TRAIN__LABELS": '["a", "b"]',
            "LEXVEIL_TRAIN__OBJECTIVE": "classify",
            "LEXVEIL_TRAIN__HELD_OUT": "0",
            "LEXVEIL_WORKERS": "1",
        }
        return Office(root, monkeypatch, capsys, own | environment)

    return open_office


def take_in(root: Path, records: Path, owned: bool, encoder: Path) -> Path:
    """Ingest, mask and encode in this process, so that the commands need no worker."""
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.stages.encode import encode
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask

    settings = {
        "ingest": {"owner_field": "owner" if owned else None, "split_field": "split"},
        "mask": {"detector": "rules"},
        "train": {"encoder": encoder, "chunk_length": CHUNK},
    }
    workspace = Workspace.create_or_open(root, Settings.model_validate(settings))
    ingest(workspace, [records])
    mask(workspace)
    encode(workspace, "embedding")
    return root


@pytest.fixture(scope="module")
def masked_in(encoder: Path) -> Callable[..., Path]:
    """Make a workspace with documents to train on."""

    def make(folder: Path, owned: bool) -> Path:
        records = write_records(folder / "records.jsonl", range(DOCUMENTS), owned)
        return take_in(folder / "workspace", records, owned, encoder)

    return make


@pytest.fixture(scope="module")
def owned_once(masked_in: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return masked_in(tmp_path_factory.mktemp("owned"), owned=True)


@pytest.fixture
def owned(owned_once: Path, tmp_path: Path, office: Open) -> Office:
    """Documents of owners, untrained."""
    return office(Path(shutil.copytree(owned_once, tmp_path / "owned")))


@pytest.fixture
def trained(owned: Office) -> Office:
    """The same, with a model that cost 8 of 10."""
    assert owned.done("train")["new"] is True
    return owned


MORE = ("train", "--model", "mlp")


def test_more_than_the_limit(trained: Office) -> None:
    trained.refused(*MORE, says="is spent, the run alone costs")


class TestUnits:
    def test_another_unit(self, trained: Office) -> None:
        trained.refused(*MORE, says='set ledger.unit to "owner"', LEXVEIL_LEDGER__UNIT="document")
        assert trained.done("train", LEXVEIL_LEDGER__UNIT="document")["new"] is False

    def test_a_new_record_with_an_owner(
        self, masked_in: Callable[..., Path], office: Open, encoder: Path, tmp_path: Path
    ) -> None:
        """Until then each document is its own owner."""
        lexveil = office(masked_in(tmp_path, owned=False))
        assert lexveil.done("train")["unit"] == "document"
        new = write_records(tmp_path / "new.jsonl", range(99, 100), owned=True)
        take_in(lexveil.root, new, owned=True, encoder=encoder)
        lexveil.refused(*MORE, says="counts by document since its first charge, this run counts by owner")
        # By document again, it is one more run on the same people.
        lexveil.refused(*MORE, says="is spent", LEXVEIL_LEDGER__UNIT="document")

    def test_documents_are_counted_one_by_one_where_the_unit_is_the_document(self, owned: Office) -> None:
        card = owned.done("train", LEXVEIL_LEDGER__UNIT="document")
        assert (card["unit"], card["owners"]) == ("document", TRAINED_ON)
        owned.refused(*MORE, says='set ledger.unit to "document"')

    def test_an_owner_whom_no_document_names(
        self, masked_in: Callable[..., Path], office: Open, tmp_path: Path
    ) -> None:
        lexveil = office(masked_in(tmp_path, owned=False))
        lexveil.refused("train", says="ingest.owner_field", code=2, LEXVEIL_LEDGER__UNIT="owner")

    def test_a_ledger_of_two_units_is_read_and_charged_no_more(self, trained: Office) -> None:
        """Earlier versions charged one population under both."""
        from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, Population

        ledger = Ledger(f"sqlite:///{trained.ledger}")
        ledger.set_limit(Population("default"), 10.0, 1e-5)
        ledger.enter_lost(Population("default"), Charge(8.0, 0.2, 10), "of an earlier version")
        ledger.close()
        assert trained.done("ledger", "verify")["intact"] is True
        assert trained.done("train")["new"] is False
        for unit in ("owner", "document"):
            trained.refused(
                "train", "--epsilon", "0.1", says="by owner and by document", LEXVEIL_LEDGER__UNIT=unit
            )


class TestLostLedgers:
    def test_deleted(self, trained: Office) -> None:
        spent = trained.spent()
        trained.ledger.unlink()
        trained.refused(*MORE, says="lacks 1 charge that")
        assert trained.done("ledger", "verify", code=1)["missing_charges"] == 1
        trained.refused("ledger", "limit", "99", says="lacks 1 charge that")
        assert trained.done("train")["new"] is False  # the model that there is costs nothing
        self.recovered(trained, spent)

    def test_deleted_with_log_and_model(self, trained: Office) -> None:
        """The key table alone tells it from a new workspace."""
        trained.ledger.unlink()
        (trained.root / "protected" / "log.jsonl").unlink()
        shutil.rmtree(trained.root / "models")
        trained.refused("train", says="lacks 1 charge that")
        assert trained.done("recover", code=1)["charges_missing"] == 1
        trained.refused("train", says="lacks 1 charge that")

    def test_deleted_with_the_log(self, trained: Office) -> None:
        """The card has the numbers."""
        spent = trained.spent()
        trained.ledger.unlink()
        (trained.root / "protected" / "log.jsonl").unlink()
        trained.refused(*MORE, says="lacks 1 charge that")
        self.recovered(trained, spent)

    def test_older(self, owned: Office, tmp_path: Path) -> None:
        owned.done("train", "--epsilon", "1")
        shutil.copy(owned.ledger, tmp_path / "older")
        owned.done("train", "--epsilon", "2")
        spent = owned.spent()
        shutil.copy(tmp_path / "older", owned.ledger)
        owned.refused("train", "--epsilon", "3", says="lacks 1 charge that")
        self.recovered(owned, spent, entered=1, more=("train", "--epsilon", "9"))
        owned.done("train", "--epsilon", "3")

    def test_older_than_a_lower_limit(self, trained: Office, tmp_path: Path) -> None:
        trained.done("ledger", "limit", "40")
        shutil.copy(trained.ledger, tmp_path / "older")
        trained.done("ledger", "limit", "9")
        shutil.copy(tmp_path / "older", trained.ledger)
        trained.refused(*MORE, says="an older copy")
        self.recovered(trained, trained.spent(), entered=0)

    def test_swapped(self, trained: Office, owned_once: Path, office: Open, tmp_path: Path) -> None:
        other = office(Path(shutil.copytree(owned_once, tmp_path / "other")))
        other.done("train", "--epsilon", "0.5")
        spent = trained.spent()
        elsewhere: dict[str, Any] = {"LEXVEIL_LEDGER__URL": f"sqlite:///{other.ledger}"}
        trained.refused(*MORE, says="lacks 1 charge that", **elsewhere)
        # Or it is a new place of the ledger, to which its charges go along.
        assert trained.done("recover", **elsewhere)["charges_entered"] == 1
        assert trained.spent(**elsewhere) > spent
        trained.refused(*MORE, says="is spent", **elsewhere)

    def test_a_backup_without_what_was_charged_since(
        self, owned: Office, tmp_path: Path, office: Open
    ) -> None:
        key: dict[str, Any] = {
            "LEXVEIL_MASTER_KEY": (owned.root / "protected" / "master.key").read_text().strip()
        }
        owned.done("backup", tmp_path / "backup")
        owned.done("search", "--trials", "2", "--trial-epsilon", "0.5")
        owned.done("train", "--epsilon", "4")
        spent = owned.spent()
        owned.done("log", "export", tmp_path / "log")
        there = office(tmp_path / "there", **key)
        assert there.done("recover", tmp_path / "backup", "--log", tmp_path / "log")["charges_entered"] == 4
        assert there.spent() == pytest.approx(spent)
        assert there.done("ledger", "verify")["intact"] is True
        there.refused("train", "--epsilon", "9", says="is spent")

    def recovered(
        self, lexveil: Office, spent: float, entered: int = 1, more: tuple[str, ...] = MORE
    ) -> None:
        """What is missing is entered again, and counts."""
        assert lexveil.done("recover")["charges_entered"] == entered
        assert lexveil.spent() == pytest.approx(spent)
        assert lexveil.done("ledger", "verify")["intact"] is True
        lexveil.refused(*more, says="is spent")


class TestAnotherWorkspaceOfThePopulation:
    """They share a ledger in PostgreSQL."""

    @pytest.fixture
    def shared(self, postgres: str, request: pytest.FixtureRequest) -> str:
        return new_database(postgres, f"remembers{abs(hash(request.node.name))}")

    def test_counts_the_same_people(
        self, owned_once: Path, masked_in: Callable[..., Path], shared: str, office: Open, tmp_path: Path
    ) -> None:
        url: dict[str, Any] = {"LEXVEIL_LEDGER__URL": shared}
        one = office(Path(shutil.copytree(owned_once, tmp_path / "one")), **url)
        one.done("train")
        two = office(Path(shutil.copytree(owned_once, tmp_path / "two")), **url)
        two.refused("train", says="is spent")
        (tmp_path / "three").mkdir()
        three = office(masked_in(tmp_path / "three", owned=False), **url)
        three.refused("train", says="counts by owner since its first charge, this run counts by document")

    def test_misses_what_a_lost_ledger_held(
        self, owned_once: Path, shared: str, postgres: str, office: Open, tmp_path: Path
    ) -> None:
        one, two = (
            office(Path(shutil.copytree(owned_once, tmp_path / name)), LEXVEIL_LEDGER__URL=shared)
            for name in ("one", "two")
        )
        one.done("train", "--epsilon", "7")
        two.done("train", "--epsilon", "0.1")
        spent = two.spent()
        fresh: dict[str, Any] = {
            "LEXVEIL_LEDGER__URL": new_database(postgres, f"fresh{abs(hash(str(tmp_path)))}")
        }
        two.refused("train", "--epsilon", "7", says="lacks 2 charges", **fresh)
        assert two.done("recover", **fresh)["charges_entered"] == 2
        assert two.spent(**fresh) == pytest.approx(spent)
        one.refused("train", "--epsilon", "6", says="not the ledger", **fresh)


class TestEveryChargeIsInTheLog:
    """Before its run starts, with all its numbers."""

    def test_of_a_training_and_a_search(self, owned: Office) -> None:
        card = owned.done("train", "--epsilon", "1")
        owned.done("search", "--trials", "2", "--trial-epsilon", "0.5")
        first, *trials = owned.charges()
        names = ("noise_multiplier", "sample_rate", "steps", "reservation", "population", "unit", "name")
        assert [first[name] for name in names] == [card[name] for name in names]
        assert first["order"] > 1
        assert (first["limit"], first["delta"]) == (10.0, 1e-5)
        assert len(trials) == 3
        assert all(trial["name"].startswith("search-") for trial in trials)
        runs = self.runs(owned)
        assert [charge["reservation"] for charge in owned.charges()] == runs

    def test_of_the_main_job(self, finished: Finished) -> None:
        workspace = finished.workspace.with_settings(finished.settings)
        (charge,) = (entry.facts for entry in workspace.log.read() if entry.action == "charge")
        assert charge["reservation"] == finished.first["card"]["reservation"]
        (workspace.protected / "ledger.sqlite").unlink()
        more = finished.settings.train.model_copy(update={"model": "mlp"})
        with pytest.raises(BudgetRefusedError, match="lacks 1 charge that"):
            train(workspace.with_settings(finished.settings.model_copy(update={"train": more})))

    def test_of_a_search_that_is_refused_in_the_middle(
        self, owned: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has read nothing: its charges are settled at no cost, and missed by nobody."""
        owned.done("train", "--epsilon", "6")
        search = ("search", "--trials", "9", "--trial-epsilon", "3")
        owned.refused(*search, says="the privacy ledger refuses")
        # As if another process had charged the population after that check.
        for name in ("check_before_charging", "warn_before_training"):
            monkeypatch.setattr(f"lexveil.pipeline.stages.search.{name}", lambda *_: None)
        owned.refused(*search, says="the privacy ledger refuses")
        spent = owned.spent()
        owned.ledger.unlink()
        assert owned.done("recover")["charges_entered"] == 1
        assert owned.spent() == pytest.approx(spent)

    def test_of_a_training_that_is_killed(self, owned: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("lexveil.pipeline.stages.train.save_model", kill)
            with pytest.raises(Killed):
                owned("train")
        assert len(owned.charges()) == 1
        owned.ledger.unlink()
        owned.refused("train", says="lacks 1 charge that")
        assert owned.done("recover")["charges_entered"] == 1
        owned.refused("train", says="is spent")

    @staticmethod
    def runs(lexveil: Office) -> list[str]:
        return [run["reservation"] for run in lexveil.done("ledger", "show")["runs"]]


class Killed(BaseException):
    pass


class TestAnnouncedSchedules:
    def announce(self, lexveil: Office, *more: object) -> dict[str, Any]:
        return lexveil.done("ledger", "announce", "2027", "--runs", 4, "--epsilon", 2, *more)

    def test_trainings_draw_from_it_and_a_lost_ledger_gets_it_back(self, owned: Office) -> None:
        announced = self.announce(owned)
        assert announced["spent"] == owned.spent() < 4 * announced["each"]
        assert announced["composed"] == "by distribution"
        assert owned.done("train", "--epsilon", 2)["epsilon"] == pytest.approx(announced["each"], rel=1e-4)
        assert owned.spent() == announced["spent"]
        shown = owned.done("ledger", "show")
        assert [(one["schedule"], one["runs"], one["used"]) for one in shown["schedules"]] == [("2027", 4, 1)]
        assert [run["schedule"] for run in shown["runs"]] == ["2027"]
        owned.ledger.unlink()
        owned.refused("train", "--model", "mlp", says="the ledger lacks 2 charges")
        assert owned.done("recover")["charges_entered"] == 2
        assert owned.done("ledger", "show")["schedules"] == shown["schedules"]
        assert owned.spent() == announced["spent"]
        assert owned.done("ledger", "verify")["intact"] is True

    def test_one_that_was_announced_twice_or_withdrawn(self, owned: Office) -> None:
        assert self.announce(owned) == self.announce(owned)
        owned.refused("ledger", "announce", "2027", "--runs", 5, says="another schedule of the name 2027")
        owned.refused("ledger", "announce", "big", "--runs", 999, says="together they would cost")
        owned.refused("ledger", "announce", "a b", "--runs", 1, says="the name of a schedule", code=2)
        owned.refused("ledger", "announce", "none", "--runs", 0, says="at least 1", code=2)
        owned.refused(
            "ledger", "announce", "cut", "--runs", 1, says="max_batch", code=2, LEXVEIL_TRAIN__MAX_BATCH="4"
        )
        assert owned.done("ledger", "withdraw", "2027")["spent"] == owned.spent() == 0
        owned.ledger.unlink()
        assert owned.done("recover")["charges_entered"] == 0
        owned.refused("ledger", "withdraw", "2027", says="no schedule of the name 2027")


def kill(*_: Any) -> None:
    raise Killed


class TestAWorkspaceOfBefore:
    """It has no head in the key table, and no charge in its log."""

    @pytest.fixture
    def before(self, trained: Office) -> Office:
        with closing(sqlite3.connect(trained.root / "protected" / "keys.sqlite")) as keys:
            keys.execute("DELETE FROM facts WHERE name LIKE 'note/%'")
            keys.commit()
        (trained.root / "protected" / "log.jsonl").unlink()
        return trained

    def test_takes_over_what_the_ledger_holds(self, before: Office) -> None:
        assert before.done("train")["new"] is False
        assert [charge["steps"] for charge in before.charges()] == [3]
        before.ledger.unlink()
        before.refused(*MORE, says="lacks 1 charge that")

    def test_misses_what_a_card_names(self, before: Office) -> None:
        before.ledger.unlink()
        before.refused(*MORE, says="lacks 1 charge that")


class TestTheRandomnessOfARun:
    """One key is one model, whatever the settings of its replay."""

    def test_is_that_of_the_first_settings(
        self, owned: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Killed between saving and committing, and the model has gone out."""
        started: dict[str, Any] = {"LEXVEIL_TRAIN__OBJECTIVE": "denoise", "LEXVEIL_TRAIN__MICRO_BATCH": "3"}
        with monkeypatch.context() as patch:
            patch.setattr("lexveil.privacy.dp.ledger.ledger.Ledger.commit", kill)
            with pytest.raises(Killed):
                owned("train", **started)
        (model,) = list_models(Workspace.open(owned.root))
        model.folder.rename(tmp_path / "out")
        changed: dict[str, Any] = started | {"LEXVEIL_TRAIN__MICRO_BATCH": "5"}
        assert owned.done("train", **changed)["new"] is True
        (again,) = list_models(Workspace.open(owned.root))
        weights = [path / "model.safetensors" for path in (tmp_path / "out", again.folder)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
        assert len(owned.charges()) == 1


def test_a_secret_is_in_no_backup(owned: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its run goes on here. From the backup it is given up, charged, and made anew."""
    with monkeypatch.context() as patch:
        patch.setattr("lexveil.pipeline.stages.train.save_model", kill)
        with pytest.raises(Killed):
            owned("train", "--epsilon", "2")
    key = (owned.root / "protected" / "master.key").read_text().strip()
    with closing(sqlite3.connect(owned.ledger)) as ledger:
        ((secret,),) = ledger.execute("SELECT secret FROM secrets").fetchall()
    owned.done("backup", tmp_path / "backup")
    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files)
    there = Office(tmp_path / "there", owned.monkeypatch, owned.capsys, owned.environment)
    there.done("recover", tmp_path / "backup", LEXVEIL_MASTER_KEY=key)
    there.done("train", "--epsilon", "2", LEXVEIL_MASTER_KEY=key)
    states = [run["state"] for run in there.done("ledger", "show", LEXVEIL_MASTER_KEY=key)["runs"]]
    assert states == ["abandoned", "committed"]
    assert owned.done("train", "--epsilon", "2")["new"] is True
    assert [run["state"] for run in owned.done("ledger", "show")["runs"]] == ["committed"]
