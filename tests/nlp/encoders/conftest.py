from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # else `make quick` would load torch for no test
    from lexveil.nlp.encoders.public import PublicEncoder
    from lexveil.nlp.encoders.topics import PublicTopics


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    if torch := sys.modules.get("torch"):  # else no test of this run needs it
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def encoder() -> PublicEncoder:
    from lexveil.nlp.encoders.public import PublicEncoder

    return PublicEncoder.load()


@pytest.fixture(scope="session")
def topics(encoder: PublicEncoder) -> PublicTopics:
    from lexveil.nlp.encoders.topics import PublicTopics

    return PublicTopics.load(encoder)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, bert_in: Callable[..., Path]) -> Path:
    """Another encoder in a folder of its own."""
    return bert_in(
        tmp_path_factory.mktemp("tiny"),
        hidden_size=16,
        num_hidden_layers=1,
        intermediate_size=16,
        vocab_size=30522,
    )


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> PublicEncoder:
    from lexveil.nlp.encoders.public import PublicEncoder

    return PublicEncoder.load(tiny_folder)
