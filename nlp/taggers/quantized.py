"""The shipped adapter on the public encoder: merged, quantised to int8 and kept in the user's cache.

What is stored is what was trained: low-rank updates of the encoder's linear layers (Hu et al. 2021, "LoRA"),
an embedding of letter case, and the head. The public weights come from their package. The first use puts
both together as one ONNX file; later uses only read that.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.nlp.taggers.card import ADAPTER, CARD, Card, public_folder
from lexveil.nlp.taggers.contract import TaggerRefused

# Counts up when the built file changes for the same weights and libraries.
_FORMAT = 1


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/lexveil`, by default below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lexveil"


def session(folder: Path) -> Any:
    """An `onnxruntime.InferenceSession` of the adapter in `folder`, built and cached at first use.

    Inputs ids, shapes (1, N) int64; output logits (1, N, len(labels)) float32. One text at a time: the scale
    of the activations is taken over the whole input, and no text's result may hang on its neighbours.
    Two processes that build at once each write a whole file, and the last one stays. Without a writable
    cache it is built in every process.

    Raises: TaggerRefused.
    """
    path = cache_folder() / f"{_key(folder)}.onnx"
    if path.is_file():
        try:
            return _open(path)
        except Exception:
            # A file that was cut short or altered is built anew.
            path.unlink(missing_ok=True)
    content = _build(folder)
    try:
        _store(path, content)
    except OSError:
        return _open(content)
    return _open(path)


def _key(folder: Path) -> str:
    digest = hashlib.sha256(f"{_FORMAT}".encode())
    for name in (CARD, ADAPTER):
        try:
            digest.update((folder / name).read_bytes())
        except OSError:
            raise TaggerRefused("missing") from None
    for package in ("onnx", "onnxruntime", "torch", "transformers"):
        digest.update(f"{package} {version(package)}\n".encode())
    return digest.hexdigest()[:32]


def _open(model: Path | bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Work is spread over processes, a shard each.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena keeps the largest batch's memory for good; without it a call gives back what it took.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )


def _store(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _build(folder: Path) -> bytes:
    """Public weights + adapter -> int8 ONNX."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    network = merged(folder)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, folded, small = (Path(scratch) / f"{name}.onnx" for name in ("plain", "folded", "int8"))
        _export(network, plain)
        quant_pre_process(plain, folded, skip_symbolic_shape=True)
        # Seven bits: without VNNI, two products of eight bits overflow the processor's 16-bit sum.
        quantize_dynamic(folded, small, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
        return small.read_bytes()


def _export(network: Any, path: Path) -> None:
    import torch

    ids = torch.ones((1, 8), dtype=torch.long)
    names = ["ids", "shapes"]
    torch.onnx.export(
        network.eval(),
        (ids, ids),
        str(path),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: {1: "length"} for name in [*names, "logits"]},
        opset_version=17,
        dynamo=False,
        verbose=False,
    )


def merged(folder: Path) -> Any:
    """A `torch.nn.Module`: ids, shapes (B, N) -> logits (B, N, labels), in float32.

    Raises: TaggerRefused.
    """
    import torch
    from safetensors.numpy import load_file

    from lexveil.nlp.taggers.network import Network

    card = Card.load(folder)
    try:
        stored = load_file(folder / ADAPTER)
    except Exception:
        raise TaggerRefused("unreadable") from None
    arrays = {name: torch.from_numpy(array.astype(np.float32)) for name, array in stored.items()}
    network = Network(public_folder(), len(card.labels), card.base)
    try:
        network.merge(arrays, card.scale)
    except (KeyError, RuntimeError):
        raise TaggerRefused("unreadable") from None
    return network.eval()
