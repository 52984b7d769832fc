"""Merge an adapter with the public encoder, quantize it to int8, and cache the result for the user.

An adapter holds only what was trained: low-rank updates of the encoder's linear layers (Hu et al. 2021,
"LoRA"), an embedding of letter case, and the head. The public weights come from their package. The first use
combines both into one file; later uses only read that file. It is for the compiled functions of `nlp/int8.py`
where this processor runs them, otherwise for ONNX Runtime; the two differ by the rounding of int8.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp import int8
from lexveil.nlp.cache import cache_folder, mark_used, write_cached
from lexveil.nlp.taggers.card import ADAPTER, CARD, Card, open_multilingual
from lexveil.nlp.taggers.contract import TaggerError
from lexveil.nlp.taggers.pieces import Floats, Integers

Forward = Callable[[Integers, Integers], Floats]
"""A model: ids and shapes, each (N,), to logits (N, labels)."""

# Incremented when the built file changes for the same weights and libraries.
_FORMAT = 1

T = TypeVar("T")


def open_forward(folder: Path) -> Forward:
    """Open the adapter in `folder` with the public encoder; both are built and cached at first use.

    It takes one text at a time: no result may depend on neighboring texts, and ONNX Runtime scales
    activations over the whole input. If two processes build at the same time, each writes a complete file,
    and the last one is kept. Without a writable cache it is built in every process.

    Raises:
        TaggerError: the adapter cannot be used.
    """
    embed = open_multilingual().embed if Card.load(folder).encoder == "multilingual-e5-small" else None
    if int8.is_available():
        return partial(_read_compiled, _open_cached(folder, "int8", _build_int8, _open_int8), embed)
    run = _open_cached(folder, "onnx", _build_onnx, _open_onnx).run
    if embed is not None:
        return lambda ids, shapes: run(None, {"embedded": embed(ids)[None], "shapes": shapes[None]})[0][0]
    return lambda ids, shapes: run(None, {"ids": ids[None], "shapes": shapes[None]})[0][0]


def _open_cached(
    folder: Path, suffix: str, build: Callable[[Path], bytes], open_content: Callable[[Path | bytes], T]
) -> T:
    path = cache_folder() / f"{_compute_key(folder)}.{suffix}"
    if path.is_file():
        try:
            opened = open_content(path)
            mark_used(path)
            return opened
        except Exception:
            # A truncated or altered file is built again.
            path.unlink(missing_ok=True)
    content = build(folder)
    try:
        write_cached(path, content)
    except OSError:
        return open_content(content)
    return open_content(path)


def _compute_key(folder: Path) -> str:
    """Return a digest of everything that determines the built file."""
    digest = hashlib.sha256(f"{_FORMAT} {int8.digest_source()}".encode())
    for name in (CARD, ADAPTER):
        try:
            digest.update((folder / name).read_bytes())
        except OSError:
            raise TaggerError("missing") from None
    for package in ("onnx", "onnxruntime", "torch", "transformers"):
        digest.update(f"{package} {version(package)}\n".encode())
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The layers, and the tables below and above them; none of words if those stay in their package."""

    layers: int8.Layers
    words: NDArray[np.float16]  # without rows if the words stay in their package
    places: Floats
    shapes: Floats
    head: Floats
    cases: Floats  # what the case of a word, and the bias, add to the logits


def _read_compiled(
    model: _Compiled, embed: Callable[[Integers], Floats] | None, ids: Integers, shapes: Integers
) -> Floats:
    rows = embed(ids) if embed is not None else model.words[ids].astype(np.float32)
    rows += model.shapes[shapes]
    rows += model.places[: len(ids)]
    int8.read_rows(model.layers, rows, [len(ids)])
    # Not by the matrix product: its library wakes a thread for each core.
    return np.einsum("nw,lw->nl", rows, model.head) + model.cases[shapes]


