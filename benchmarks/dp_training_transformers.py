"""Fine-tuning MiniLM: the private step against the same step without privacy, one thread.

A step is forward pass, backward pass and update, on 16 items of 128 tokens, each of an owner of its own; the
private one clips each owner's gradient, adds them up and adds the noise. `lora` trains adapters of rank 8 in
query and value of each layer, and a head; `full` everything but the embeddings of positions and token types.
Both sides run in turns in one process; times are medians. Memory is the growth of the resident set's peak
over one step, after the models are loaded and a step on one item has been made: each side in a process of its
own, with allocations of a MiB and more mapped one by one, so that what was let go counts no more. By glibc's
usual rules the heap keeps some of it, and the private side's peak varies from run to run (1.4 to 1.9 times).

The traced layers multiply by oneDNN, torch's own by MKL, which on some processors is half as fast: a private
step may cost less than an ordinary one. `full_over_same_products` in the details is against an ordinary step
with oneDNN's products in all its linear layers.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.contract import Figure, Outcome, run
from benchmarks.dp_training_heads import Noise, SameProducts, in_turns, plain_step, private_step
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum

SEED = 17
ITEMS, TOKENS, CLASSES = 16, 128, 83
RATE = 1e-4
SHARED = ("position_embeddings", "token_type_embeddings")


class Classifier(nn.Module):
    """A linear head on the mean of an encoder's outputs."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(width, CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.encoder(input_ids=ids).last_hidden_state.mean(1))


def classifier(kind: str) -> Classifier:
    """MiniLM as it is published, with what `kind` trains made trainable."""
    from importlib.resources import files

    from transformers import AutoModel

    from lexveil.nlp.encoders.public import PACKAGE

    torch.manual_seed(SEED)
    folder = next(Path(str(files(PACKAGE))).rglob("config.json")).parent
    encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    width: int = encoder.config.hidden_size
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(kind == "full" and not any(part in name for part in SHARED))
    if kind == "lora":
        import peft

        config = peft.LoraConfig(r=8, target_modules=["query", "value"])
        encoder = peft.get_peft_model(encoder, config)
        encoder.eval()
    return Classifier(encoder, width)


def _loss(model: nn.Module, items: int = ITEMS) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    ids = torch.randint(1000, 30000, (items, TOKENS), generator=generator)
    labels = torch.randint(0, CLASSES, (items,), generator=generator)
    return lambda: functional.cross_entropy(model(ids), labels, reduction="sum")


def _with_same_products(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = SameProducts
    return model


def times(kind: str, repetitions: int) -> dict[str, float]:
    """Ratios of CPU time."""
    private = classifier(kind)
    sides: dict[str, nn.Module] = {"plain": copy.deepcopy(private)}
    if kind == "full":
        sides["same_products"] = _with_same_products(copy.deepcopy(private))
    steps: dict[str, Callable[[], None]] = {}
    for name, model in sides.items():
        steps[name] = _plain(model)
    with BookKeeper(private) as keeper:
        steps["private"] = _private(private, keeper)
        found = in_turns(steps, repetitions)
    ratios = {f"{kind}_over_{name}": found["private"] / found[name] for name in sides}
    return ratios | {f"{kind}_plain_ms": found["plain"] * 1e3}


def _plain(model: nn.Module, items: int = ITEMS) -> Callable[[], None]:
    loss = _loss(model, items)
    return lambda: plain_step(model, loss, RATE)


def _private(model: nn.Module, keeper: BookKeeper, items: int = ITEMS) -> Callable[[], None]:
    loss = _loss(model, items)
    noise = Noise()
    owners = torch.arange(items)

    def clip() -> ClippedSum:
        loss().backward()
        return keeper.owner_clipped_sum(owners, items, 1.0)

    return lambda: private_step(model, clip, noise, RATE)


def memory(kind: str, private: bool) -> float:
    """Growth of the peak of the resident set over one step, in MiB, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dp_training_transformers", "--peak", kind, str(int(private))]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**20)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, env=environment)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _peak(kind: str, private: bool) -> float:
    torch.set_num_threads(1)
    model = classifier(kind)
    if not private:
        _plain(model, 1)()
        return _growth(_plain(model))
    with BookKeeper(model) as keeper:
        _private(model, keeper, 1)()
        return _growth(_private(model, keeper))


def _growth(step: Callable[[], None]) -> float:
    # Linux: 5 sets the peak back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    step()
    return (_resident("VmHWM") - before) / 1024


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def details(repetitions: int = 5) -> dict[str, float]:
    """All that is measured, by name."""
    found: dict[str, float] = {}
    for kind in ("lora", "full"):
        found |= times(kind, repetitions)
        plain, private = memory(kind, False), memory(kind, True)
        found |= {f"{kind}_plain_mib": plain, f"{kind}_over_plain_memory": private / plain}
    return found


def figures(found: dict[str, float] | None = None) -> dict[str, Figure]:
    """The figures of issue 4. `found`: what `details` gave, to measure but once."""
    found = details() if found is None else found
    return {
        "lora_over_plain": Figure(found["lora_over_plain"], 1.05, "x", "lower"),
        "full_over_plain_time": Figure(found["full_over_plain"], 1.25, "x", "lower"),
        "full_over_plain_memory": Figure(found["full_over_plain_memory"], 1.5, "x", "lower"),
    }


def _measure(arguments: argparse.Namespace) -> Outcome:
    torch.set_num_threads(1)
    found: dict[str, Any] = details(arguments.repetitions)
    n = {"items": ITEMS, "tokens": TOKENS, "repetitions": arguments.repetitions}
    return Outcome(figures(found), n, [SEED], found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print(json.dumps(_peak(sys.argv[2], sys.argv[3] == "1")))
    else:
        run(__doc__, _measure, lambda p: p.add_argument("--repetitions", type=int, default=5))
