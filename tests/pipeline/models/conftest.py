from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.models.card import ModelCard
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, bert_in: Callable[..., Path]) -> Path:
    """A public encoder of random weights, quick to load."""
    folder = tmp_path_factory.mktemp("tiny")
    return bert_in(folder, hidden_size=16, num_hidden_layers=1, intermediate_size=16, vocab_size=30522)


@pytest.fixture
def workspace(tmp_path: Path, tiny_folder: Path) -> Workspace:
    """An empty workspace whose models use the tiny encoder."""
    import torch

    torch.set_num_threads(1)
    settings = Settings.model_validate({"train": {"encoder": tiny_folder, "chunk_length": 32}})
    return Workspace.create_or_open(tmp_path / "workspace", settings)


@pytest.fixture
def make_card() -> Callable[..., ModelCard]:
    def make(**changes: Any) -> ModelCard:
        facts: dict[str, Any] = {
            "name": "linear-0a1b2c3d",
            "kind": "linear",
            "objective": "classify",
            "epsilon": 2.9871,
            "delta": 1e-5,
            "unit": "owner",
            "relation": "add or remove one owner with all of its items",
            "steps": 60,
            "sample_rate": 0.5,
            "noise_multiplier": 4.25,
            "max_grad_norm": 0.1,
            "max_batch": None,
            "max_items_per_owner": 8,
            "owners": 500,
            "documents_left_out": 0,
            "labels": 3,
            "label_source": "settings",
            "population": "default",
            "reservation": "r-1",
            "recipe": "recipe-1",
            "encoder_digest": "0" * 64,
            "created": "2024-05-01T10:00:00.000001+00:00",
            "seeded": False,
        }
        return ModelCard(**{**facts, **changes})

    return make