def _build_int8(folder: Path) -> bytes:
    """Return the public weights with the adapter, with linear layers in int8, as a file of safetensors."""
    from safetensors.numpy import save

    network = merge_adapter(folder)
    config = network.encoder.config
    weights = {name: value.numpy() for name, value in network.encoder.state_dict().items()}
    layers = int8.pack_layers(weights, config.num_attention_heads, config.layer_norm_eps)
    width = layers.width
    head, cases = (value.detach().numpy() for value in (network.head.weight, network.case.weight))
    words = weights.get("embeddings.word_embeddings.weight", np.empty((0, width), np.float32))
    below = {name: weights[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type")}
    arrays = {
        "packed": layers.packed,
        "sizes": np.array([layers.width, layers.wide, layers.heads, layers.count], np.int64),
        "epsilon": np.array([layers.epsilon], np.float64),
        "places": below["position"] + below["token_type"][0],
        "shapes": network.shape.weight.detach().numpy(),
        "words": words.astype(np.float16),
        "head": head[:, :width],
        "cases": cases @ head[:, width:].T + network.head.bias.detach().numpy(),
    }
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def _open_int8(content: Path | bytes) -> _Compiled:
    from safetensors.numpy import load

    arrays: dict[str, Any] = load(content if isinstance(content, bytes) else content.read_bytes())
    width, wide, heads, count = arrays.pop("sizes").tolist()
    epsilon = float(arrays.pop("epsilon")[0])
    layers = int8.Layers(width, wide, heads, count, epsilon, int8.align(arrays.pop("packed")))
    return _Compiled(layers, **arrays)


def _open_onnx(model: Path | bytes) -> Any:
    import onnxruntime

    # `lexveil/__init__.py` switches its telemetry off; this stops it where a script imported it earlier.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    # Parallelism comes from processes, one shard each.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena never frees the memory of the largest batch; without it, each call frees its own.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )


def _build_onnx(folder: Path) -> bytes:
    """Return the public weights with the adapter as an int8 ONNX model."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    network = merge_adapter(folder)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, folded, small = (Path(scratch) / f"{name}.onnx" for name in ("plain", "folded", "int8"))
        _export(network, plain, embedded=Card.load(folder).encoder == "multilingual-e5-small")
        quant_pre_process(plain, folded, skip_symbolic_shape=True)
        # Seven bits: without VNNI, the sum of two 8-bit products overflows the processor's 16 bits.
        quantize_dynamic(folded, small, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
        return small.read_bytes()


def _export(network: Any, path: Path, *, embedded: bool) -> None:
    import torch

    ids = torch.ones((1, 8), dtype=torch.long)
    names = ["embedded" if embedded else "ids", "shapes"]
    if embedded:
        first = network.encoder.embeddings.word_embeddings(ids)
        network.forward = network.classify
    else:
        first = ids
    torch.onnx.export(
        network.eval(),
        (first, ids),
        str(path),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: {1: "length"} for name in [*names, "logits"]},
        opset_version=17,
        dynamo=False,
        verbose=False,
    )


def merge_adapter(folder: Path) -> Any:
    """Return the public encoder with the adapter in `folder` as a `torch.nn.Module` in float32.

    It maps ids and shapes, each (B, N), to logits (B, N, labels).

    Raises:
        TaggerError: the adapter cannot be used.
    """
    import torch
    from safetensors.numpy import load_file

    from lexveil.nlp.taggers.network import Network, load_encoder

    card = Card.load(folder)
    try:
        stored = load_file(folder / ADAPTER)
    except Exception:
        raise TaggerError("unreadable") from None
    arrays = {name: torch.from_numpy(array.astype(np.float32)) for name, array in stored.items()}
    network = Network(load_encoder(card.encoder, card.layers, card.base), len(card.labels))
    try:
        network.merge(arrays, card.scale)
    except (KeyError, RuntimeError):
        raise TaggerError("unreadable") from None
    return network.eval()
