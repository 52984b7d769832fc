"""Promise: where documents have several owners, each one of them moves a step by at most the clip."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.owners import CLIP, compare_neighbors, make_corpus, sum_of_step
from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.pipeline.errors import BudgetRefusedError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.release import release_score
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.data import Row, Split
from lexveil.pipeline.training.ownership import choose_groups
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import DocumentIds, join_owners, split_owners
from lexveil.pipeline.workspace.workspace import Workspace

Write = Callable[..., Path]


def random_graph(rng: random.Random) -> list[str]:
    """The owners of each document: stars around one who has documents with all, chains, and single ones."""
    people = [f"{number:02x}" for number in range(rng.randint(2, 12))]
    documents: list[str] = []
    for _ in range(rng.randint(2, 40)):
        some = rng.sample(people, rng.randint(1, min(4, len(people))))
        documents.append(join_owners([*some, people[0]] if rng.random() < 0.3 else some))
    return documents


class TestChoice:
    def test_no_owner_is_in_two_groups_and_none_could_be_added(self) -> None:
        rng = random.Random(5)
        for _ in range(300):
            owners = random_graph(rng)
            chosen = choose_groups(owners)
            members = [owner for group in chosen for owner in split_owners(group)]
            assert len(members) == len(set(members))
            assert all(set(members).intersection(split_owners(group)) for group in owners)
            assert choose_groups(rng.sample(owners, len(owners))) == chosen

    def test_of_single_owners_all_are_chosen(self) -> None:
        assert choose_groups("abca") == {"a", "b", "c"}

    def test_groups_with_many_documents_per_owner_come_first(self) -> None:
        assert choose_groups(["a", "a+b", "a+b", "a+b", "b"]) == {"a+b"}
        assert choose_groups(["a", "a+b", "b"]) == {"a", "b"}


def test_each_owner_of_a_random_graph_moves_a_step_by_at_most_the_clip() -> None:
    """Removed are all documents of an owner, those with others too; the groups stay as they were chosen."""
    rng, numbers = random.Random(7), np.random.default_rng(7)
    settings = TrainSettings(model="linear")
    for _ in range(6):
        rows: list[Row] = []
        for at, owner in enumerate([*random_graph(rng), "fe", "ff"]):
            embedding = numbers.normal(size=384).astype(np.float32)
            encoded = EncodedDocument(embedding, [], None, 1, 1)
            rows.append(Row(str(at), owner, "ab"[at % 2], encoded))
        chosen = choose_groups(row.owner for row in rows)
        whole = Split(tuple(row for row in rows if row.owner in chosen), (), "classify", ("a", "b"))
        total = sum_of_step(whole, "linear", settings)
        for owner in {one for row in rows for one in split_owners(row.owner)} - {"fe", "ff"}:
            left = tuple(row for row in whole.train if owner not in split_owners(row.owner))
            moved = total - sum_of_step(replace(whole, train=left), "linear", settings)
            assert float(moved.norm()) <= CLIP


def test_through_the_whole_pipeline(tmp_path: Path) -> None:
    found = compare_neighbors(
        make_corpus(17, several_labels=False, several_owners=True), tmp_path, ("linear",)
    )
    assert found.moves["linear"] <= 1
    assert not found.others_changed


def settings(**train_settings: Any) -> Settings:
    return Settings.model_validate(
        {
            "ingest": {"owner_field": "parties"},
            "mask": {"detector": "rules"},
            "train": {"steps": 2, "held_out": 0.0, **train_settings},
        }
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create_or_open(tmp_path / "workspace", settings())


class TestReading:
    def test_lists_in_every_kind_of_source(
        self, workspace: Workspace, tmp_path: Path, write_jsonl: Write
    ) -> None:
        source = write_jsonl([{"text": "One.", "parties": ["a", "b"]}], "in/a.jsonl").parent
        (source / "b.csv").write_text('text,parties\nTwo.,"[""b"", ""a""]"\nThree.,a\nFour.,[A] Ltd\n')
        table = pa.table({"text": ["Five."], "parties": [["b", "a", "b"]]})
        pq.write_table(table, source / "c.parquet")
        (source / "d.txt").write_text("Six.")
        write_jsonl([{"file_name": "d.txt", "parties": ["a", "b"]}], "in/metadata.jsonl")
        ingest(workspace, [source])
        ids = DocumentIds(workspace.keys)
        owners = sorted(tables.to_strings(workspace.catalogue.read(), "owner"))
        both = ids.owner("a", "b")
        assert split_owners(both) == sorted([ids.owner("a"), ids.owner("b")])
        assert owners == sorted([both] * 4 + [ids.owner("a"), ids.owner("[A] Ltd")])

    @pytest.mark.parametrize("parties", [[], ["a", None], ["a", ""], [["a"]], "[]"])
    def test_a_list_in_which_someone_is_missing_goes_to_the_quarantine(
        self, workspace: Workspace, write_jsonl: Write, parties: Any
    ) -> None:
        rows = [{"text": "One.", "parties": parties}, {"text": "Two.", "parties": "a"}]
        assert ingest(workspace, [write_jsonl(rows)]).counts()["quarantine:missing_owner"] == 1

    def test_the_same_text_of_one_owner_and_of_two_are_two_documents(
        self, workspace: Workspace, write_jsonl: Write
    ) -> None:
        parties: list[Any] = ["a", ["a", "b"], ["b", "a"], ["a"]]
        counts = ingest(
            workspace, [write_jsonl({"text": "One.", "parties": one} for one in parties)]
        ).counts()
        assert (counts["documents"], counts["duplicates"]) == (2, 2)

    def test_an_owner_is_erased_with_what_it_has_with_others(
        self, workspace: Workspace, write_jsonl: Write
    ) -> None:
        parties: list[Any] = ["a", ["a", "b"], "b", ["b", "c"]]
        source = write_jsonl({"text": f"Text {n}.", "parties": one} for n, one in enumerate(parties))
        ingest(workspace, [source])
        gone = erase(workspace, owner="a")
        assert (len(gone.doc_ids), gone.scan.left) == (2, 0)
        ids = DocumentIds(workspace.keys)
        left = sorted([ids.owner("b"), ids.owner("b", "c")])
        assert sorted(tables.to_strings(workspace.catalogue.read(), "owner")) == left


class TestTraining:
    def records(self, *parties: Any) -> list[dict[str, Any]]:
        return [
            {"text": f"Lease {n} of a flat.", "label": "ab"[n % 2], "parties": one}
            for n, one in enumerate(parties)
        ]

    def prepare(self, workspace: Workspace, source: Path) -> None:
        ingest(workspace, [source])
        mask(workspace)

    def test_the_relation_and_what_is_left_out_are_said_before_and_on_the_card(
        self, workspace: Workspace, write_jsonl: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.prepare(workspace, write_jsonl(self.records(["a", "b"], ["a", "c"], "d", "e", ["a", "b"])))
        with caplog.at_level(logging.WARNING, logger="lexveil"):
            logging.getLogger("lexveil").propagate = True
            outcome = train(workspace)
        assert "1 of 5 documents are left out" in caplog.text
        card = read_card(outcome.saved.folder)
        assert (card["owners"], card["documents_left_out"]) == (3, 1)
        assert card["relation"].startswith("remove one owner with all documents that it has")
        ledger, population = open_ledger(workspace)
        assert population.relation == "fixed_graph_remove_one"
        assert len(ledger.reservations(population)) == 1
        self.prepare(workspace, write_jsonl(self.records("d", "e", "f"), "records.jsonl"))
        assert open_ledger(workspace)[1] == population  # single owners are a case of it

    def test_what_is_left_out_is_said_before_a_score_is_released(
        self, workspace: Workspace, write_jsonl: Write, caplog: pytest.LogCaptureFixture
    ) -> None:
        records = self.records(*(["a", "b"], ["a", "c"]), *(f"o{n}" for n in range(14)))
        self.prepare(workspace, write_jsonl(records))
        train(workspace)
        settings = workspace.settings
        held_out = settings.train.model_copy(update={"held_out": 0.4})
        workspace = workspace.with_settings(settings.model_copy(update={"train": held_out}))
        with caplog.at_level(logging.WARNING, logger="lexveil"):
            logging.getLogger("lexveil").propagate = True
            caplog.clear()
            release_score(workspace, "linear", 0.5)
        assert "documents are left out" in caplog.text
        assert "knows little beyond" not in caplog.text

    def test_one_population_does_not_count_under_two_relations(
        self, workspace: Workspace, write_jsonl: Write
    ) -> None:
        self.prepare(workspace, write_jsonl(self.records("d", "e")))
        train(workspace)
        self.prepare(workspace, write_jsonl(self.records("d", "e", ["a", "b"])))
        with pytest.raises(BudgetRefusedError, match="fixed_graph_remove_one instead of add_or_remove_one"):
            train(workspace)
