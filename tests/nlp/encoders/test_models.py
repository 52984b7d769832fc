from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from lexveil.nlp.encoders.config import LOGIT_SCALES, Kind, ModelConfig, takes_tokens, trains_features
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.inputs import Inputs, TokenBatch, collate_tokens
from lexveil.nlp.encoders.losses import classification_loss, denoising_loss
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder

LABELS = ("contract", "lease", "合同")
KINDS: tuple[Kind, ...] = get_args(Kind)


def model_of(kind: Kind, encoder: PublicEncoder, hidden: int = 8) -> FeatureModel:
    return build_model(ModelConfig.of(kind, encoder, LABELS, hidden=hidden, chunk_length=32), encoder)


def inputs_of(kind: Kind, encoder: PublicEncoder, items: int = 5) -> Inputs:
    rng = np.random.default_rng(0)
    if takes_tokens(kind):
        chunks = [rng.integers(1000, 9000, size=rng.integers(1, 30)).tolist() for _ in range(items)]
        return collate_tokens(chunks, encoder.pad_id)
    x = torch.from_numpy(rng.standard_normal((items, encoder.dimension)).astype(np.float32))
    return torch.nn.functional.normalize(x, dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_model_says_nothing_and_its_features_are_bounded(kind: Kind, tiny: PublicEncoder) -> None:
    model, inputs = model_of(kind, tiny), inputs_of(kind, tiny)
    features = model.features(inputs)
    assert features.shape == (5, {"mlp": 8, "topic_lstm": 32}.get(kind, 16))
    assert features.norm(dim=1).max() < 1 + 1e-5
    assert torch.equal(model(inputs), torch.zeros(5, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_only_plain_layers_are_trained_and_each_of_them_is(kind: Kind, tiny: PublicEncoder) -> None:
    model = model_of(kind, tiny)
    owners = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
    trained = [m for m in owners if any(p.requires_grad for p in m.parameters(recurse=False))]
    assert all(type(m) in (nn.Linear, nn.LSTM, nn.LayerNorm, nn.Embedding) for m in trained)
    assert trains_features(kind) is any(p.requires_grad for p in model.body.parameters())
    nn.init.normal_(model.output.weight)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    classification_loss(model(inputs_of(kind, tiny)), torch.tensor([0, 1, 2, 0, 1])).sum().backward()
    for parameter in model.parameters():
        assert parameter.requires_grad == (parameter.grad is not None and bool(parameter.grad.any()))


@pytest.mark.parametrize("kind", ["square", "cubic"])
def test_folding_a_normalization_leaves_the_logits(kind: Kind, tiny: PublicEncoder) -> None:
    model, inputs = model_of(kind, tiny), inputs_of(kind, tiny)
    head = model.head
    assert isinstance(head, PolynomialHead)
    nn.init.normal_(head.last.weight)
    before, shifted = model(inputs), head.first.weight.clone()
    head.fold()
    torch.testing.assert_close(model(inputs), before, rtol=1e-4, atol=1e-4)
    assert not torch.equal(head.first.weight, shifted)
    once = head.first.weight.clone()
    head.fold()
    assert torch.equal(head.first.weight, once)


def test_hidden_values_of_public_text_are_normalized(tiny: PublicEncoder) -> None:
    model = model_of("square", tiny)
    head = model.head
    assert isinstance(head, PolynomialHead)
    head.fold()
    mean, covariance = tiny.public_moments
    weight = head.first.weight.detach().numpy()
    np.testing.assert_allclose(((weight @ covariance) * weight).sum(axis=1), 1, rtol=1e-3)
    # Biases of one deviation to either side are what is left of the mean.
    assert np.abs(np.abs(weight @ mean + head.first.bias.detach().numpy())).max() < 10


def test_an_item_does_not_depend_on_its_batch(tiny: PublicEncoder) -> None:
    model = model_of("lstm", tiny)
    chunks = [[2000, 2001, 2002], [3000], list(range(4000, 4025)), []]
    together = model.features(collate_tokens(chunks))
    alone = torch.cat([model.features(collate_tokens([chunk])) for chunk in chunks])
    torch.testing.assert_close(together, alone)


def test_a_model_refuses_the_other_kind_of_input(tiny: PublicEncoder) -> None:
    with pytest.raises(TypeError, match="linear does not take TokenBatch"):
        model_of("linear", tiny)(inputs_of("lstm", tiny))
    with pytest.raises(TypeError, match="lstm does not take Tensor"):
        model_of("lstm", tiny)(inputs_of("mlp", tiny))


@pytest.mark.parametrize("kind", KINDS)
def test_building_is_repeatable_and_leaves_the_random_state(kind: Kind, tiny: PublicEncoder) -> None:
    before = torch.random.get_rng_state()
    one, two = model_of(kind, tiny).state_dict(), model_of(kind, tiny).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_building_on_another_encoder_is_refused(tiny: PublicEncoder, encoder: PublicEncoder) -> None:
    with pytest.raises(ValueError, match="another encoder"):
        build_model(ModelConfig.of("linear", tiny, LABELS), encoder)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_corruption_drops_coordinates_and_keeps_the_mean(kind: Kind, tiny: PublicEncoder) -> None:
    model, inputs = model_of(kind, tiny), inputs_of(kind, tiny)
    assert isinstance(inputs, torch.Tensor)
    rng = np.random.default_rng(0)
    assert torch.equal(model.corrupt(inputs, rng, 0.0), inputs)  # type: ignore[arg-type]
    draws = torch.stack([model.corrupt(inputs, rng, 0.4) for _ in range(4000)])  # type: ignore[misc]
    assert (draws == 0).float().mean() == pytest.approx(0.4, abs=0.01)
    torch.testing.assert_close(draws.mean(dim=0), inputs, atol=0.05, rtol=0)


def test_corruption_masks_tokens(tiny: PublicEncoder) -> None:
    model = model_of("lstm", tiny)
    tokens = collate_tokens([list(range(1000, 2000))])
    corrupted = model.corrupt(tokens, np.random.default_rng(0), 0.3)
    assert isinstance(corrupted, TokenBatch)
    changed = corrupted.ids != tokens.ids
    assert set(corrupted.ids[changed].tolist()) == {tiny.mask_id}
    assert changed.float().mean() == pytest.approx(0.3, abs=0.05)
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match="corruption rate"):
            model.corrupt(tokens, np.random.default_rng(0), rate)


def test_losses_are_per_item() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0], [3.0, 1.0, 1.0]])
    log_p = logits.log_softmax(1)
    hard = classification_loss(logits, torch.tensor([1, 0, 2]))
    torch.testing.assert_close(hard, -log_p[torch.arange(3), torch.tensor([1, 0, 2])])
    soft = denoising_loss(logits, torch.tensor([[0.5, 0.5, 0], [0, 0, 0], [0, 0, 1.0]]))
    torch.testing.assert_close(soft, torch.stack([-log_p[0, :2].mean(), torch.tensor(0.0), -log_p[2, 2]]))


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_scaled_in_training_and_folded_for_good(kind: Kind, tiny: PublicEncoder) -> None:
    model, inputs = model_of(kind, tiny).eval(), inputs_of(kind, tiny)
    with torch.no_grad():
        nn.init.normal_(model.output.weight)
        nn.init.normal_(model.output.bias)
        before = model(inputs)
        assert model.logit_scale == LOGIT_SCALES.get(kind, 1.0)
        model.fold()
        after = model(inputs)
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(model.head(model.features(inputs)), after)
        model.fold()
        torch.testing.assert_close(model(inputs), after)


