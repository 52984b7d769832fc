"""Embedding real contract provisions, beside `sentence_transformers.encode` in the same process.

    python -m benchmarks.extraction [--documents N]

Same encoder, same texts, same threads, CPU time. sentence-transformers runs as its users run it: 128 tokens,
32 texts a batch; no text is longer, so that it cuts none. Ours is what the encode stage does of a text:
tokens, embeddings, unit norm. The texts go in blocks of 256; both embed each block, now the one first and
now the other, and the figure is the median over blocks of the ratio of their times.

The F1 is of a logistic regression on what each gave for the training part of contract_provisions, on its
development part, whose contracts are others. Details: other settings of both sides, whole contracts,
loading. About two minutes of CPU time; no text is shown.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contract import Figure, Outcome, run
from benchmarks.encrypted_real import CORPORA, LEAST_ITEMS, PROVISIONS, records_of
from lexveil.nlp import int8
from lexveil.nlp.encoders.config import (
    DEFAULT_CHUNK_LENGTH,
    DEFAULT_CHUNK_LIMIT,
    PACKAGE_PRECISION,
    Precision,
)
from lexveil.nlp.encoders.documents import encode_documents
from lexveil.nlp.encoders.public import Array, PublicEncoder, find_package_folder

BLOCK = 256
SEED = 1
LONG = "cuad_contracts"
LONG_DOCUMENTS = 8
DETAIL_BLOCKS = 1  # of the comparisons that are only shown

Embed = Callable[[Sequence[str]], Array]


@dataclass(frozen=True, slots=True)
class Both:
    """Embeddings of the same texts by both, and the CPU seconds of each block."""

    ours: Array
    theirs: Array
    our_seconds: list[float]
    their_seconds: list[float]

    @property
    def speed(self) -> float:
        ratios = [b / a for a, b in zip(self.our_seconds, self.their_seconds, strict=True)]
        return statistics.median(ratios)

    @property
    def cosines(self) -> Array:
        return (self.ours * self.theirs).sum(axis=1)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=1792, help="provisions, a third of them to test on")


def measure(arguments: argparse.Namespace) -> Outcome:
    if not (CORPORA / PROVISIONS / "data.jsonl.zst").is_file():
        raise SystemExit("no ../shared/corpora: nothing to measure on")
    torch.set_num_threads(1)
    started = time.process_time()
    encoder = PublicEncoder.load(None, PACKAGE_PRECISION)
    encoder.embed([[encoder.mask_id]])
    our_start = time.process_time() - started
    started = time.process_time()
    theirs = _sentence_transformers()
    their_start = time.process_time() - started

    records = _records(encoder, arguments.documents)
    texts = [record["text"] for record in records]
    both = compare(texts, _ours(encoder), theirs)
    f1 = {name: _f1(records, features) for name, features in (("ours", both.ours), ("theirs", both.theirs))}
    figures = {
        "over_sentence_transformers": Figure(both.speed, 3.0, "times", "higher"),
        "mean_cosine": Figure(float(both.cosines.mean()), 0.99, "", "higher"),
        "least_cosine": Figure(float(both.cosines.min()), 0.98, "", "higher"),
        "f1_difference": Figure(abs(f1["ours"][0] - f1["theirs"][0]), 0.005, "micro-F1", "lower"),
    }
    details = {
        "precision": PACKAGE_PRECISION,
        "compiled_functions": int8.is_available(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "micro_and_macro_f1": {name: [round(value, 4) for value in pair] for name, pair in f1.items()},
        "cpu_ms_a_document": {
            "ours": _milliseconds(both.our_seconds, len(texts)),
            "theirs": _milliseconds(both.their_seconds, len(texts)),
        },
        "ratios": [round(b / a, 2) for a, b in zip(both.our_seconds, both.their_seconds, strict=True)],
        "start_cpu_seconds": {
            "ours_with_transformers": round(our_start, 2),
            "theirs_with_transformers_there": round(their_start, 2),
        },
        **_other_settings(texts[: DETAIL_BLOCKS * BLOCK], encoder, both),
        "whole_contracts": _whole_contracts(encoder, theirs),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    n = {"documents": len(texts), "blocks": len(both.our_seconds), "tokens": sum(_lengths(encoder, texts))}
    return Outcome(figures, n, [SEED], details)


def compare(
    texts: Sequence[str], ours: Embed, theirs: Embed, clock: Callable[[], float] = time.process_time
) -> Both:
    """Both on each block of the texts, the other one first each time."""
    for embed in (ours, theirs):
        embed(texts[:BLOCK:8])  # kernels are compiled on first use
    found: dict[Embed, list[Array]] = {ours: [], theirs: []}
    seconds: dict[Embed, list[float]] = {ours: [], theirs: []}
    for number, start in enumerate(range(0, len(texts), BLOCK)):
        for embed in (ours, theirs) if number % 2 else (theirs, ours):
            before = clock()
            found[embed].append(embed(texts[start : start + BLOCK]))
            seconds[embed].append(clock() - before)
    return Both(np.concatenate(found[ours]), np.concatenate(found[theirs]), seconds[ours], seconds[theirs])


def _ours(encoder: PublicEncoder) -> Embed:
    return lambda texts: encoder.embed([encoder.chunks(text).ids[0] for text in texts])


def _sentence_transformers(batch_size: int = 32, dtype: torch.dtype = torch.float32) -> Embed:
    from sentence_transformers import SentenceTransformer

    folder = str(find_package_folder())
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": dtype})
    model.max_seq_length = DEFAULT_CHUNK_LENGTH
    # Its last module brings the embeddings to unit norm, in bfloat16 only nearly so.
    return lambda texts: _unit(model.encode(list(texts), batch_size=batch_size, show_progress_bar=False))


def _onnx_int8(encoder: PublicEncoder) -> Embed:
    """The same weights by ONNX Runtime: dynamic int8, scales by channel, 32 texts of like length a batch."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from transformers import BertModel

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = BertModel.from_pretrained(find_package_folder(), add_pooling_layer=False)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state

    one = torch.ones((1, 8), dtype=torch.long)
    with tempfile.TemporaryDirectory() as scratch:
        plain, folded, small = (Path(scratch, f"{name}.onnx") for name in ("plain", "folded", "int8"))
        names = ["input_ids", "attention_mask"]
        axes = {name: {0: "texts", 1: "length"} for name in [*names, "hidden"]}
        torch.onnx.export(
            Hidden().eval(), (one, one), str(plain), input_names=names, output_names=["hidden"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
        quant_pre_process(plain, folded, skip_symbolic_shape=True)
        quantize_dynamic(folded, small, weight_type=QuantType.QInt8, per_channel=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(small.read_bytes(), options)

    def embed(texts: Sequence[str]) -> Array:
        chunks = [encoder.chunks(text).ids[0] for text in texts]
        result = np.empty((len(texts), encoder.dimension), np.float32)
        order = sorted(range(len(texts)), key=lambda place: -len(chunks[place]))
        for batch in (order[start : start + 32] for start in range(0, len(order), 32)):
            ids = np.full((len(batch), len(chunks[batch[0]]) + 2), encoder.pad_id, np.int64)
            mask = np.zeros_like(ids)
            for row, place in enumerate(batch):
                whole = [encoder.cls_id, *chunks[place], encoder.sep_id]
                ids[row, : len(whole)], mask[row, : len(whole)] = whole, 1
            hidden: Any = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            result[batch] = _unit((hidden * mask[..., None]).sum(axis=1))
        return result

    return embed


def _other_settings(texts: Sequence[str], encoder: PublicEncoder, both: Both) -> dict[str, Any]:
    """What else users of either side could choose; and two threads."""
    others: tuple[Precision, ...] = ("bfloat16", "float32")
    ours = _ours(encoder)
    found: dict[str, Any] = {"over_their_batches_of": {}}
    for other in others:
        exact = compare(texts, _ours(PublicEncoder.load(None, other)), _sentence_transformers())
        found[f"our_{other}"] = {"speed": round(exact.speed, 2), "least_cosine": float(exact.cosines.min())}
    rounded = compare(texts, ours, _onnx_int8(encoder))
    cosines = (rounded.theirs * both.theirs[: len(texts)]).sum(axis=1)
    found["over_onnx_int8"] = {
        "speed": round(rounded.speed, 2),
        "mean_and_least_cosine": [round(float(cosines.mean()), 4), round(float(cosines.min()), 4)],
    }
    for size in (8, 64):
        speed = compare(texts, ours, _sentence_transformers(size)).speed
        found["over_their_batches_of"][size] = round(speed, 2)
    narrow = compare(texts, ours, _sentence_transformers(dtype=torch.bfloat16))
    found["over_their_bfloat16"] = round(narrow.speed, 2)
    torch.set_num_threads(2)
    # By the wall: threads that wait for each other at a barrier burn CPU time, on a busy machine the more.
    two = compare(texts, ours, _sentence_transformers(), time.perf_counter)
    torch.set_num_threads(1)
    same = bool((two.ours == both.ours[: len(texts)]).all())
    found["two_threads"] = {"speed_by_the_wall": round(two.speed, 2), "same_bits_as_one": same}
    return found


def _whole_contracts(encoder: PublicEncoder, theirs: Embed) -> dict[str, Any]:
    """Long documents: we read up to 16 chunks of each, sentence-transformers its first 128 tokens."""
    texts = [record["text"] for record in records_of(LONG)][: LONG_DOCUMENTS * 10 : 10]
    before = time.process_time()
    encoded = encode_documents(texts, encoder)
    ours = time.process_time() - before
    before = time.process_time()
    theirs(texts)
    seconds = time.process_time() - before
    return {
        "documents": len(texts),
        "chunks_read_of": [sum(one.chunks for one in encoded), sum(one.total_chunks for one in encoded)],
        "chunk_limit": DEFAULT_CHUNK_LIMIT,
        "our_cpu_ms_a_chunk": _milliseconds([ours], sum(one.chunks for one in encoded)),
        "their_cpu_ms_a_document_of_one_chunk": _milliseconds([seconds], len(texts)),
    }


def _records(encoder: PublicEncoder, documents: int) -> list[dict[str, Any]]:
    """Provisions of one chunk, up to a third of them from the development part."""
    records = list(records_of(PROVISIONS))
    lengths = _lengths(encoder, [record["text"] for record in records])
    short = [
        record
        for record, length in zip(records, lengths, strict=True)
        if 0 < length <= DEFAULT_CHUNK_LENGTH - 2
    ]
    order = np.random.default_rng(SEED).permutation(len(short)).tolist()
    tests = [place for place in order if short[place]["split"] != "train"][: documents // 3]
    learned = [place for place in order if short[place]["split"] == "train"][: documents - len(tests)]
    # Mixed again: a block is to have something of both parts.
    chosen = np.random.default_rng(SEED).permutation([*tests, *learned]).tolist()
    return [short[place] for place in chosen]


def _lengths(encoder: PublicEncoder, texts: Sequence[str]) -> list[int]:
    return [sum(map(len, encoder.chunks(text).ids)) for text in texts]


def _f1(records: Sequence[dict[str, Any]], features: Array) -> tuple[float, float]:
    """Micro- and macro-F1 on the development part."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    counts = Counter(record["label"] for record in records if record["split"] == "train")
    known = np.array([counts[record["label"]] >= LEAST_ITEMS for record in records])
    learn = np.array([record["split"] == "train" for record in records])
    labels = np.array([record["label"] for record in records])
    head = LogisticRegression(C=10.0, max_iter=1000, random_state=SEED)
    head.fit(features[known & learn], labels[known & learn])
    truth, said = labels[known & ~learn], head.predict(features[known & ~learn])
    return float(f1_score(truth, said, average="micro")), float(f1_score(truth, said, average="macro"))


def _unit(rows: Any) -> Array:
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _milliseconds(seconds: Sequence[float], count: int) -> float:
    return round(1000 * sum(seconds) / max(1, count), 2)


if __name__ == "__main__":
    run(__doc__, measure, options)
