from __future__ import annotations

from typing import get_args

import pytest
import torch

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.documents import encode_documents, extract, get_input_kind
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import build_model
from lexveil.nlp.encoders.public import PublicEncoder

LABELS = ("Governing Laws", "Base Salary", "Confidentiality")
TEXTS = [
    "This Agreement shall be governed by and construed in accordance with the laws of the State.",
    "The Company shall pay the Executive an annual salary in equal instalments.",
    "The Receiving Party shall keep the information secret and disclose it to nobody.",
]


def test_an_untrained_head_gives_a_text_the_class_whose_name_is_nearest(encoder: PublicEncoder) -> None:
    model = build_model(ModelConfig.of("linear", encoder, LABELS), encoder)
    start_from_labels(model, encoder)
    assert extract(model, encode_documents(TEXTS, encoder)).logits.argmax(axis=1).tolist() == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind not in ("square", "cubic")])
def test_each_name_is_the_first_example_of_its_class(kind: Kind, tiny: PublicEncoder) -> None:
    model = build_model(ModelConfig.of(kind, tiny, LABELS, hidden=8, chunk_length=32), tiny).eval()
    start_from_labels(model, tiny)
    model.fold()
    named = extract(model, encode_documents(LABELS, tiny, get_input_kind(model.config), length=32))
    assert named.logits.argmax(axis=1).tolist() == [0, 1, 2]


def test_names_that_say_nothing_or_all_the_same_are_finite(tiny: PublicEncoder) -> None:
    model = build_model(ModelConfig.of("linear", tiny, ("", " ", "\u0001")), tiny)
    start_from_labels(model, tiny)
    assert bool(torch.isfinite(model.output.weight).all())
    assert float(model.output.weight.norm()) < 10


def test_topics_have_no_names_to_start_from(tiny: PublicEncoder) -> None:
    model = build_model(ModelConfig.of("linear", tiny, LABELS, "denoise"), tiny)
    start_from_labels(model, tiny)
    assert not model.output.weight.any()
    assert model.output.bias.requires_grad


def test_the_bias_of_a_classifier_takes_no_share_of_the_norm(tiny: PublicEncoder) -> None:
    assert not build_model(ModelConfig.of("linear", tiny, LABELS), tiny).output.bias.requires_grad
