"""Evaluate: scores on documents never seen, and the encrypted check."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file

from fixtures.documents import documents
from lexveil.nlp.encoders.storage import read_config
from lexveil.pipeline.errors import SourceError, TrainingRefusedError
from lexveil.pipeline.job import run_job
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.models.encrypted_check import check_encrypted
from lexveil.pipeline.models.heads import build_head
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.models.scoring import score_classes
from lexveil.pipeline.records import Shard
from lexveil.pipeline.request import make_request
from lexveil.pipeline.serving.export import export_model
from lexveil.pipeline.serving.server.offers import ServingBundle
from lexveil.pipeline.settings import Settings, load_settings
from lexveil.pipeline.stages.evaluate import Evaluation, evaluate, evaluate_file, find_nearest
from lexveil.pipeline.stages.extract import extract
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.training.data import load_split
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.features import find_current_features
from lexveil.pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    from tests.conftest import Finished

WriteJsonl = Callable[..., Path]


def test_the_encrypted_check_agrees(finished_once: Finished) -> None:
    encrypted = finished_once.first["encrypted"]
    assert encrypted["documents"] == 8
    assert encrypted["agreement"] == 1.0
    assert encrypted["max_error"] > 0


def test_the_encrypted_error_is_within_the_stated(finished_once: Finished) -> None:
    workspace = finished_once.workspace
    model = open_model(find_model(workspace, "linear").folder, finished_once.settings)
    rows = (
        tables.read_part(tables.part_path(find_current_features(workspace), 0)).column("features").to_pylist()
    )
    check = check_encrypted(build_head(model), np.asarray(rows, np.float32))
    assert check.agreement == 1.0
    assert 0 < check.max_error <= check.error_bound


def test_utility_is_of_the_held_out(finished_once: Finished) -> None:
    utility = finished_once.first["utility"]
    assert 0 < utility["n"] < finished_once.first["ingested"]
    assert 0 <= utility["macro_f1"] <= 1
    assert 0 <= utility["micro_f1"] <= 1


def test_features_of_one_class_are_near_each_other(finished_once: Finished) -> None:
    near = finished_once.first["neighbors"]
    assert near["n"] == finished_once.first["utility"]["n"]
    assert near["chance"] < near["same_class"] <= 1


def test_without_privacy_only_when_asked(finished_once: Finished) -> None:
    assert finished_once.first["without_privacy"] is None
    asked = finished_once.settings.model_copy(
        update={"train": finished_once.settings.train.model_copy(update={"diagnostics": True})}
    )
    before = sorted(finished_once.workspace.models.iterdir())
    found = evaluate(finished_once.workspace.with_settings(asked))
    assert found.without_privacy is not None
    assert found.without_privacy.n == finished_once.first["utility"]["n"]
    assert sorted(finished_once.workspace.models.iterdir()) == before


def test_scores_are_those_of_all_documents_read_at_once(finished: Finished) -> None:
    workspace = finished.workspace.with_settings(finished.settings)
    model = open_model(find_model(workspace, "linear").folder, workspace.settings)
    split = load_split(workspace, known=model.config.labels)
    vectors: dict[str, Any] = {}
    for path in find_current_features(workspace).glob("part-*"):
        vectors |= {row["doc_id"]: row["features"] for row in tables.read_part(path).to_pylist()}
    result = evaluate(workspace)

    learned, held_out = (sorted(rows, key=lambda row: row.doc_id) for rows in (split.train, split.held_out))
    near, own = (np.array([vectors[row.doc_id] for row in rows], np.float32) for rows in (learned, held_out))
    logits = model.head(torch.from_numpy(own)).detach().numpy()
    assert result.utility == score_classes(model.config, [row.label for row in held_out], logits)
    near, own = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (near, own))
    shares: list[float] = []
    for row, similarity in zip(held_out, own @ near.T, strict=True):
        nearest = [learned[index].label for index in np.argsort(-similarity, kind="stable")[:10]]
        there = sum(other.label == row.label for other in learned)
        shares.append(nearest.count(row.label) / max(1, min(there, 10, len(learned))))
    assert result.neighbors is not None
    assert result.neighbors.same_class == pytest.approx(np.mean(shares), abs=1e-12)
    assert result.neighbors.n == len(held_out)


def test_of_equal_neighbors_the_first_count() -> None:
    values = np.random.default_rng(3).integers(0, 4, (40, 30)).astype(np.float32)
    values[:10] = np.random.default_rng(4).random((10, 30))
    for columns in (30, 11, 10, 3):
        found = np.sort(find_nearest(values[:, :columns]), axis=1)
        expected = np.argsort(-values[:, :columns], axis=1, kind="stable")[:, :10]
        assert np.array_equal(found, np.sort(expected, axis=1))


def test_a_second_evaluation_reads_no_document_and_knows_none_that_was_erased(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: Any) -> pa.Table:
        if path.parent.parent.name in ("encoded", "features"):
            raise AssertionError("read again")
        return whole(path, *_)

    workspace = finished.workspace.with_settings(finished.settings)
    of_few_parts = evaluate(workspace)
    assert not [*workspace.compared.glob("part-*")]  # the features table is small, and read again
    monkeypatch.setattr("lexveil.pipeline.stages.assess._FEW_PARTS", 0)
    first, whole = evaluate(workspace), tables.read_part
    assert without_chance(first) == without_chance(of_few_parts)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "read_part", refuse)
        assert without_chance(evaluate(workspace)) == without_chance(first)
    kept = [part for name in ("assessed", "compared") for part in (workspace.protected / name).glob("part-*")]
    held_out = [row["doc_id"] for row in tables.read_part(kept[0]).to_pylist() if row["held_out"]]
    assert len(kept) == 2
    for doc_id in held_out[:2]:
        assert all(doc_id in tables.to_strings(tables.read_part(part), "doc_id") for part in kept)
        erase(workspace, doc_id)
        assert not any(doc_id in tables.to_strings(tables.read_part(part), "doc_id") for part in kept)
    left = evaluate(workspace)
    shutil.rmtree(workspace.assessed)
    shutil.rmtree(workspace.compared)
    assert without_chance(evaluate(workspace)) == without_chance(left) != without_chance(first)


def without_chance(result: Evaluation) -> Evaluation:
    """The keys of the encrypted check are random, so that its error differs."""
    assert result.encrypted
    return replace(result, encrypted=replace(result.encrypted, max_error=0.0))


def test_a_file_of_records(finished_once: Finished, write_jsonl: WriteJsonl) -> None:
    rows = [{"body": d.text, "area": d.label} for d in documents(8, 99)]
    rows += [{"body": rows[0]["body"], "area": None}, {"body": rows[0]["body"], "area": "unheard of"}]
    chosen = load_settings(ingest={"text_field": "body", "label_field": "area"})
    scores = evaluate_file(finished_once.workspace.with_settings(chosen), "linear", write_jsonl(rows))
    assert scores.n == 9
    assert 0 <= scores.micro_f1 < 1  # the unheard-of label is a miss
    again = evaluate_file(
        finished_once.workspace.with_settings(chosen), finished_once.first["model"], write_jsonl(rows)
    )
    assert again == scores


def test_files_that_cannot_be_scored(
    finished_once: Finished, write_jsonl: WriteJsonl, tmp_path: Path
) -> None:
    workspace = finished_once.workspace
    path = write_jsonl([{"text": "A text."}])
    with pytest.raises(SourceError):
        evaluate_file(workspace.with_settings(load_settings()), "linear", tmp_path / "none.jsonl")
    with pytest.raises(SourceError, match="no labeled document"):
        evaluate_file(workspace.with_settings(load_settings()), "linear", path)
    with pytest.raises(SourceError, match="nowhere"):
        evaluate_file(
            workspace.with_settings(load_settings(ingest={"label_field": "nowhere"})), "linear", path
        )
    with pytest.raises(TrainingRefusedError, match="no model"):
        evaluate_file(workspace.with_settings(load_settings()), "lstm", path)


def test_scores_hold_no_text(finished_once: Finished) -> None:
    shown = json.dumps({name: finished_once.first[name] for name in ("utility", "encrypted", "card")})
    assert not [row for row in finished_once.gold.values() if row["owner"] in shown]


def test_documents_of_several_labels(write_jsonl: WriteJsonl, bert_in: Any, tmp_path: Path) -> None:
    """Trained by binary cross-entropy, scored label by label; a document may have none."""
    text = {"lease": "The tenant shall pay the rent of the premises.", "tax": "The tax return was late."}
    sets = [["lease"], ["tax"], ["lease", "tax"], []]
    rows = [
        {"text": f"Matter {i}. " + " ".join(text[name] for name in sets[i % 4]), "labels": sets[i % 4]}
        for i in range(24)
    ]
    chosen = Settings.model_validate(
        {
            "mask": {"detector": "rules"},
            "train": {
                "encoder": bert_in(tmp_path / "bert"), "chunk_length": 24, "steps": 3, "held_out": 0.3,
                "epsilon": 50,
            },
            "ledger": {"limit_epsilon": 100},
            "encrypted": {"sample": 4},
        }
    )  # fmt: skip
    workspace = Workspace.create_or_open(tmp_path / "workspace")
    result = run_job(workspace, make_request(workspace.with_settings(chosen), [write_jsonl(rows)]))
    assert (result["card"]["objective"], result["card"]["labels"]) == ("multilabel", 2)
    assert 0 <= result["utility"]["micro_f1"] <= 1
    model = find_model(workspace, result["model"])
    assert read_config(model.folder).labels == ("lease", "tax")
    apart = [{"text": "A text.", "label": ["lease", "unheard"]}, {"text": "Another.", "label": "[]"}]
    scores = evaluate_file(
        workspace.with_settings(chosen), result["model"], write_jsonl(apart, "apart.jsonl")
    )
    assert scores.n == 2
    assert scores.micro_f1 <= 2 / 3  # one of the two labels is none of the model's
    with pytest.raises(TrainingRefusedError, match="several labels"):
        export_model(workspace.with_settings(chosen), result["model"], ServingBundle(tmp_path / "bundle"))


def test_a_model_with_topics_tells_what_it_attends_to(finished: Finished) -> None:
    train_settings = {"model": "topic_lstm", "epsilon": 1.0, "steps": 2, "held_out": 0.3}
    settings = Settings.model_validate({**finished.settings.model_dump(), "train": train_settings})
    workspace = finished.workspace.with_settings(settings)
    train(workspace)
    evaluation = evaluate(workspace)
    assert evaluation.utility is not None
    assert sum(one.documents for one in evaluation.attention) == evaluation.utility.n
    labels = read_config(find_model(workspace, "topic_lstm").folder).labels
    for one in evaluation.attention:
        assert one.label in labels
        shares = [share for _, share in one.topics]
        assert shares == sorted(shares, reverse=True)
        assert all(0 < share < 1 for share in shares)
        assert {topic for topic, _ in one.topics} <= set(labels)
    assert not evaluate(finished.workspace.with_settings(finished.settings)).attention


def test_a_model_that_cannot_be_served_encrypted_is_evaluated_all_the_same(finished: Finished) -> None:
    """It is trained and charged already: a run that ended here would end so every night."""
    opened = finished.workspace.with_settings(finished.settings)
    weights = find_model(opened, "linear").folder / "model.safetensors"
    tensors = load_file(weights)
    save_file({name: tensor * 1e6 for name, tensor in tensors.items()}, weights)
    evaluation = evaluate(opened)
    assert evaluation.encrypted is None
    assert evaluation.utility is not None


def replace_vectors(path: Path) -> None:
    """Make the vectors of an encoded part useless, as its key says nothing of."""
    table, result = tables.read_part(path), tables.read_result(path)
    assert result is not None
    zeros = [[0.0] * len(row or ()) for row in table.column("embedding").to_pylist()]
    nothing = pa.array(zeros, pa.list_(pa.float32()))
    at = table.column_names.index("embedding")
    table = table.set_column(at, "embedding", nothing)
    tables.write_part(path.parent, Shard(result.index, result.key), table, result.counts)


def test_the_features_table_is_enough_and_without_it_they_are_computed(finished: Finished) -> None:
    """A night must not read the vectors of the whole workspace for the documents that are held out."""
    opened = finished.workspace.with_settings(finished.settings)
    first = evaluate(opened)
    assert first.utility is not None
    assert asdict(first.utility) == finished.first["utility"]
    features = find_current_features(opened)
    for path in features.glob("part-*.parquet"):
        path.unlink()
    again = evaluate(opened)  # from the encoded documents
    assert again.encrypted
    assert first.encrypted
    assert (again.utility, again.encrypted.documents) == (first.utility, first.encrypted.documents)
    extract(opened)
    for path in (opened.encoded / "embedding").glob("part-*.parquet"):
        replace_vectors(path)
    assert evaluate(opened).utility == first.utility
