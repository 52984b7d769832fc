"""The LSTM with attention over topics: what its attention follows, and how coverage spreads it."""

from __future__ import annotations

import pytest
import torch

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.inputs import TokenBatch, collate_tokens
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.topic_lstm import TopicLSTM
from lexveil.nlp.encoders.transformer import NotTrainableError

LABELS = ("Governing Law", "Confidentiality", "Insurance", "Termination", "Notices")
TEXTS = {
    "Governing Law": "This agreement shall be governed by the laws of the state of New York.",
    "Confidentiality": "The receiving party shall keep secret all confidential information it receives.",
    "Insurance": "The tenant shall maintain insurance policies covering damage, and name the insurer.",
    "Termination": "Either party may terminate this agreement; upon such termination it shall end.",
    "Notices": "All notices shall be in writing and a notice is given when delivered by courier.",
}


def model_of(encoder: PublicEncoder, objective: str = "classify", seed: int = 0) -> FeatureModel:
    labels = LABELS if objective == "classify" else tuple(f"topic-{number:02d}" for number in range(64))
    config = ModelConfig.of("topic_lstm", encoder, labels, objective, hidden=8)  # pyright: ignore[reportArgumentType]
    return build_model(config, encoder, seed)


def body_of(model: FeatureModel) -> TopicLSTM:
    assert isinstance(model.body, TopicLSTM)
    return model.body


def read(encoder: PublicEncoder, *texts: str) -> TokenBatch:
    return collate_tokens([encoder.chunks(text, 128, 1).ids[0] for text in texts])


def test_before_training_it_knows_what_the_names_of_the_classes_say(encoder: PublicEncoder) -> None:
    model = model_of(encoder)
    start_from_labels(model, encoder)
    with torch.no_grad():
        logits = model(read(encoder, *TEXTS.values()))
    assert [LABELS[row] for row in logits.argmax(dim=1)] == list(TEXTS)


def test_before_training_attention_follows_public_embeddings_alone(encoder: PublicEncoder) -> None:
    batch = read(encoder, *TEXTS.values())
    with torch.no_grad():
        one, other = (body_of(model_of(encoder, seed=seed)).topic_shares(batch) for seed in (0, 1))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one.sum(dim=1), torch.ones(len(TEXTS)))


def test_a_word_that_returns_does_not_take_the_whole_text(encoder: PublicEncoder) -> None:
    """Coverage: a topic gets little more than its budget; the attention to the rest of its words is even."""
    body = body_of(model_of(encoder))
    texts = "insurance " * 2, "insurance " * 24, "insurance " * 23 + "termination"
    with torch.no_grad():
        alone, repeated, other = body.topic_shares(read(encoder, *texts))
    insurance, termination = LABELS.index("Insurance"), LABELS.index("Termination")
    assert alone[insurance] > repeated[insurance] + 0.2
    assert int(repeated.argmax()) == insurance
    # The last word is heard although the topic before it was used up.
    assert other[termination] > repeated[termination] + 0.02


@pytest.mark.parametrize("objective", ["classify", "denoise"])
def test_training_and_inference_compute_the_same(objective: str, encoder: PublicEncoder) -> None:
    model = model_of(encoder, objective)
    torch.nn.init.normal_(body_of(model).query.weight, std=0.3, generator=torch.Generator().manual_seed(0))
    batch = read(encoder, *TEXTS.values())
    trained = model.features(batch)
    with torch.no_grad():
        used = model.features(batch)
        ids = torch.nn.functional.pad(batch.ids, (0, 21), value=99)
        padded = model.features(TokenBatch(ids, batch.lengths))
    torch.testing.assert_close(used, trained.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(padded, used, atol=1e-5, rtol=1e-4)


def test_its_attention_is_trained(encoder: PublicEncoder) -> None:
    """The queries start at zero: attention changes only where that tells the classes apart."""
    model = model_of(encoder)
    start_from_labels(model, encoder)
    loss = torch.nn.functional.cross_entropy(model(read(encoder, *TEXTS.values())), torch.arange(len(TEXTS)))
    loss.backward()
    gradient = body_of(model).query.weight.grad
    assert gradient is not None
    assert bool(gradient.any())


def test_an_encoder_with_narrow_token_embeddings_is_refused(tiny: PublicEncoder) -> None:
    config = ModelConfig.of("topic_lstm", tiny, LABELS, hidden=4, chunk_length=16)
    narrow = tiny.__class__.__new__(tiny.__class__)
    narrow.__dict__.update(tiny.__dict__)
    narrow.token_embeddings = tiny.token_embeddings[:, :8]
    with pytest.raises(NotTrainableError, match="use lstm"):
        build_model(config, narrow)
