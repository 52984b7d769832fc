"""A public encoder that is trained further: by adapters, in its last layers, or whole.

Only what is trained is a parameter of its own; everything frozen is shared with the public encoder, and
nothing of it is ever saved with a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from lexveil.nlp.encoders.public import PublicEncoder

Part = Literal["lora", "last_layers", "full"]

# What the query and value projections are called in BERT and its kin, DistilBERT, MPNet, Llama's kin,
# DeBERTa, and where one layer makes both (with the keys).
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

_DRAWN = ".lora_A."


class NotTrainable(ValueError):
    """The encoder has no such part as is to be trained; the line says which and why."""


class TokenTransformer(nn.Module):
    """Chunks of tokens -> features of norm 1: mean over positions to unit norm, less the public mean, to unit
    norm.

    Before the first step that is what the public encoder itself says of a chunk, so a head on these features
    starts where one on frozen features does. Dropout stays off: DP noise is regularisation enough, and a
    model is to be trained as it is served.

    part: what is trained. "lora": low-rank adapters (Hu et al. 2022) of rank `size` on the query and value
        projections, of which the first factor stays as it was drawn: the noise of two would be multiplied
        (Sun et al. 2024, "Improving LoRA in Privacy-preserving Federated Learning"). "last_layers": the last
        `size` layers. "full": all that the features depend on but embeddings of anything else than words,
        which are broadcast over the items of a batch, so that gradients of items can't be told apart.

    Raises: NotTrainable.
    """

    def __init__(self, encoder: PublicEncoder, part: Part, size: int) -> None:
        super().__init__()
        self.cls_id, self.sep_id, self.pad_id = encoder.cls_id, encoder.sep_id, encoder.pad_id
        self.mask_id = encoder.mask_id
        # Not saved: public, and computed again from the encoder whose digest the configuration holds.
        self.register_buffer("mean", torch.from_numpy(encoder.public_mean), persistent=False)
        self.transformer = encoder.transformer_copy()
        if part == "lora":
            _add_adapters(self.transformer, size)
        elif part == "last_layers":
            _thaw(_layers(self.transformer)[-size:])
        else:
            _thaw([self.transformer])
            _freeze(self._idle(encoder.vocab_size))

    def train(self, mode: bool = True) -> TokenTransformer:
        """Training mode of the rest; the transformer has no dropout in either mode."""
        super().train(mode)
        self.transformer.eval()
        return self

    def forward(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """`inputs`: ids, right-padded, without special tokens, and lengths. Shape: (items, dimension)."""
        ids, lengths = inputs
        ends = lengths[:, None] + 1
        places = torch.arange(ids.shape[1] + 2, device=ids.device)
        wrapped = pad(ids, (1, 1)).masked_fill(places > ends, self.pad_id)
        wrapped[:, 0] = self.cls_id
        wrapped = wrapped.scatter(1, ends, self.sep_id)
        mask = places <= ends
        hidden = self.transformer(input_ids=wrapped, attention_mask=mask.long()).last_hidden_state
        pooled = (hidden * mask[..., None]).sum(1) / (ends + 1)
        return normalize(normalize(pooled, dim=1) - self.get_buffer("mean"), dim=1)

    def _idle(self, vocab_size: int) -> list[nn.Parameter]:
        """Trainable parameters that the features do not depend on (a pooler): only noise would move them."""
        trained = [p for p in self.parameters() if p.requires_grad]
        ids = torch.arange(4).remainder(vocab_size)[None]
        out = self((ids, torch.tensor([ids.shape[1]]))).sum()
        found = cast("Sequence[Tensor | None]", torch.autograd.grad(out, trained, allow_unused=True))
        return [p for p, gradient in zip(trained, found, strict=True) if gradient is None]


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """What is a model's own, by name: all that is trained, and the drawn factors of adapters."""
    named = model.named_parameters()
    return {name: p.detach() for name, p in named if p.requires_grad or _DRAWN in name}


def _add_adapters(model: Any, rank: int) -> None:
    # Slow to import, and no other kind needs it.
    from peft import LoraConfig, inject_adapter_in_model

    linear = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    targets = [name for name in linear if name.rpartition(".")[2] in _QUERY_VALUE]
    if not targets:
        raise NotTrainable(
            f"{type(model).__name__} has no linear query or value projection; use last_layers or full"
        )
    wanted = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, bias="none", target_modules=targets)
    inject_adapter_in_model(wanted, model)
    _freeze([parameter for name, parameter in model.named_parameters() if _DRAWN in name])


def _layers(model: Any) -> list[nn.Module]:
    """The layers of the encoder, first to last."""
    wanted = model.config.num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted:
            return list(module)
    raise NotTrainable(f"{type(model).__name__} has no list of its {wanted} layers; use lora or full")


def _thaw(modules: list[Any]) -> None:
    """Give the modules' parameters copies of their own, to be trained; the public ones stay as they are."""
    own: dict[int, nn.Parameter] = {}
    for module in (part for each in modules for part in each.modules()):
        if isinstance(module, nn.Embedding) and not _embeds_words(module, modules):
            continue
        for name, frozen in list(module.named_parameters(recurse=False)):
            copied = own.setdefault(id(frozen), nn.Parameter(frozen.detach().clone()))
            setattr(module, name, copied)


def _embeds_words(module: nn.Embedding, modules: list[Any]) -> bool:
    return any(getattr(each, "get_input_embeddings", lambda: None)() is module for each in modules)


def _freeze(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.requires_grad_(False)
