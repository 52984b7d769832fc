"""Transformers that are trained, through the whole pipeline, over a small encoder of random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lexveil.nlp.encoders.config import Kind
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.storage import save_extractor
from lexveil.nlp.encoders.transformer import get_trained_state
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.job import run_job
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.request import make_request
from lexveil.pipeline.serving.client.extractor import LocalExtractor
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.features import find_current_features
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.ledger import Ledger

KINDS: tuple[Kind, ...] = ("lora", "last_layers", "full")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, bert_in: Callable[..., Path]) -> Path:
    return bert_in(tmp_path_factory.mktemp("small-bert"))


def settings(kind: str, encoder: Path, **more: Any) -> Settings:
    chosen = {"model": kind, "encoder": encoder, "chunk_length": 24, "chunk_limit": 3, "steps": 3, **more}
    sections = {"ingest": {"owner_field": "owner", "shard_documents": 8}, "encrypted": {"sample": 4}}
    return Settings.model_validate({**sections, "train": chosen})


def charged(workspace: Workspace, chosen: Settings) -> list[str]:
    ledger = Ledger(workspace.ledger_url(chosen))
    try:
        return [found.state for name in ledger.populations() for found in ledger.reservations(name)]
    finally:
        ledger.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", ["classify", "denoise"])
def test_every_kind_is_trained_and_charged(
    masked: Workspace, small: Path, kind: Kind, objective: str
) -> None:
    chosen = settings(kind, small, objective=objective, held_out=0.0)
    trained = train(masked.with_settings(chosen))
    assert (trained.new, trained.saved.kind) == (True, kind)
    assert charged(masked, chosen) == ["committed"]
    before, after = PublicEncoder.load(small), open_model(trained.saved.folder, chosen)
    saved = load_file(trained.saved.folder / "model.safetensors")
    assert set(saved) == set(get_trained_state(after))
    assert any(name.startswith("body") and bool(value.any()) for name, value in saved.items())
    # The public encoder is what it was: the model's changes are its own.
    fresh = before.copy_transformer().state_dict()
    reloaded = PublicEncoder.load(small).copy_transformer().state_dict()
    assert all(torch.equal(fresh[name], reloaded[name]) for name in fresh)


def test_the_main_job_over_a_trained_transformer(
    masked: Workspace, masked_once: Workspace, small: Path, tmp_path: Path
) -> None:
    workspace, chosen = masked, settings("lora", small, held_out=0.0)
    result = run_job(
        workspace, make_request(workspace.with_settings(chosen), [masked_once.root.parent / "corpus"])
    )
    assert result["model"].startswith("lora-")
    assert result["encrypted"]["agreement"] == 1.0
    parts = find_current_features(workspace).glob("part-*")
    rows = [row for path in parts for row in tables.read_part(path).to_pylist()]
    assert {row["doc_id"] for row in rows} == set(
        workspace.with_settings(Settings()).catalogue.read().column("doc_id").to_pylist()
    )
    norms = np.linalg.norm([row["features"] for row in rows], axis=1)
    assert norms.max() < 1 + 1e-5

    # What the endpoint gives a client for download turns texts into the same features.
    saved = list_models(workspace)[-1]
    save_extractor(open_model(saved.folder, chosen), tmp_path / "extractor")
    found = LocalExtractor(tmp_path / "extractor", chosen).compute_features(
        ["The lease of the premises ends."]
    )
    assert found.shape == (1, 64)
    assert 0 < np.linalg.norm(found) < 1 + 1e-5


class Scaled(nn.Module):
    """A layer that book-keeping does not know."""

    def __init__(self, inner: nn.Module, width: int) -> None:
        super().__init__()
        self.inner = inner
        self.factor = nn.Parameter(torch.ones(width))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs) * self.factor


def test_a_layer_that_cannot_be_clipped_is_named_and_nothing_is_charged(
    masked: Workspace, bert_in: Callable[..., Path], tmp_path: Path
) -> None:
    folder = bert_in(tmp_path / "bert")
    dense = PublicEncoder.load(folder)._transformer.encoder.layer[1].output  # pyright: ignore[reportPrivateUsage]
    dense.dense = Scaled(dense.dense, 64).requires_grad_(False)
    for kind in ("last_layers", "full"):
        chosen = settings(kind, folder, held_out=0.0)
        with pytest.raises(TrainingRefusedError, match=r"Scaled at '.*layer\.1\.output\.dense'") as refused:
            train(masked.with_settings(chosen))
        assert "\n" not in str(refused.value)
        assert charged(masked, chosen) == []
    assert train(masked.with_settings(settings("lora", folder, held_out=0.0))).new  # it is frozen there


class Mixing(nn.Module):
    """Takes the mean of the batch away, as no layer of a private model may."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=0)


def test_an_encoder_that_mixes_a_batch_is_refused(
    masked: Workspace, bert_in: Callable[..., Path], tmp_path: Path
) -> None:
    folder = bert_in(tmp_path / "bert")
    layer = PublicEncoder.load(folder)._transformer.encoder.layer[0]  # pyright: ignore[reportPrivateUsage]
    layer.output.dropout = Mixing()
    chosen = settings("lora", folder, held_out=0.0)
    with pytest.raises(TrainingRefusedError, match="mixes"):
        train(masked.with_settings(chosen))
    assert charged(masked, chosen) == []


def test_an_encoder_without_projections_is_refused(
    masked: Workspace, bert_in: Callable[..., Path], tmp_path: Path
) -> None:
    folder = bert_in(tmp_path / "bert")
    for layer in PublicEncoder.load(folder)._transformer.encoder.layer:  # pyright: ignore[reportPrivateUsage]
        layer.attention.self.query, layer.attention.self.value = nn.Identity(), nn.Identity()
    with pytest.raises(TrainingRefusedError, match="BertModel has no linear query"):
        train(masked.with_settings(settings("lora", folder, held_out=0.0)))
