"""BERT (Devlin et al. 2019) as an encoder of chunks, read from a local folder.

Importing transformers takes seconds and half a gigabyte of modules in every process, for one forward pass. A
folder that holds a plain BERT and a plain WordPiece tokenizer, as the default encoder's does, is read here
instead; the hidden states are the same, bit for bit. What is not plain is left to transformers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

# Entries of a configuration that change what is computed, with the values of a plain BERT.
_PLAIN = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "quantization_config": None,
}
_SIZES = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
    "max_position_embeddings", "type_vocab_size",
)  # fmt: skip
_LONGEST_WORD = 100  # characters; in a longer one, transformers' own tokenizer finds no pieces
_MORE_TOKENS = ("added_tokens_decoder", "additional_special_tokens", "extra_special_tokens")


class Bert(nn.Module):
    """The embeddings and layers of BERT, without dropout. Its parameters have the names of transformers'.

    They are on the device "meta" until weights are loaded: nothing is drawn that a file replaces.

    Attributes:
        heads: Number of attention heads of a layer.
        epsilon: What the norms add to a variance.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.heads: int = config["num_attention_heads"]
        self.epsilon: float = config["layer_norm_eps"]
        self.embeddings = _Embeddings(config)
        self.encoder = nn.ModuleDict()
        self.encoder["layer"] = nn.ModuleList(_Layer(config) for _ in range(config["num_hidden_layers"]))

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the embeddings of the tokens."""
        return self.embeddings.word_embeddings

    def forward(self, ids: Tensor) -> Tensor:
        """Return the last hidden states of chunks without padding. Shape: (B, N) -> (B, N, width)."""
        return self.read_groups([ids])[0]

    def read_groups(self, groups: Sequence[Tensor]) -> list[Tensor]:
        """Return the last hidden states of several groups of chunks, each of one length, as `forward` does.

        The linear layers read the positions of all groups at once: they are slow with few. Attention, which
        would need padding, reads one group after the other.
        """
        shapes = [tuple(ids.shape) for ids in groups]
        rows = torch.cat([self.embeddings(ids).flatten(0, 1) for ids in groups])
        for layer in self.encoder["layer"].children():
            rows = layer(rows, shapes)
        return [part.view(*shape, -1) for part, shape in zip(_split(rows, shapes), shapes, strict=True)]


def _split(rows: Tensor, shapes: Sequence[tuple[int, ...]]) -> Sequence[Tensor]:
    """Split the positions of all groups into those of each."""
    return rows.split([count * length for count, length in shapes])


class _Embeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.word_embeddings = _make_embedding(config["vocab_size"], width)
        self.position_embeddings = _make_embedding(config["max_position_embeddings"], width)
        self.token_type_embeddings = _make_embedding(config["type_vocab_size"], width)
        self.LayerNorm = nn.LayerNorm(width, eps=config["layer_norm_eps"], device="meta")

    def forward(self, ids: Tensor) -> Tensor:
        embedded = self.word_embeddings(ids) + self.token_type_embeddings(torch.zeros_like(ids))
        return self.LayerNorm(embedded + self.position_embeddings(torch.arange(ids.shape[1])))


def _make_embedding(rows: int, width: int) -> nn.Embedding:
    # The initial weights are given, since drawing them on this device would import PyTorch's compiler.
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width, device="meta"))


class _Layer(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, wide = config["hidden_size"], config["intermediate_size"]
        self.attention = nn.ModuleDict(
            {
                "self": _SelfAttention(width, config["num_attention_heads"]),
                "output": _Output(width, width, config["layer_norm_eps"]),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, wide, device="meta")})
        self.output = _Output(wide, width, config["layer_norm_eps"])

    def forward(self, hidden: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
        attended = self.attention["output"](self.attention["self"](hidden, shapes), hidden)
        return self.output(gelu(self.intermediate["dense"](attended)), attended)


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width, device="meta") for _ in range(3))

    def forward(self, hidden: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
        parts = [_split(projected(hidden), shapes) for projected in (self.query, self.key, self.value)]
        attended: list[Tensor] = []
        for shape, *group in zip(shapes, *parts, strict=True):
            query, key, value = (part.view(*shape, self.heads, -1).transpose(1, 2) for part in group)
            found = scaled_dot_product_attention(query, key, value)
            attended.append(found.transpose(1, 2).flatten(2).flatten(0, 1))
        return torch.cat(attended)


class _Output(nn.Module):
    def __init__(self, inputs: int, width: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width, device="meta")
        self.LayerNorm = nn.LayerNorm(width, eps=eps, device="meta")

    def forward(self, hidden: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(hidden) + before)


class OpenedEncoder(NamedTuple):
    """An encoder and its tokenizer, as read from a folder.

    Attributes:
        model: The frozen model: a `Bert`, or one of transformers.
        tokenizer: A `tokenizers.Tokenizer`.
        special_ids: Ids of the tokens [CLS], [SEP], [PAD] and [MASK], in this order.
        dimension: Width of the hidden states.
        max_length: Maximum number of tokens per chunk, the two special tokens included.
    """

    model: Any
    tokenizer: Any
    special_ids: tuple[int, int, int, int]
    dimension: int
    max_length: int


def read_bert(folder: Path) -> OpenedEncoder | None:
    """Read the plain BERT and the plain WordPiece tokenizer of a folder; None if it holds something else."""
    try:
        return _read_plain(folder)
    except Exception:  # whatever it holds: transformers reads it, or says what is wrong
        return None


def _read_plain(folder: Path) -> OpenedEncoder | None:
    config = _read_json(folder / "config.json")
    if not _is_plain_model(config):
        return None
    given, described = (_read_json(folder / name) for name in ("tokenizer_config.json", "tokenizer.json"))
    special = _read_special_ids(given, described)
    if special is None or not (_is_plain_tokenizer(given, described) and _is_all(folder, given)):
        return None
    model = _read_weights(folder / "model.safetensors", config)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # The vocabulary may have no more tokens than the model.
    if tokenizer.get_vocab_size(with_added_tokens=True) > config["vocab_size"]:
        return None
    length = min(config["max_position_embeddings"], given["model_max_length"])
    return OpenedEncoder(model, tokenizer, special, config["hidden_size"], length)


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _is_plain_model(config: Mapping[str, Any]) -> bool:
    return (
        all(config.get(name, plain) == plain for name, plain in _PLAIN.items())
        and all(type(config[name]) is int and config[name] > 0 for name in _SIZES)
        and isinstance(config["layer_norm_eps"], float)
        and config["hidden_size"] % config["num_attention_heads"] == 0
    )


def _is_all(folder: Path, given: Mapping[str, Any]) -> bool:
    """Whether the other files that may name tokens name no others than a tokenizer's configuration."""
    more = folder / "special_tokens_map.json"
    named = _read_json(more) if more.exists() else {}
    return named.items() <= given.items() and not (folder / "added_tokens.json").exists()


