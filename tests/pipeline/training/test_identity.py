"""Identity of models: what makes another model, and what does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.masking.decisions import compute_decisions_digests
from lexveil.pipeline.models.card import CARD
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.data import Split, load_split
from lexveil.pipeline.training.identity import (
    compute_documents_digest,
    compute_recipe_digest,
    find_current_model,
    find_trained_model,
)
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace

DOCUMENTS = [
    {"id": n, "text": f"The lessee pays the rent of month {n}.", "label": "ab"[n % 2]} for n in range(12)
]
Write = Callable[..., Path]


def make_settings(**more: Any) -> Settings:
    sections: dict[str, dict[str, Any]] = {
        "mask": {"detector": "rules"},
        "train": {"steps": 2, "held_out": 0.0},
    }
    for name, values in more.items():
        sections[name] = {**sections.get(name, {}), **values}
    return Settings.model_validate(sections)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("identity")
    source = folder / "records.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in DOCUMENTS))
    workspace = Workspace.create_or_open(folder / "workspace", make_settings())
    ingest(workspace, [source])
    mask(workspace)
    train(workspace)
    return workspace


@pytest.fixture
def trained(trained_once: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(trained_once.root, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace", make_settings())


def digest(workspace: Workspace) -> str:
    return compute_documents_digest(workspace, compute_decisions_digests(workspace))


class TestRecipe:
    @pytest.mark.parametrize(
        "more",
        [
            {"train": {"epsilon": 4}},
            {"train": {"steps": 3}},
            {"train": {"model": "mlp"}},
            {"train": {"held_out": 0.1}},
            {"train": {"chunk_length": 64}},
            {"train": {"chunk_ends": "paragraphs"}},
            {"train": {"representation": "legal-1"}},
            {"train": {"precision": "int8"}},
            {"ledger": {"population": "another"}},
        ],
        ids=lambda more: str(next(iter(more.values()))),
    )
    def test_a_setting_of_the_training_makes_another_recipe(self, more: dict[str, Any]) -> None:
        assert compute_recipe_digest(make_settings(**more)) != compute_recipe_digest(make_settings())

    @pytest.mark.parametrize(
        "more",
        [
            {"train": {"diagnostics": False}},
            {"train": {"chunk_ends": "length"}},
            {"train": {"representation": "embedding"}},
            {"train": {"precision": "bfloat16"}},
            {"train": {"device": "cpu"}},
            {"train": {"micro_batch": 7}},
            {"train": {"checkpoint_seconds": 1}},
            {"encrypted": {"sample": 3}},
            {"ledger": {"limit_epsilon": 99}},
        ],
        ids=lambda more: str(next(iter(more.values()))),
    )
    def test_how_it_is_computed_does_not(self, more: dict[str, Any]) -> None:
        assert compute_recipe_digest(make_settings(**more)) == compute_recipe_digest(make_settings())


class TestDocuments:
    def test_the_same_documents_have_the_same_digest_wherever_they_are(
        self, trained: Workspace, trained_once: Workspace
    ) -> None:
        assert digest(trained) == digest(trained_once)

    @pytest.mark.parametrize(
        "change",
        [{"text": "Another text."}, {"label": "b"}, {"label": None}],
        ids=["text", "label", "no label"],
    )
    def test_a_changed_document_changes_it(
        self, tmp_path: Path, write_jsonl: Write, change: dict[str, Any]
    ) -> None:
        source = write_jsonl(DOCUMENTS)
        workspace = Workspace.create_or_open(tmp_path / "w", make_settings())
        ingest(workspace, [source])
        before = digest(workspace)
        write_jsonl([DOCUMENTS[0] | change, *DOCUMENTS[1:]])
        ingest(workspace, [source])
        assert digest(workspace) != before

    def test_their_order_in_the_source_does_not(self, tmp_path: Path, write_jsonl: Write) -> None:
        source = write_jsonl(DOCUMENTS)
        workspace = Workspace.create_or_open(tmp_path / "w", make_settings())
        ingest(workspace, [source])
        before = digest(workspace)
        write_jsonl(DOCUMENTS[::-1])
        ingest(workspace, [source])
        assert digest(workspace) == before

    def test_another_policy_or_decision_does(self, trained: Workspace) -> None:
        strict = trained.with_settings(make_settings(mask={"detector": "rules", "preset": "strict"}))
        digests = {
            digest(trained),
            digest(strict),
            compute_documents_digest(trained, {"d1": "x"}),
            compute_documents_digest(trained, {"d1": "y"}),
            compute_documents_digest(trained, {"d2": "x"}),
        }
        assert len(digests) == 5


class TestFinding:
    def split(self, workspace: Workspace) -> Split:
        return load_split(workspace)

    def test_the_model_of_these_documents_is_found(self, trained: Workspace) -> None:
        found = find_trained_model(trained, self.split(trained), digest(trained))
        assert found is not None
        assert found == find_current_model(trained)
        assert find_trained_model(trained, self.split(trained), "other documents") is None

    def test_another_recipe_has_no_model(self, trained: Workspace) -> None:
        other = trained.with_settings(make_settings(train={"epsilon": 4}))
        assert find_trained_model(other, self.split(trained), digest(trained)) is None
        assert find_current_model(other) is None

    def test_a_model_without_a_digest_counts_by_its_owners_and_labels(self, trained: Workspace) -> None:
        for path in (trained.protected / "models").iterdir():
            path.unlink()
        split = self.split(trained)
        assert find_trained_model(trained, split, "whatever") == find_current_model(trained)
        (path,) = trained.models.glob(f"*/{CARD}")
        write_json(path, {**(read_json(path) or {}), "owners": split.n_owners + 1})
        assert find_trained_model(trained, split, "whatever") is None

    def test_the_digest_of_the_documents_stays_inside(self, trained: Workspace) -> None:
        (path,) = (trained.protected / "models").iterdir()
        assert read_json(path) == {"documents": digest(trained), "unprotected_zeros": 0}
        for file in trained.models.rglob("*"):
            assert not file.is_file() or digest(trained).encode() not in file.read_bytes()

    def test_new_documents_need_no_new_model_unless_they_have_new_labels(
        self, trained: Workspace, write_jsonl: Write
    ) -> None:
        model = find_current_model(trained)
        known = {"id": 50, "text": "A new lease is signed.", "label": "a"}
        ingest(trained, [write_jsonl([*DOCUMENTS, known])])
        assert find_current_model(trained) == model
        ingest(trained, [write_jsonl([*DOCUMENTS, known | {"label": "c"}])])
        assert find_current_model(trained) is None
        ingest(trained, [write_jsonl([*DOCUMENTS, known | {"label": '["a", "b"]'}])])
        assert find_current_model(trained) is None  # the objective is another

    def test_a_model_that_cannot_be_read_is_an_error_not_a_new_training(self, trained: Workspace) -> None:
        (path,) = trained.models.glob("*/config.json")
        path.write_text("{")
        with pytest.raises(TrainingRefusedError, match=r"config\.json is broken"):
            find_current_model(trained)
