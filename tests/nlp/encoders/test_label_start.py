from __future__ import annotations

import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.documents import encode_documents, encode_for_model, extract, get_input_kind
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.learn_names import (
    Pair,
    collect_headings,
    compute_legal_features,
    compute_lstm_features,
    learn_map,
    read_pairs,
)
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


@pytest.mark.parametrize("kind", get_args(Kind))
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
    assert float(model.output.weight.detach().norm()) < 10


def test_topics_have_no_names_to_start_from(tiny: PublicEncoder) -> None:
    model = build_model(ModelConfig.of("linear", tiny, LABELS, "denoise"), tiny)
    start_from_labels(model, tiny)
    assert not model.output.weight.any()
    assert model.output.bias.requires_grad


def test_the_bias_of_a_classifier_takes_no_share_of_the_norm(tiny: PublicEncoder) -> None:
    assert not build_model(ModelConfig.of("linear", tiny, LABELS), tiny).output.bias.requires_grad


def test_labels_that_do_not_exclude_each_other_are_no_start(tiny: PublicEncoder) -> None:
    model = build_model(ModelConfig.of("linear", tiny, LABELS, "multilabel"), tiny)
    start_from_labels(model, tiny)
    assert not model.output.weight.any()


@pytest.mark.parametrize("kind", ["linear", "mlp", "lstm", "square", "cubic"])
def test_the_order_of_the_classes_does_not_matter(kind: Kind, tiny: PublicEncoder) -> None:
    weights: list[torch.Tensor] = []
    for labels in (LABELS, LABELS[::-1]):
        model = build_model(ModelConfig.of(kind, tiny, labels, hidden=8, chunk_length=32), tiny)
        start_from_labels(model, tiny)
        weights.append(model.output.weight.detach())
    torch.testing.assert_close(weights[0], weights[1].flip(0), rtol=1e-4, atol=1e-5)


def test_more_classes_start_with_larger_logits(tiny: PublicEncoder) -> None:
    norms: list[float] = []
    for count in (2, 20):
        labels = tuple(f"{word} {number}" for number, word in enumerate(LABELS * 7, start=1))[:count]
        model = build_model(ModelConfig.of("linear", tiny, labels), tiny)
        start_from_labels(model, tiny)
        norms.append(float(model.output.weight.detach().norm(dim=1).mean()))
    assert norms[1] / norms[0] == pytest.approx(math.log(20) / math.log(2), rel=1e-4)


def test_a_long_name_of_a_class_is_read_as_far_as_a_chunk_goes(tiny: PublicEncoder) -> None:
    labels = ("Governing Laws", "Confidentiality of all information " * 200)
    model = build_model(ModelConfig.of("lstm", tiny, labels, hidden=4, chunk_length=16), tiny)
    start_from_labels(model, tiny)
    assert bool(torch.isfinite(model.output.weight).all())
    assert model.output.weight.norm(dim=1).min() > 0


def test_a_name_stands_for_what_is_written_below_it(encoder: PublicEncoder) -> None:
    # By the names alone, both texts are nearest to another class.
    labels = ("Severability", "Counterparts", "Survival", "Headings", "Notices")
    texts = [
        "If a provision hereof is held invalid or unenforceable, the remaining provisions stay in force.",
        "This document may be executed in two or more originals, each of which shall be deemed an original, "
        "and all of which together are one instrument.",
    ]
    model = build_model(ModelConfig.of("linear", encoder, labels), encoder)
    start_from_labels(model, encoder)
    assert extract(model, encode_documents(texts, encoder)).logits.argmax(axis=1).tolist() == [0, 1]


def test_the_map_is_learned_from_headings_and_leaves_other_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    headings = np.eye(6, dtype=np.float32)[rng.integers(0, 3, 200)]
    texts = headings[:, [5, 4, 3, 2, 1, 0]]  # the first three directions become the last three
    learned = learn_map(headings, texts)
    assert (learned[:3].argmax(axis=1) == [5, 4, 3]).all()
    np.testing.assert_allclose(learned[3:], np.eye(6)[3:], atol=1e-6)
    path = tmp_path / "pairs.jsonl"
    pair = {"document": "1", "heading": "rent", "text": "Rent is due."}
    path.write_text(json.dumps(pair) + "\n")
    assert read_pairs([path]) == [("1", "rent", "Rent is due.")]


def test_headings_of_several_documents_are_collected_with_what_stands_below(encoder: PublicEncoder) -> None:
    pairs = [
        Pair("1", "rent", "The tenant shall pay the rent on the first day of each month."),
        Pair("2", "rent", "Rent is due monthly in advance, without deduction or set-off."),
        Pair("2", "arbitration", "All disputes shall be settled by arbitration under the rules."),
        Pair("3", "arbitration", "Any dispute is finally settled by three arbitrators."),
        Pair("3", "a name of one party", "The parties have signed."),
    ]
    found = collect_headings(pairs, encoder, compute_legal_features)
    assert found["counts"].tolist() == [2, 2]  # arbitration, rent
    texts = found["texts"].astype(np.float64)
    due = encode_documents(["The lessee owes the rent."], encoder, representation="legal-1")[0].embedding
    assert due is not None
    assert texts[1] @ due > texts[0] @ due
    assert found["names"].shape == (2, encoder.dimension)
    told = collect_headings(pairs, encoder, compute_lstm_features)["texts"].astype(np.float64)
    (due,) = compute_lstm_features(["The lessee owes the rent."], encoder)
    assert told[1] @ due > told[0] @ due


@pytest.mark.parametrize("kind", ["linear", "lstm"])
def test_texts_below_a_public_heading_are_the_first_examples_of_its_class(
    kind: Kind, encoder: PublicEncoder
) -> None:
    """By the names alone, some texts are nearest to another class, and no more is made of names."""
    texts = {
        "Severability": "If any provision is held invalid or unenforceable, the remaining provisions shall "
        "continue in full force and effect.",
        "Counterparts": "This instrument may be executed in two or more originals, each of which is deemed "
        "an original and all of which are one and the same.",
        "Survival": "The representations and warranties of the parties continue in effect after the closing "
        "and any termination.",
        "Headings": "Captions are for convenience of reference only and do not affect the interpretation of "
        "any provision.",
        "Entire Agreements": "This supersedes all prior understandings and negotiations, oral or written, "
        "between the parties on its subject.",
        "Waivers": "No failure or delay in exercising any right operates as a relinquishment of it, nor does "
        "any single or partial exercise.",
        "Assigns": "Neither party may transfer its rights or obligations hereunder without the prior written "
        "consent of the other.",
        "Governing Laws": "This shall be construed and enforced under the laws of the State, without regard "
        "to conflicts of law principles.",
    }
    labels = tuple(texts)
    config = ModelConfig.of(kind, encoder, labels, representation="legal-1")
    model = build_model(config, encoder)
    start_from_labels(model, encoder)
    model.fold()
    encoded = encode_for_model(list(texts.values()), encoder, None, config)
    assert extract(model, encoded).logits.argmax(axis=1).tolist() == list(range(len(labels)))
    # Names that are no headings are taken for less.
    areas = ModelConfig.of(
        kind, encoder, ("Larceny", "Divorce", "Asylum", "Trespass"), representation="legal-1"
    )
    cautious = build_model(areas, encoder)
    start_from_labels(cautious, encoder)
    cautious.fold()
    norms = [float(one.output.weight.norm(dim=1).mean().detach()) for one in (model, cautious)]
    assert norms[0] / math.log(8) > 1.3 * norms[1] / math.log(4)