def _is_plain_tokenizer(given: Mapping[str, Any], described: Mapping[str, Any]) -> bool:
    """Whether a tokenizer's file describes what transformers would build of its configuration."""
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": given.get("tokenize_chinese_chars", True),
        "strip_accents": given.get("strip_accents"),
        "lowercase": given.get("do_lower_case", True),
    }
    return (
        given["tokenizer_class"] in ("BertTokenizer", "BertTokenizerFast")
        and isinstance(given["model_max_length"], int)
        and described["normalizer"] == normalizer
        and described["pre_tokenizer"] == {"type": "BertPreTokenizer"}
        and described["model"]["type"] == "WordPiece"
        and described["model"]["continuing_subword_prefix"] == "##"
        and described["model"]["max_input_chars_per_word"] == _LONGEST_WORD
        and described["model"]["unk_token"] == given["unk_token"]
    )


def _read_special_ids(
    given: Mapping[str, Any], described: Mapping[str, Any]
) -> tuple[int, int, int, int] | None:
    """Return the ids of the special tokens; None if there are others, which transformers would add."""
    ids = {token["content"]: token["id"] for token in described["added_tokens"]}
    names = [given[name] for name in ("cls_token", "sep_token", "pad_token", "mask_token", "unk_token")]
    if set(names) != set(ids) or any(given.get(name) for name in _MORE_TOKENS):
        return None
    cls_id, sep_id, pad_id, mask_id, _ = (ids[name] for name in names)
    return cls_id, sep_id, pad_id, mask_id


def _read_weights(file: Path, config: Mapping[str, Any]) -> Bert:
    model = Bert(config)
    weights = load_file(file)
    model.load_state_dict({name: weights[name].float() for name in model.state_dict()}, assign=True)
    return model.eval().requires_grad_(False)