@pytest.mark.parametrize("kind", ["linear", "mlp", "lstm", "square"])
def test_a_new_multilabel_model_expects_one_label_of_all(kind: Kind, tiny: PublicEncoder) -> None:
    labels = tuple(f"topic {number}" for number in range(20))
    config = ModelConfig.of(kind, tiny, labels, "multilabel", hidden=4, chunk_length=32)
    probabilities = build_model(config, tiny)(inputs_of(kind, tiny)).sigmoid()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(5), rtol=1e-4, atol=1e-4)


def test_the_bias_is_trained_unless_a_model_classifies(tiny: PublicEncoder) -> None:
    trained = {
        (kind, objective): build_model(
            ModelConfig.of(kind, tiny, LABELS, objective, hidden=4), tiny
        ).output.bias.requires_grad
        for kind in ("linear", "square")
        for objective in ("classify", "multilabel", "denoise")
    }
    kept = [key for key, is_trained in trained.items() if not is_trained]
    assert kept == [("linear", "classify"), ("square", "classify")]


@pytest.mark.parametrize("kind", ["mlp", "lstm", "lora"])
def test_the_seed_decides_the_body_alone(kind: Kind, tiny: PublicEncoder) -> None:
    config = ModelConfig.of(kind, tiny, LABELS, hidden=8, chunk_length=32)
    one, two = (build_model(config, tiny, seed) for seed in (0, 1))
    differs = {
        name for name, value in one.named_parameters() if not torch.equal(value, two.get_parameter(name))
    }
    assert differs
    assert all(name.startswith("body.") for name in differs)


