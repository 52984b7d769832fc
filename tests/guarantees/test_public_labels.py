"""Promise: with a public list of classes, nothing but the weights of a model comes from a document."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lexveil.nlp.encoders.storage import read_config
from lexveil.pipeline.models.card import CARD_FOR_PEOPLE, read_card
from lexveil.pipeline.models.saved import SavedModel, list_models
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.evaluate import evaluate
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.data import OwnerData, Split, load_split
from lexveil.pipeline.training.identity import find_current_model
from lexveil.pipeline.workspace.workspace import Workspace
from tests.conftest import Finished
from tests.flows.command_line import call

CASE = "Jane Roe v. St Mary Hospital (HIV)"
LISTED = ["contract", "tenancy"]
# Words of a label, of a path, and of the fields id and owner.
PRIVATE = ("Jane Roe", "Roe", "Mary", "HIV", "Quillfeather", "Okonkwo", "MRN-4711")
Records = list[dict[str, Any]]


def records(with_private: bool = True) -> Records:
    """Twenty documents of ten owners; the last two owners have labels that are on no list."""
    made: Records = [
        {
            "id": f"MRN-4711-{number}",
            "owner": f"Okonkwo {number // 2}",
            "label": LISTED[number % 2],
            "text": f"Tenant {number} paid the rent in time, and the owner mended roof number {number * 7}.",
        }
        for number in range(20)
    ]
    if not with_private:
        return made[:16]
    made[16]["label"] = CASE
    made[18]["label"] = ["tenancy", CASE]
    return made


def build_settings(**train: Any) -> Settings:
    return Settings.model_validate(
        {
            "ingest": {"owner_field": "owner"},
            "mask": {"detector": "rules"},
            "train": {"steps": 3, "held_out": 0.2, **train},
            "encrypted": {"sample": 2},
        }
    )


def write_source(folder: Path, documents: Records) -> Path:
    source = folder / "Quillfeather file"
    source.mkdir(parents=True)
    (source / "records.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    return source


def open_masked(folder: Path, documents: Records, **train: Any) -> Workspace:
    workspace = Workspace.create_or_open(folder / "workspace", build_settings(**train))
    ingest(workspace, [write_source(folder, documents)])
    mask(workspace)
    return workspace


def read_everything(paths: Iterable[Path]) -> dict[str, bytes]:
    """The bytes of files, and of their decompressed columns."""
    found: dict[str, bytes] = {}
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)  # pyright: ignore[reportUnknownMemberType]
            content += repr((table.to_pylist(), table.schema.metadata)).encode()
        found[str(path)] = content
    return found


def test_no_word_of_a_label_a_path_or_a_field_leaves_with_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "classes.txt").write_text("tenancy\ncontract\n")
    (tmp_path / "lexveil.toml").write_text(
        "[mask]\ndetector = 'rules'\n[train]\nsteps = 3\nheld_out = 0.2\nlabels = 'classes.txt'\n"
    )
    encode(open_masked(tmp_path, records()), "embedding")
    monkeypatch.chdir(tmp_path)
    said = [
        call(capsys, *command, "-w", "workspace")
        for command in (
            ("train", "--workers", 1),
            ("ledger", "export", "ledger.json"),
            ("log", "export", "log.jsonl"),
        )
    ]
    assert [output.code for output in said] == [0] * 3
    root = tmp_path / "workspace"
    leaving = [
        *root.glob("models/*/*"),
        *root.rglob("manifest.json"),
        *tmp_path.glob("l*.json*"),
    ]
    contents = read_everything(path for path in leaving if path.is_file())
    contents["messages"] = repr(said).encode()
    assert len([path for path in contents if "/models/" in path]) == 6
    assert {word: path for path, text in contents.items() for word in PRIVATE if word.encode() in text} == {}
    assert "private documents" not in repr(said)
    (saved,) = list_models(Workspace.open(root))
    card = read_card(saved.folder)
    assert (card["objective"], card["labels"], card["label_source"]) == ("classify", 2, "settings")
    assert "taken from private documents" not in (saved.folder / CARD_FOR_PEOPLE).read_text()


def describe(split: Split) -> set[tuple[str, str, str | None]]:
    """What is trained on."""
    return {(row.owner, row.doc_id, row.label) for row in split.train}


@pytest.mark.parametrize("objective", ["auto", "classify", "multilabel"])
@pytest.mark.parametrize("other", ["drop", "other"])
def test_an_owner_changes_neither_classes_nor_what_others_are_trained_on(
    tmp_path: Path, objective: str, other: str
) -> None:
    train = {"labels": LISTED, "objective": objective, "other_labels": other, "held_out": 0.0}
    workspace = open_masked(tmp_path, records(), **train)
    encode(workspace, "embedding")
    whole = load_split(workspace)
    names = {"drop": ("contract", "tenancy"), "other": ("contract", "other", "tenancy")}[other]
    assert whole.labels == names
    assert whole.objective == ("multilabel" if objective == "multilabel" else "classify")
    assert OwnerData(whole, "linear", 64).n_owners == 10
    keep_rows(workspace, lambda label: label in LISTED)  # the two owners' odd documents were never there
    left = load_split(workspace)
    assert (left.labels, left.objective) == (whole.labels, whole.objective)
    assert describe(left) <= describe(whole)


def keep_rows(workspace: Workspace, wanted: Callable[[str], bool]) -> None:
    """Leave out rows of the encoded parts, as if their documents did not exist."""
    for path in (workspace.encoded / "embedding").glob("part-*.parquet"):
        table = pq.read_table(path)  # pyright: ignore[reportUnknownMemberType]
        rows = [wanted(str(label)) for label in table.column("label").to_pylist()]
        pq.write_table(table.filter(rows), path)  # pyright: ignore[reportUnknownMemberType]


class TestWithoutAList:
    """The set of classes is taken from the documents: the command and the card say so, names are masked."""

    @pytest.fixture(scope="class")
    @classmethod
    def workspace(cls, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
        made = records()
        made[18]["label"] = "tenancy"
        return open_masked(tmp_path_factory.mktemp("without"), made)

    def test_names_are_masked_and_found_again(
        self, workspace: Workspace, caplog: pytest.LogCaptureFixture
    ) -> None:
        before: list[int] = []

        def listen(stage: str, done: int, total: int, documents: int = 0) -> None:
            before.append(len(caplog.records))

        with caplog.at_level(logging.WARNING, logger="lexveil"):
            saved = train(workspace, progress=listen).saved
        line, few = [record.getMessage() for record in caplog.records]
        assert before[0] == 2  # said before the first step
        assert line.startswith("the 3 classes were taken from private documents")
        assert few.startswith("there are only ")
        assert CASE not in line
        contents = read_everything(saved.folder.iterdir())
        assert not [path for path, text in contents.items() for word in PRIVATE[:4] if word.encode() in text]
        assert read_card(saved.folder)["label_source"] == "documents, names masked"
        assert "taken from private documents" in (saved.folder / CARD_FOR_PEOPLE).read_text()
        labels = read_config(saved.folder).labels
        assert len(labels) == 3
        assert set(LISTED) < set(labels)
        assert find_current_model(workspace) == saved
        assert not train(workspace).new
        known = load_split(workspace, known=labels)
        assert known.labels == labels
        utility = evaluate(workspace, saved.name).utility
        assert (utility is not None) == any(row.label for row in known.held_out)  # by a random key

    def test_a_model_of_an_earlier_version_keeps_its_names(self, finished: Finished) -> None:
        """Its labels were not masked: it stays the current model, and nothing is charged again."""
        workspace = finished.workspace.with_settings(finished.settings)
        (saved,) = list_models(workspace)
        _rename_first_label(workspace, saved, CASE)
        assert find_current_model(workspace) == saved
        assert CASE in load_split(workspace, known=read_config(saved.folder).labels).labels


def _rename_first_label(workspace: Workspace, saved: SavedModel, name: str) -> None:
    config = json.loads((saved.folder / "config.json").read_text())
    old, config["labels"][0] = config["labels"][0], name
    (saved.folder / "config.json").write_text(json.dumps(config))
    catalogue = workspace.catalogue.read()
    at = catalogue.column_names.index("label")
    labels = [name if label == old else label for label in catalogue.column("label").to_pylist()]
    import pyarrow as pa

    workspace.catalogue.write(
        catalogue.set_column(at, catalogue.schema.field(at), pa.array(labels, pa.string()))
    )
    for path in (workspace.encoded / "embedding").glob("part-*.parquet"):
        table = pq.read_table(path)  # pyright: ignore[reportUnknownMemberType]
        at = table.column_names.index("label")
        named = [name if label == old else label for label in table.column("label").to_pylist()]
        pq.write_table(table.set_column(at, table.schema.field(at), pa.array(named, pa.string())), path)
