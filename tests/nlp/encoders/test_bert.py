"""The small BERT computes what transformers computes, and leaves to it what it does not know."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lexveil.nlp.encoders.bert import read_bert
from lexveil.nlp.encoders.public import EncoderLoadError, PublicEncoder, find_package_folder

TEXTS = (
    "The court held that the agreement was void. [MASK] [SEP]",
    "Zürich, Straße Nr. 5 \u2014 naïve façade; e\u0301galite\u0301, \U0001f600!",
    "被告人犯盗窃罪，判处有期徒刑一年。",
)


@pytest.fixture
def changed(tiny_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the small encoder's folder with other entries in one of its files."""

    def change(file: str, **entries: Any) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(tiny_folder, folder)
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        (folder / file).write_text(json.dumps({**content, **entries}), encoding="utf-8")
        return folder

    return change


@pytest.mark.parametrize("folder", ["package", "tiny"])
def test_ids_and_hidden_states_are_those_of_transformers(folder: str, tiny_folder: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    path = find_package_folder() if folder == "package" else tiny_folder
    opened = read_bert(path)
    assert opened is not None
    opened.tokenizer.no_truncation()
    opened.tokenizer.no_padding()
    model, tokenizer = AutoModel.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    for text in TEXTS:
        ids = tokenizer(text, max_length=64, truncation=True, return_tensors="pt")["input_ids"]
        assert opened.tokenizer.encode(text).ids == ids[0].tolist()
        with torch.inference_mode():
            expected = model(input_ids=ids).last_hidden_state
            assert torch.equal(opened.model(ids), expected)
    names = ("cls_token_id", "sep_token_id", "pad_token_id", "mask_token_id")
    assert opened.special_ids == tuple(getattr(tokenizer, name) for name in names)
    assert opened.dimension == model.config.hidden_size


@pytest.mark.parametrize(
    ("file", "entries"),
    [
        ("config.json", {"model_type": "roberta"}),
        ("config.json", {"hidden_act": "gelu_new"}),
        ("config.json", {"position_embedding_type": "relative_key"}),
        ("config.json", {"is_decoder": True}),
        ("config.json", {"num_hidden_layers": 3}),
        ("config.json", {"vocab_size": None}),
        ("config.json", {"num_attention_heads": 5}),
        ("config.json", {"num_attention_heads": 0}),
        ("config.json", {"layer_norm_eps": None}),
        ("tokenizer_config.json", {"do_lower_case": False}),
        ("tokenizer_config.json", {"cls_token": {"__type": "AddedToken", "content": "[CLS]"}}),
        ("tokenizer_config.json", {"extra_special_tokens": ["[PARTY]"]}),
        ("tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer"}),
        ("tokenizer_config.json", {"mask_token": "<mask>"}),
        ("tokenizer_config.json", {"additional_special_tokens": ["[PARTY]"]}),
        ("tokenizer.json", {"normalizer": None}),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Whitespace"}}),
        ("tokenizer.json", {"padding": "none that is known"}),
        ("tokenizer.json", {"added_tokens": None}),
        ("special_tokens_map.json", {"mask_token": "[OTHER]"}),
        ("special_tokens_map.json", {"additional_special_tokens": ["[PARTY]"]}),
    ],
)
def test_what_is_not_plain_is_left_to_transformers(
    changed: Callable[..., Path], file: str, entries: dict[str, Any]
) -> None:
    assert read_bert(changed(file, **entries)) is None


def test_words_of_another_length_are_left_to_transformers(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "changed")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["max_input_chars_per_word"] = 50
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_bert(folder) is None


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", ["[]", "null", "{", '"bert"'])
def test_what_nobody_can_read_is_refused(tiny_folder: Path, tmp_path: Path, file: str, content: str) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "changed")
    (folder / file).write_text(content)
    assert read_bert(folder) is None
    with pytest.raises(EncoderLoadError):
        PublicEncoder.load(folder)


def test_special_tokens_may_be_described_as_by_earlier_versions(changed: Callable[..., Path]) -> None:
    folder = changed("tokenizer_config.json", cls_token={"__type": "AddedToken", "content": "[CLS]"})
    assert PublicEncoder.load(folder).chunks("The court.", 32).ids


def test_another_case_of_letters_is_read_as_configured(changed: Callable[..., Path]) -> None:
    folder = changed("tokenizer_config.json", do_lower_case=False)
    assert (
        PublicEncoder.load(folder).chunks("COURT", 32).ids
        != PublicEncoder.load(folder).chunks("court", 32).ids
    )


def test_the_copy_for_training_shares_the_weights(tiny: PublicEncoder) -> None:
    copied = tiny.copy_transformer()
    assert copied.get_input_embeddings().weight.data_ptr() == tiny.token_embeddings.data_ptr()
    assert not any(parameter.requires_grad for parameter in copied.parameters())
