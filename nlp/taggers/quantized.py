"""Merge an adapter with the public encoder, quantize it to int8, and cache the result for the user.

An adapter holds only what was trained: low-rank updates of the encoder's linear layers (Hu et al. 2021,
"LoRA"), an embedding of letter case, and the head. The public weights come from their package. The first use
combines both into one ONNX file; later uses only read that file.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.nlp.cache import cache_folder, mark_used, write_cached
from lexveil.nlp.taggers.card import ADAPTER, CARD, Card
from lexveil.nlp.taggers.contract import TaggerError

# Incremented when the built file changes for the same weights and libraries.
_FORMAT = 1


def open_session(folder: Path) -> Any:
    """Open an `onnxruntime.InferenceSession` of the adapter in `folder`; it is built and cached at first use.

    Inputs are ids, or the embeddings of words (1, N, width) if those stay in their package, and shapes,
    (1, N) int64; the output is logits, (1, N, len(labels)) float32. It takes one
    text at a time: activations are scaled over the whole input, and no result may depend on neighboring
    texts. If two processes build at the same time, each writes a complete file, and the last one is kept.
    Without a writable cache it is built in every process.

    Raises:
        TaggerError: the adapter cannot be used.
    """
    path = cache_folder() / f"{_compute_key(folder)}.onnx"
    if path.is_file():
        try:
            session = _open_model(path)
            mark_used(path)
            return session
        except Exception:
            # A truncated or altered file is built again.
            path.unlink(missing_ok=True)
    content = _build(folder)
    try:
        write_cached(path, content)
    except OSError:
        return _open_model(content)
    return _open_model(path)


def _compute_key(folder: Path) -> str:
    """Return a digest of everything that determines the built file."""
    digest = hashlib.sha256(f"{_FORMAT}".encode())
    for name in (CARD, ADAPTER):
        try:
            digest.update((folder / name).read_bytes())
        except OSError:
            raise TaggerError("missing") from None
    for package in ("onnx", "onnxruntime", "torch", "transformers"):
        digest.update(f"{package} {version(package)}\n".encode())
    return digest.hexdigest()[:32]


def _open_model(model: Path | bytes) -> Any:
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


def _build(folder: Path) -> bytes:
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
