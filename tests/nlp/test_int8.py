"""The compiled functions compute BERT's layers as the description of their numbers says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.build_kernel import build
from lexveil.nlp import int8

pytestmark = pytest.mark.slow  # a compiler takes seconds

Floats = NDArray[Any]
"""In 32 or 64 bits."""
HEADS, EPSILON = 2, 1e-12
WIDTH, WIDE, LAYERS = 64, 112, 2
LENGTHS = [37, 1, 5, 8, 70, 16]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, and what is compiled from it, in a folder of their own."""
    source = Path(shutil.copy(int8.SOURCE, tmp_path_factory.mktemp("int8")))
    build(source, source.parent)
    return source


@pytest.fixture
def functions(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(int8, "SOURCE", compiled)
    int8._load.cache_clear()
    if not int8.is_available():
        pytest.skip("there is no C compiler, or this processor has no VNNI")
    yield compiled
    int8._load.cache_clear()


def draw_weights(seed: int = 3) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    layer = {f"attention.self.{name}": (WIDTH, WIDTH) for name in ("query", "key", "value")}
    layer |= {"attention.output.dense": (WIDTH, WIDTH)}
    layer |= {"intermediate.dense": (WIDE, WIDTH), "output.dense": (WIDTH, WIDE)}
    weights: dict[str, Floats] = {}
    for number in range(LAYERS):
        for name, shape in layer.items():
            path = f"encoder.layer.{number}.{name}"
            weights[f"{path}.weight"] = rng.normal(0, 2 * shape[1] ** -0.5, shape)
            weights[f"{path}.bias"] = rng.normal(0, 0.3, shape[0])
        for name in ("attention.output", "output"):
            weights |= draw_norm(rng, f"encoder.layer.{number}.{name}")
    weights |= draw_norm(rng, "embeddings")
    return {name: array.astype(np.float32) for name, array in weights.items()}


def draw_norm(rng: np.random.Generator, path: str) -> dict[str, Floats]:
    return {
        f"{path}.LayerNorm.weight": rng.uniform(0.5, 1.5, WIDTH),
        f"{path}.LayerNorm.bias": rng.normal(0, 0.2, WIDTH),
    }


def draw_rows(lengths: list[int], seed: int = 4) -> Floats:
    return np.random.default_rng(seed).normal(0, 1, (sum(lengths), WIDTH)).astype(np.float32)


def read_in_float64(weights: dict[str, Floats], rows: Floats, *, rounded: bool) -> Floats:
    """Compute the layers over one sequence; with `rounded`, of rounded weights and inputs."""
    from scipy.special import ndtr, softmax

    def norm(x: Floats, name: str) -> Floats:
        x = x - x.mean(axis=1, keepdims=True)
        x = x / np.sqrt(x.var(axis=1, keepdims=True) + EPSILON)
        return x * weights[f"{name}.LayerNorm.weight"] + weights[f"{name}.LayerNorm.bias"]

    def linear(x: Floats, name: str) -> Floats:
        weight = weights[f"{name}.weight"].astype(np.float64)
        if rounded:
            least = x.min(axis=1, keepdims=True)
            step = (x.max(axis=1, keepdims=True) - least) / 255
            x = least + np.rint((x - least) / step) * step
            scale = np.abs(weight).max(axis=1, keepdims=True) / 127
            weight = np.rint(weight / scale) * scale
        return x @ weight.T + weights[f"{name}.bias"]

    x = norm(rows.astype(np.float64), "embeddings")
    for layer in int8._list_layers(weights):
        q, k, v = (
            linear(x, f"{layer}.attention.self.{name}").reshape(len(x), HEADS, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        found = softmax(q @ k.transpose(0, 2, 1) * q.shape[-1] ** -0.5, axis=-1) @ v
        joined = found.transpose(1, 0, 2).reshape(len(x), -1)
        x = norm(x + linear(joined, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
        up = linear(x, f"{layer}.intermediate.dense")
        x = norm(x + linear(up * ndtr(up), f"{layer}.output.dense"), f"{layer}.output")
    return x


def read_all(weights: dict[str, Floats], rows: Floats, *, rounded: bool) -> Floats:
    parts = np.split(rows, np.cumsum(LENGTHS)[:-1])
    return np.concatenate([read_in_float64(weights, part, rounded=rounded) for part in parts])


def test_the_layers_are_those_of_the_paper_with_rounded_weights_and_inputs(functions):
    weights, rows = draw_weights(), draw_rows(LENGTHS)
    weights = {name: array for name, array in weights.items() if "layer.1" not in name}
    found = rows.copy()
    int8.read_rows(int8.pack_layers(weights, HEADS, EPSILON), found, LENGTHS)
    rounded = np.abs(found - read_all(weights, rows, rounded=True))
    exact = np.abs(found - read_all(weights, rows, rounded=False))
    # A number between two bytes may become the other one, which moves its row by a part of the rounding.
    assert np.quantile(rounded, 0.9) < 1e-4
    assert rounded.max() < 0.05
    assert np.median(exact) > 1e-3


def test_a_sequence_does_not_notice_the_others(functions):
    layers = int8.pack_layers(draw_weights(), HEADS, EPSILON)
    rows = draw_rows(LENGTHS)
    together = rows.copy()
    int8.read_rows(layers, together, LENGTHS)
    start = 0
    for length in LENGTHS:
        alone = rows[start : start + length].copy()
        int8.read_rows(layers, alone, [length])
        assert np.array_equal(alone, together[start : start + length])
        start += length
    for order in ([4, 0, 3, 5, 1, 2], [2, 1, 0, 5, 4, 3]):
        parts = np.split(rows, np.cumsum(LENGTHS)[:-1])
        mixed = np.concatenate([parts[i] for i in order])
        int8.read_rows(layers, mixed, [LENGTHS[i] for i in order])
        expected = np.split(together, np.cumsum(LENGTHS)[:-1])
        assert np.array_equal(mixed, np.concatenate([expected[i] for i in order]))


@pytest.mark.parametrize(("width", "wide"), [(64, 128), (128, 192), (WIDTH, WIDE)])
def test_tiles_of_amx_give_the_same_bits(functions, monkeypatch, width, wide):
    library = int8._load()
    assert library is not None
    if not library.use_tiles(1):
        pytest.skip("this processor has no AMX")
    monkeypatch.setitem(globals(), "WIDTH", width)
    monkeypatch.setitem(globals(), "WIDE", wide)
    layers = int8.pack_layers(draw_weights(), HEADS, EPSILON)
    for lengths in (LENGTHS, [32], [64], [31, 33], [3]):
        tiled = draw_rows(lengths)
        plain = tiled.copy()
        int8.read_rows(layers, tiled, lengths)
        library.use_tiles(0)
        int8.read_rows(layers, plain, lengths)
        library.use_tiles(1)
        assert np.array_equal(tiled, plain)


def test_extreme_rows_and_weights(functions):
    weights = draw_weights()
    weights["encoder.layer.0.intermediate.dense.weight"][3] = 0  # a scale of zero
    weights["encoder.layer.1.output.dense.weight"][:] = 3.0  # all whole numbers at their largest
    layers = int8.pack_layers(weights, HEADS, EPSILON)
    rows = draw_rows(LENGTHS)
    rows[0] = 1e30
    rows[40] = 0
    found = rows.copy()
    int8.read_rows(layers, found, LENGTHS)
    assert np.isfinite(found).all()
    rows[50, 7] = np.nan  # is seen in the result, and in its own sequence only
    touched = rows.copy()
    int8.read_rows(layers, touched, LENGTHS)
    bounds = [*pairwise(np.cumsum([0, *LENGTHS]).tolist())]
    assert [bool(np.isnan(touched[a:b]).any()) for a, b in bounds] == [a <= 50 < b for a, b in bounds]


@pytest.mark.parametrize(("width", "wide", "heads"), [(48, 64, 2), (64, 40, 2), (64, 64, 3), (64, 0, 2)])
def test_other_sizes_are_refused(width, wide, heads):
    assert not int8.fits(width, wide, heads)


def test_what_another_source_made_is_not_used(functions, tmp_path, monkeypatch):
    source = Path(shutil.copy(functions, tmp_path))
    shutil.copy(functions.with_name(int8.COMPILED), tmp_path)
    source.write_text(source.read_text() + "\n")
    monkeypatch.setattr(int8, "SOURCE", source)
    int8._load.cache_clear()
    assert not int8.is_available()
    assert "not installed" in int8.explain_absence()
    source.with_name(int8.COMPILED).unlink()
    int8._load.cache_clear()
    assert not int8.is_available()
    assert "not installed" in int8.explain_absence()


def test_a_user_is_told_what_the_processor_lacks(functions, monkeypatch):
    assert int8.explain_absence() == ""

    class Library:
        def runs_here(self):
            return 0

    monkeypatch.setattr(int8, "_open", Library)
    int8._load.cache_clear()
    assert not int8.is_available()
    assert "processor" in int8.explain_absence()


def test_weights_of_other_sizes_are_refused():
    layers = int8.pack_layers(draw_weights(), HEADS, EPSILON)
    with pytest.raises(ValueError, match="sizes"):
        replace(layers, count=LAYERS + 1)
    with pytest.raises(ValueError, match="sizes"):
        replace(layers, packed=layers.packed[:-1])
