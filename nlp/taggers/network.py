"""The public encoder as a token classifier, with low-rank updates, an embedding of letter case and a head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lexveil.nlp.e5 import DIGEST
from lexveil.nlp.encoders.multilingual import PackedEmbedding
from lexveil.nlp.encoders.public import compute_weights_digest
from lexveil.nlp.taggers.card import Encoder, open_multilingual, public_folder
from lexveil.nlp.taggers.contract import TaggerError
from lexveil.nlp.taggers.pieces import SHAPES

_CASE = 32
_ADAPTED = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class LowRank(nn.Module):
    """W x + scale B A x with frozen W (Hu et al. 2021, "LoRA: Low-Rank Adaptation", section 4.1).

    A is (rank, in); B is (out, rank) and initially zero.
    """

    def __init__(self, frozen: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.frozen = frozen
        self.scale = scale
        self.a = nn.Parameter(torch.randn(rank, frozen.in_features) / frozen.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return self.frozen(x) + linear(linear(x, self.a), self.b) * self.scale


class Network(nn.Module):
    """Token classifier over the public encoder."""

    def __init__(self, encoder: Any, labels: int, *, dropout: float = 0.0) -> None:
        """Freeze the public encoder and add an untrained head.

        Args:
            encoder: a `transformers.BertModel`, see `load_encoder`.
            labels: number of labels.
            dropout: probability of dropout before the head.
        """
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        width = self.encoder.config.hidden_size
        self.shape = nn.Embedding(SHAPES, width)
        nn.init.zeros_(self.shape.weight)
        # In addition to the one below the encoder: the head gets the case of the word itself, unmixed.
        self.case = nn.Embedding(SHAPES, _CASE)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width + _CASE, labels)

    def forward(self, ids: Tensor, shapes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits (B, N, labels).

        Args:
            ids: (B, N) vocabulary ids.
            shapes: (B, N) shapes, see `lexveil.nlp.taggers.pieces.Encoded`.
            mask: (B, N) 1 for tokens and 0 for padding; None if no row is padded.
        """
        return self.classify(self.encoder.embeddings.word_embeddings(ids), shapes, mask)

    def classify(self, embedded: Tensor, shapes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits (B, N, labels) for the embeddings of words (B, N, width); see `forward`."""
        embedded = embedded + self.shape(shapes)
        hidden = self.encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        return self.head(torch.cat((self.dropout(hidden), self.case(shapes)), dim=-1))

    def adapt(self, rank: int, scale: float) -> None:
        """Add a trainable update to each of the encoder's linear layers."""
        for _, owner, name in self._adapted_layers():
            setattr(owner, name, LowRank(getattr(owner, name), rank, scale))

    def collect_trained(self) -> dict[str, Tensor]:
        """Return everything that is not public, in the form that `merge` takes."""
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("encoder.")}
        for path, owner, name in self._adapted_layers():
            layer = cast(LowRank, getattr(owner, name))
            own[f"{path}.a"], own[f"{path}.b"] = layer.a.detach(), layer.b.detach()
        return own

    @torch.no_grad()
    def merge(self, trained: Mapping[str, Tensor], scale: float) -> None:
        """Add trained updates to the public weights.

        Raises:
            KeyError: an update is missing.
            RuntimeError: a shape does not fit.
        """
        rest = dict(trained)
        for path, owner, name in self._adapted_layers():
            getattr(owner, name).weight += scale * rest.pop(f"{path}.b") @ rest.pop(f"{path}.a")
        own = {name for name in self.state_dict() if not name.startswith("encoder.")}
        self.load_state_dict({name: rest[name] for name in own}, strict=False)

    def _adapted_layers(self) -> Iterator[tuple[str, Any, str]]:
        """Yield the path of each adapted layer, the module that contains it, and its name there."""
        for number, layer in enumerate(self.encoder.encoder.layer):
            for adapted in _ADAPTED:
                owner, _, name = adapted.rpartition(".")
                yield f"{number}.{adapted}", layer.get_submodule(owner), name


def load_encoder(name: Encoder, layers: int, digest: str, *, dropout: float = 0.0) -> Any:
    """Load a public encoder as a `transformers.BertModel` in float32.

    Args:
        name: the encoder.
        layers: how many of its layers, from the first on; 0: all.
        digest: SHA-256 that its weights must have.
        dropout: probability of dropout in it.

    Raises:
        TaggerError: it is not installed, its weights have another digest, or they are unreadable.
    """
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        if name == "multilingual-e5-small":
            return _load_e5(layers, digest, dropout)
        return _load_minilm(digest, dropout)
    except TaggerError:
        raise
    except Exception:
        raise TaggerError("unreadable") from None


def _load_minilm(digest: str, dropout: float) -> Any:
    from transformers import BertModel

    folder = public_folder()
    if compute_weights_digest(folder) != digest:
        raise TaggerError("digest")
    return BertModel.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        add_pooling_layer=False,
        attn_implementation="sdpa",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
    )


def _load_e5(layers: int, digest: str, dropout: float) -> Any:
    from transformers import BertConfig, BertModel

    if digest != DIGEST:
        raise TaggerError("digest")
    stored = open_multilingual()
    config = BertConfig(
        vocab_size=1,  # the embeddings of words are replaced below
        hidden_size=stored.width,
        num_hidden_layers=layers or stored.layers,
        num_attention_heads=stored.heads,
        intermediate_size=stored.wide,
        max_position_embeddings=stored.length,
        type_vocab_size=stored.kinds,
        layer_norm_eps=stored.epsilon,
        pad_token_id=0,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",  # pyright: ignore[reportCallIssue]
    )
    model = BertModel(config, add_pooling_layer=False)
    model.embeddings.word_embeddings = cast(nn.Embedding, PackedEmbedding(stored))
    weights = stored.list_weights(config.num_hidden_layers)
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights})
    return model