def test_the_activation_can_be_another_one_for_a_comparison(tiny: PublicEncoder) -> None:
    config = ModelConfig.of("square", tiny, LABELS, hidden=8)
    head = build_model(config, tiny, activation="relu").head
    assert isinstance(head, PolynomialHead)
    assert head.activation == "relu"


def test_an_lstm_reads_the_order_of_words_and_no_padding(tiny: PublicEncoder) -> None:
    model = model_of("lstm", tiny)
    with torch.no_grad():
        forward, backward = (
            model.features(collate_tokens([chunk])) for chunk in ([5, 6, 7, 8], [8, 7, 6, 5])
        )
        assert not torch.allclose(forward, backward, atol=1e-4)
        ids, lengths = collate_tokens([[5, 6, 7, 8]])
        padded = TokenBatch(nn.functional.pad(ids, (0, 30), value=99), lengths)
        torch.testing.assert_close(model.features(padded), forward)


@pytest.mark.parametrize("kind", ["linear", "square", "cubic"])
def test_features_of_kinds_without_a_body_depend_on_no_weight(kind: Kind, tiny: PublicEncoder) -> None:
    """Nobody can tell from them what a model was trained on, as the page of guarantees says."""
    model, inputs = model_of(kind, tiny), inputs_of(kind, tiny)
    before = model.features(inputs)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert torch.equal(model.features(inputs), before)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_corrupted_padding_and_lengths_stay_what_they_are(rate: float, tiny: PublicEncoder) -> None:
    tokens = collate_tokens([[2000] * 12, [3000]])
    corrupted = model_of("lstm", tiny).corrupt(tokens, np.random.default_rng(1), rate)
    assert isinstance(corrupted, TokenBatch)
    assert torch.equal(corrupted.lengths, tokens.lengths)
    assert set(corrupted.ids.unique().tolist()) <= {0, 2000, 3000, tiny.mask_id}
    assert not torch.equal(corrupted.ids, tokens.ids)


def test_corruption_is_decided_by_the_draws_alone(tiny: PublicEncoder) -> None:
    model, inputs = model_of("linear", tiny), inputs_of("linear", tiny)
    one, two = (model.corrupt(inputs, np.random.default_rng(5), 0.3) for _ in range(2))
    assert torch.equal(one, two)  # type: ignore[arg-type]
    assert not torch.equal(one, model.corrupt(inputs, np.random.default_rng(6), 0.3))  # type: ignore[arg-type]


def test_building_for_another_precision_or_an_impossible_part_is_refused(tiny: PublicEncoder) -> None:
    config = ModelConfig.of("linear", tiny, LABELS)
    with pytest.raises(ValueError, match="another precision"):
        build_model(replace(config, precision="float32"), tiny)
    with pytest.raises(ValueError, match="another encoder"):
        build_model(replace(config, encoder_digest="0" * 64), tiny)
