"""Hugging Face encoders of random weights, tiny, against autograd one item at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, UnsupportedLayerError

transformers = pytest.importorskip("transformers")

# Owner 3 has no item, owner 1 three of them.
OWNERS = torch.tensor([1, 0, 4, 1, 2, 1])
N_OWNERS = 5
SIZES = {"vocab_size": 23, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}


class Classifier(nn.Module):
    """The mean of an encoder's outputs over the tokens that are there, through a linear head."""

    def __init__(self, encoder: nn.Module, width: int = 8):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(width, 3)

    def forward(self, ids: Tensor) -> Tensor:
        mask = (ids != 0).long()
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.head((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


def bert():
    config = transformers.BertConfig(**SIZES, intermediate_size=16, max_position_embeddings=12)
    return transformers.BertModel(config, add_pooling_layer=False), (
        "embeddings.position_embeddings",
        "embeddings.token_type_embeddings",
    )


def modern_bert():
    # Norms without bias, rotary positions, one matrix for query, key and value.
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    config = transformers.ModernBertConfig(**SIZES, **tokens, intermediate_size=16, reference_compile=False)
    return transformers.ModernBertModel(config), ()


def t5():
    config = transformers.T5Config(
        vocab_size=23, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_heads=2, dropout_rate=0.0
    )
    # Two modules share its token table.
    positions = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"
    return transformers.T5EncoderModel(config), (positions, "shared")


ENCODERS = {"bert": bert, "modern_bert": modern_bert, "t5": t5}


def classifier(kind: str = "bert") -> tuple[Classifier, tuple[str, ...]]:
    torch.manual_seed(0)
    encoder, positions = ENCODERS[kind]()
    model = Classifier(encoder).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model, tuple(f"encoder.{name}" for name in positions)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 23, (6, 9), generator=generator)
    for row, length in zip(ids, (9, 4, 7, 1, 9, 2), strict=True):
        row[length:] = 0
    return ids, torch.randint(0, 3, (6,), generator=generator)


def loss(outputs: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs, labels, reduction="sum")


def check(model: nn.Module) -> None:
    ids, labels = batch()
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    sums = [{n: torch.zeros_like(p) for n, p in parameters.items()} for _ in range(N_OWNERS)]
    for i, owner in enumerate(OWNERS.tolist()):
        alone = loss(model(ids[i : i + 1]), labels[i : i + 1])
        for name, grad in zip(parameters, torch.autograd.grad(alone, list(parameters.values())), strict=True):
            sums[owner][name] += grad
    norms = torch.stack([torch.cat([g.flatten() for g in s.values()]).norm() for s in sums])
    clip = float(norms[norms > 0].median())
    with BookKeeper(model) as keeper:
        loss(model(ids), labels).backward()
        clipped = keeper.owner_clipped_sum(OWNERS, N_OWNERS, clip)
    assert ((clipped.norms - norms).abs() <= 1e-12 * norms).all()
    factors = clip / norms.clamp(min=clip)
    assert clipped.grads.keys() == parameters.keys()
    for name in parameters:
        expected = sum(
            (f * s[name] for f, s in zip(factors, sums, strict=True)), torch.zeros_like(sums[0][name])
        )
        assert (clipped.grads[name] - expected).norm() <= 1e-12 * max(expected.norm(), clip)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_all_but_what_items_share_can_be_trained(kind):
    model, positions = classifier(kind)
    for name in positions:
        model.get_submodule(name).requires_grad_(False)
    check(model)


def test_the_last_layers_alone_can_be_trained():
    model, _ = classifier()
    model.encoder.requires_grad_(False)
    *_, last = model.get_submodule("encoder.encoder.layer").children()
    last.requires_grad_(True)
    check(model)


def test_lora_can_be_trained():
    peft = pytest.importorskip("peft")
    model, _ = classifier()
    config = peft.LoraConfig(r=8, target_modules=["query", "value"], init_lora_weights=False)
    model.encoder = peft.get_peft_model(model.encoder, config)
    model.double().eval()
    check(model)


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_positions_that_items_share_are_refused_by_name(kind):
    model, positions = classifier(kind)
    for name in positions[1:]:
        model.get_submodule(name).requires_grad_(False)
    ids, labels = batch()
    with BookKeeper(model) as keeper:
        loss(model(ids), labels).backward()
        with pytest.raises(UnsupportedLayerError, match="dimension 0 must be the items") as refusal:
            keeper.owner_clipped_sum(OWNERS, N_OWNERS, 1.0)
    assert refusal.value.layer == "Embedding"
    assert refusal.value.name == positions[0]


def test_tied_weights_are_refused_by_name():
    config = transformers.BertConfig(**SIZES, intermediate_size=16, max_position_embeddings=12)
    with pytest.raises(UnsupportedLayerError, match="shares a parameter") as refusal:
        BookKeeper(transformers.BertForMaskedLM(config))
    assert refusal.value.name == "bert.embeddings.word_embeddings"


def test_adapters_with_parameters_of_their_own_are_refused_by_name():
    peft = pytest.importorskip("peft")
    model, _ = classifier()
    config = peft.LoraConfig(r=2, target_modules=["query"], use_dora=True)
    with pytest.raises(UnsupportedLayerError) as refusal:
        BookKeeper(peft.get_peft_model(model.encoder, config))
    assert refusal.value.name.endswith("query.lora_magnitude_vector.default")
