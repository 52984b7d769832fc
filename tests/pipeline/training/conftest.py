from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import Objective
from lexveil.nlp.encoders.documents import EncodedDocument
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.data import Row, Split

MakeSplit = Callable[..., Split]


@pytest.fixture(scope="session")
def encoder() -> PublicEncoder:
    torch.set_num_threads(1)
    return load_encoder(TrainSettings())


@pytest.fixture
def make_split(encoder: PublicEncoder) -> MakeSplit:
    """Random documents with labels a and b, one per owner; those of one label point in one direction."""

    def make(
        train: int,
        held_out: int = 0,
        objective: Objective = "classify",
        labels: tuple[str, ...] = ("a", "b"),
        seed: int = 1,
    ) -> Split:
        rng = np.random.default_rng(seed)
        centers = rng.normal(size=(2, encoder.dimension))
        rows: list[Row] = []
        for number in range(train + held_out):
            vector = centers[number % 2] + rng.normal(size=encoder.dimension)
            embedding = (vector / np.linalg.norm(vector)).astype(np.float32)
            topics = rng.dirichlet(np.ones(len(labels))).astype(np.float32)
            tokens = [rng.integers(encoder.vocab_size, size=6).tolist()]
            document = EncodedDocument(embedding, tokens, topics, 1, 1)
            rows.append(Row(f"{number:04}", f"o{number:04}", "ab"[number % 2], document))
        return Split(tuple(rows[:train]), tuple(rows[train:]), objective, labels)

    return make
