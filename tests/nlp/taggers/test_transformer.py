"""Token classifiers: the shipped one, adapters, and local folders of the user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.documents import documents
from lexveil.nlp import int8
from lexveil.nlp.detector_training.transformer import train_transformer
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan
from lexveil.nlp.taggers.card import ADAPTER, CARD, public_folder
from lexveil.nlp.taggers.contract import WEIGHTS, TaggerError
from lexveil.nlp.taggers.pieces import pool_words
from lexveil.nlp.taggers.quantized import merge_adapter
from lexveil.nlp.taggers.transformer import TokenClassifier, load_folder, load_multilingual, load_pieces
from lexveil.nlp.text import NormalizedText, Span

ROOT = Path(__file__).parents[3]
HOSTILE = st.lists(
    st.sampled_from(
        [
            *"aZé 9.,\n\r-_'\u0301\u200b\u202eאش😀𝔄中ß\ud800\udc00[]\u00ad",
            "[MASK]",
            "[SEP]",
            "Mr ",
            "Jane Doe ",
        ]
    ),
    max_size=120,
).map("".join)
TEXT = "Jane Doe lives in Testville.\nShe wrote to John Roe on 3 May 2001, and he answered."
# Loads the trained folder against an empty cache and tells how many spans it found.
LOAD = (
    "import sys\nfrom pathlib import Path\nfrom lexveil.nlp.taggers.transformer import load_folder\n"
    "print(len(load_folder(Path(sys.argv[1]), 'strict').tag([sys.argv[2]])[0]))"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the training script writes it; badly trained, on two sentences.

    Of one layer: tests build its model five times. What ships has all.
    """
    out = tmp_path_factory.mktemp("trained")
    spans = (GoldSpan(0, 8, "PERSON", "a", "DIRECT"), GoldSpan(18, 27, "LOCATION", "b", "NO_MASK"))
    second = (GoldSpan(0, 8, "PERSON", "a", "DIRECT"), GoldSpan(42, 50, "PERSON", "c", "DIRECT"))
    document = GoldDocument("d", TEXT, "en", (spans, second))
    train_transformer([document], 7, out, epochs=2, about={"data": "two sentences"}, layers=1)
    return out


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def local_folder(path: Path, labels: Sequence[str], *, head: bool = True) -> Path:
    """A tiny classifier with random weights, as `transformers` saves one."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForTokenClassification, BertModel

    tokenizer = AutoTokenizer.from_pretrained(public_folder(), local_files_only=True)
    names = dict(enumerate(labels))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    torch.manual_seed(7)
    (BertForTokenClassification if head else BertModel)(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> TokenClassifier:
    """At a quarter, a random choice among three labels marks nearly every word."""
    folder = local_folder(tmp_path_factory.mktemp("local"), ["O", "B-PER", "I-PER"])
    return load_folder(folder, "strict")


def covered(spans: Sequence[Span], start: int, end: int) -> bool:
    return any(span.start <= start and end <= span.end for span in spans)


def test_the_shipped_weights_find_the_people_of_a_document() -> None:
    tagger = load_multilingual("balanced")
    texts = [document for document in documents(12, seed=3) if document.lang == "en"][:6]
    found = tagger.tag([NormalizedText.of(document.text).text for document in texts])
    people = [
        covered(spans, span.end - 1, span.end)
        for document, spans in zip(texts, found, strict=True)
        for span in document.spans
        if span.type == "PERSON"
    ]
    assert len(people) > 20
    assert sum(people) / len(people) > 0.9


def test_the_strict_point_finds_no_less() -> None:
    text = next(document.text for document in documents(5, seed=4) if document.lang == "en")
    (balanced,), (strict,) = (load_multilingual(point).tag([text]) for point in ("balanced", "strict"))
    assert sum(s.end - s.start for s in strict) >= sum(s.end - s.start for s in balanced) > 0


def test_what_ships_is_small_and_tells_what_it_was_made_of() -> None:
    folder = WEIGHTS / "multilingual"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5 << 20
    about = json.loads((folder / CARD).read_text(encoding="utf-8"))["about"]
    assert {"seed", "data", "evaluation", "not_tested_on"} <= about.keys()


def test_two_processes_that_build_at_once_both_get_a_whole_file(trained: Path, cache: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOAD, str(trained), TEXT]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1] != ""
    expected = ".int8" if int8.is_available() else ".onnx"
    assert [path.suffix for path in (cache / "lexveil").iterdir()] == [expected]


def test_a_broken_cached_file_is_built_anew(
    trained: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    sound = load_folder(trained, "strict").tag([TEXT])
    (built,) = (cache / "lexveil").iterdir()
    (tmp_path / "lexveil").mkdir()
    (tmp_path / "lexveil" / built.name).write_bytes(built.read_bytes()[:1000])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    copy = shutil.copytree(trained, tmp_path / "copy")
    assert load_folder(copy, "strict").tag([TEXT]) == sound
    assert (tmp_path / "lexveil" / built.name).stat().st_size == built.stat().st_size


def test_without_a_writable_cache_it_works_all_the_same(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    copy = shutil.copytree(trained, tmp_path / "copy")
    assert load_folder(copy, "strict").tag([TEXT])


@pytest.mark.parametrize("name", [CARD, ADAPTER])
def test_a_broken_adapter_is_refused(trained: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    (copy / name).write_bytes(b"{")
    with pytest.raises(TaggerError, match="unreadable"):
        load_folder(copy)


def test_an_adapter_of_other_public_weights_is_refused(trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    card = json.loads((copy / CARD).read_text(encoding="utf-8"))
    (copy / CARD).write_text(json.dumps({**card, "base": "0" * 64}))
    with pytest.raises(TaggerError, match="digest"):
        load_folder(copy)


def test_an_adapter_of_the_multilingual_encoder_computes_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    spans = (GoldSpan(0, 12, "PERSON", "a", "DIRECT"),)
    documents = [
        GoldDocument("f", "Jeanne Ricou habite à Lyon.", "fr", (spans,)),
        GoldDocument("p", "Janina Ryłko mieszka w Łodzi.", "pl", (spans,)),
    ]
    train_transformer(documents, 7, tmp_path, epochs=1, encoder="multilingual-e5-small", layers=1)
    taggers = [load_folder(tmp_path, "strict")]
    assert taggers[0].languages == frozenset({"fr", "pl"})
    # The other way, by ONNX Runtime; the same one twice where the functions are not compiled.
    monkeypatch.setattr(int8, "is_available", lambda: False)
    taggers.append(load_folder(shutil.copytree(tmp_path, tmp_path / "copy"), "strict"))
    encoded = load_pieces("multilingual-e5-small").encode(TEXT)
    ids = torch.tensor([[0, *encoded.ids.tolist(), 2]])
    shapes = torch.tensor([[0, *encoded.shapes.tolist(), 0]])
    with torch.inference_mode():
        exact = merge_adapter(tmp_path)(ids, shapes)[0, 1:-1].softmax(-1)[:, 1].numpy()
    words = pool_words(exact[:, None], encoded, first=False)
    for tagger in taggers:
        (posteriors,) = tagger.posteriors([TEXT])
        assert posteriors.probabilities == pytest.approx(words, abs=0.05)


def test_labels_of_a_local_model_become_our_types(tmp_path: Path) -> None:
    folder = local_folder(tmp_path, ["O", "B-PER", "I-PER", "S-GPE", "SHOE_SIZE", "L-LAW", "email"])
    assert load_folder(folder).types == ("EMAIL", "LOCATION", "MISC", "PERSON")
    assert load_folder(folder).languages is None


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "vocab.txt").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("labels", "head", "damage", "code"),
    [
        (["O", "PER"], True, shutil.rmtree, "missing"),
        (["O", "PER"], True, pickled, "no_safetensors"),
        (["O", "PER"], True, cut_short, "unreadable"),
        (["O", "PER"], True, without_tokenizer, "unsupported_tokenizer"),
        (["LABEL_0", "LABEL_1"], True, None, "no_labels"),
        (["PER", "ORG"], True, None, "no_labels"),
        (["O", "PER"], False, None, "no_labels"),
    ],
    ids=["missing", "pickle", "cut-short", "no-tokenizer", "unnamed-labels", "no-outside", "no-head"],
)
def test_a_broken_local_folder_is_refused(
    tmp_path: Path, labels: list[str], head: bool, damage: Any, code: str
) -> None:
    folder = local_folder(tmp_path / "model", labels, head=head)
    if damage:
        damage(folder)
    with pytest.raises(TaggerError) as refused:
        load_folder(folder)
    assert refused.value.code == code
    assert str(tmp_path) not in str(refused.value)


@given(texts=st.lists(HOSTILE, max_size=3))
@settings(max_examples=60)
def test_spans_are_whole_words_of_a_hostile_text(local: TokenClassifier, texts: list[str]) -> None:
    for text, spans in zip(texts, local.tag(texts), strict=True):
        last = 0
        for span in spans:
            assert last <= span.start < span.end <= len(text)
            assert text[span.start].isalnum()
            assert "\n" not in text[span.start : span.end]
            before, after = text[span.start - 1 : span.start], text[span.end : span.end + 1]
            assert not before.isalnum()
            assert not after.isalnum()
            assert 0.25 <= span.score <= 1
            last = span.end


def test_neighbors_change_nothing(local: TokenClassifier) -> None:
    long = " ".join(f"Jane Doe paid {n} euros to Roe & Sons." for n in range(90))
    assert local.tag([TEXT, long, ""]) == [local.tag([text])[0] for text in (TEXT, long, "")]
