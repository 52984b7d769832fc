from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from nlp.encoders.public import PACKAGE, PublicEncoder
from nlp.encoders.topics import PublicTopics


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def encoder() -> PublicEncoder:
    return PublicEncoder.load()


@pytest.fixture(scope="session")
def topics(encoder: PublicEncoder) -> PublicTopics:
    return PublicTopics.load(encoder)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another encoder in a folder of its own: the default's tokenizer, a BERT of random weights."""
    import importlib.util

    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent / "model"
    folder = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=64,
        )  # fmt: skip
        logging.disable_progress_bar()
        BertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copyfile(package / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> PublicEncoder:
    return PublicEncoder.load(tiny_folder)
