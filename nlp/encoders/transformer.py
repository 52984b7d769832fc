"""Public encoder that is trained further: through adapters, in its last layers, or as a whole.

Only the trained weights are separate parameters. All frozen weights are shared with the public encoder, and
none of them is saved with a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from lexveil.nlp.encoders.config import TransformerKind
from lexveil.nlp.encoders.public import PublicEncoder

# Names of the query and value projections in BERT and similar encoders, DistilBERT, MPNet, Llama and similar
# ones, DeBERTa, and in encoders where one layer computes both (with the keys).
_QUERY_VALUE = frozenset(
    (
        "query",
        "value",
        "q_lin",
        "v_lin",
        "q",
        "v",
        "q_proj",
        "v_proj",
        "query_proj",
        "value_proj",
        "Wqkv",
        "qkv",
    )
)

# Part of the name of an adapter's first factor, which keeps its random initial weights.
_FIRST_FACTOR = ".lora_A."


class NotTrainableError(ValueError):
    """The encoder lacks the part that is to be trained; the message says which part and why."""


class TokenTransformer(nn.Module):
    """Transformer from chunks of tokens to features of norm 1.

    The features are the mean over all positions, scaled to norm 1, minus the public mean, scaled to norm 1.
    Before the first step they equal the public encoder's features of a chunk, so a head on them starts where
    a head on frozen features does. Dropout stays off: the DP noise regularizes enough, and a model is to be
    trained as it is served.

    Args:
        encoder: Public encoder to train further.
        part: What is trained. "lora": low-rank adapters (Hu et al. 2022) of rank `size` on the query and
            value projections. Their first factor keeps its random initial weights, because the noise of two
            trained factors would be multiplied (Sun et al. 2024, "Improving LoRA in Privacy-preserving
            Federated Learning"). "last_layers": the last `size` layers. "full": all weights that the features
            depend on, except embeddings of anything other than words; those are broadcast over the items of a
            batch, so the gradients of single items cannot be separated.
        size: Rank of the adapters, or number of trained layers; ignored for "full".

    Raises:
        NotTrainableError: The encoder lacks that part.
    """

    def __init__(self, encoder: PublicEncoder, part: TransformerKind, size: int) -> None:
        super().__init__()
        self.cls_id, self.sep_id, self.pad_id = encoder.cls_id, encoder.sep_id, encoder.pad_id
        self.mask_id = encoder.mask_id
        # Not saved: public, and recomputed from the encoder whose digest is in the configuration.
        self.register_buffer("mean", torch.from_numpy(encoder.public_mean), persistent=False)
        self.transformer = encoder.copy_transformer()
        if part == "lora":
            _add_adapters(self.transformer, size)
        elif part == "last_layers":
            _unfreeze(_find_layers(self.transformer)[-size:])
        else:
            _unfreeze([self.transformer])
            _freeze(self._find_unused(encoder.vocab_size))

    def train(self, mode: bool = True) -> TokenTransformer:
        """Set the training mode, except for the transformer: it stays without dropout in both modes."""
        super().train(mode)
        self.transformer.eval()
        return self

    def forward(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """Return the features of chunks. Shape: (items, dimension).

        Args:
            inputs: Right-padded ids without special tokens, shape (items, longest), and their lengths, shape
                (items,).
        """
        ids, lengths = inputs
        ends = lengths[:, None] + 1
        positions = torch.arange(ids.shape[1] + 2, device=ids.device)
        wrapped = pad(ids, (1, 1)).masked_fill(positions > ends, self.pad_id)
        wrapped[:, 0] = self.cls_id
        wrapped = wrapped.scatter(1, ends, self.sep_id)
        mask = positions <= ends
        hidden = self.transformer(input_ids=wrapped, attention_mask=mask.long()).last_hidden_state
        pooled = (hidden * mask[..., None]).sum(1) / (ends + 1)
        return normalize(normalize(pooled, dim=1) - self.get_buffer("mean"), dim=1)

    def _find_unused(self, vocab_size: int) -> list[nn.Parameter]:
        """Return trainable parameters that no feature depends on (a pooler): noise alone would move them."""
        trained = [p for p in self.parameters() if p.requires_grad]
        ids = torch.arange(4).remainder(vocab_size)[None]
        total = self((ids, torch.tensor([ids.shape[1]]))).sum()
        gradients = cast("Sequence[Tensor | None]", torch.autograd.grad(total, trained, allow_unused=True))
        return [p for p, gradient in zip(trained, gradients, strict=True) if gradient is None]


def get_trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that belong to the model, by name.

    These are all trained weights, and the random first factors of adapters.
    """
    named = model.named_parameters()
    return {name: p.detach() for name, p in named if p.requires_grad or _FIRST_FACTOR in name}


def _add_adapters(model: Any, rank: int) -> None:
    # Imported here: peft is slow to import, and only adapters need it.
    from peft import LoraConfig, inject_adapter_in_model

    linear = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    targets = [name for name in linear if name.rpartition(".")[2] in _QUERY_VALUE]
    if not targets:
        raise NotTrainableError(
            f"{type(model).__name__} has no linear query or value projection; use last_layers or full"
        )
    adapters = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, bias="none", target_modules=targets)
    inject_adapter_in_model(adapters, model)
    _freeze([parameter for name, parameter in model.named_parameters() if _FIRST_FACTOR in name])


def _find_layers(model: Any) -> list[nn.Module]:
    """Return the layers of the encoder, first to last."""
    count = model.config.num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return list(module)
    raise NotTrainableError(f"{type(model).__name__} has no list of its {count} layers; use lora or full")


def _unfreeze(modules: list[Any]) -> None:
    """Replace the parameters of modules by trainable copies; the public parameters do not change."""
    copies: dict[int, nn.Parameter] = {}
    for module in (part for each in modules for part in each.modules()):
        if isinstance(module, nn.Embedding) and not _embeds_words(module, modules):
            continue
        for name, frozen in list(module.named_parameters(recurse=False)):
            # Two modules that share a parameter go on sharing its copy.
            copied = copies.setdefault(id(frozen), nn.Parameter(frozen.detach().clone()))
            setattr(module, name, copied)


def _embeds_words(module: nn.Embedding, modules: list[Any]) -> bool:
    return any(getattr(each, "get_input_embeddings", lambda: None)() is module for each in modules)


def _freeze(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.requires_grad_(False)
