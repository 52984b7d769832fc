"""Train the public weights that an LSTM starts from.

Usage: `python -m lexveil.nlp.encoders.distill_lstm TEXT... --out FILE --seed 7`

TEXT holds public, masked text, one passage a line. The LSTM learns to give a window of text the direction
that latent semantic analysis gives it: words and pairs of words, weighted by their rarity in these texts,
along the leading directions of the texts themselves. So it knows what legal words belong together before a
private document is read. The same texts, seed and machine give the same weights.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from lexveil.nlp.encoders.chunks import replace_masks
from lexveil.nlp.encoders.config import DEFAULT_HIDDEN
from lexveil.nlp.encoders.inputs import collate_tokens
from lexveil.nlp.encoders.lstm import TokenLSTM
from lexveil.nlp.encoders.public import Array, PublicEncoder

_LENGTHS = (130, 200, 300, 420)  # characters of a window
_SHORTEST = 120
_TERMS = 1 << 17
_TERM = r"(?u)\b[^\W\d_]{2,}\b"
_BATCH, _RATE, _WARM_UP, _GRADIENT_NORM = 64, 4e-3, 40, 1.0


def cut_windows(passages: Sequence[str], seed: int) -> list[str]:
    """Cut passages into windows of several lengths, in random order."""
    rng = random.Random(seed)
    windows: list[str] = []
    for passage in passages:
        start = 0
        while start < len(passage) - _SHORTEST:
            end = passage.find(" ", start + rng.choice(_LENGTHS))
            end = len(passage) if end < 0 else end
            windows.append(passage[start:end].strip())
            start = end
    rng.shuffle(windows)
    return windows


def compute_targets(windows: Sequence[str], width: int, seed: int) -> Array:
    """Compute the direction of each window by latent semantic analysis.

    Returns:
        Rows of norm 1, centered. The square root of its singular value is taken out of each direction:
        otherwise the few strongest would be most of a row. Shape (windows, width), float32.
    """
    import scipy.sparse as sparse
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.preprocessing import normalize as scale_rows
    from sklearn.utils.extmath import randomized_svd

    options: dict[str, Any] = {"alternate_sign": False, "norm": None, "ngram_range": (1, 2)}
    counts: Any = HashingVectorizer(n_features=_TERMS, token_pattern=_TERM, **options).transform(windows)
    counts.data = 1 + np.log(counts.data)
    rarity = np.log((len(windows) + 1) / (1 + np.asarray((counts > 0).sum(axis=0)).ravel()))
    iterations: Any = 2
    weighted = scale_rows(counts @ sparse.diags(rarity))
    left, singular, _ = randomized_svd(weighted, width, n_iter=iterations, random_state=seed)
    rows = left * singular**0.5
    return np.asarray(scale_rows(rows - rows.mean(axis=0)), np.float32)


def distill(
    encoder: PublicEncoder, windows: Sequence[str], hidden: int, epochs: int, seed: int
) -> dict[str, Tensor]:
    """Train an LSTM to give each window the direction that `compute_targets` gives it.

    Returns:
        The weights of the LSTM, and `center`, the mean state that is subtracted from each chunk's.
    """
    targets = torch.from_numpy(compute_targets(windows, 2 * hidden, seed))
    limit = encoder.max_length - 2
    chunks = [encoder.chunks(window, encoder.max_length, 1).ids[0][:limit] for window in windows]
    torch.manual_seed(seed)
    body = TokenLSTM(encoder, hidden)
    center = nn.Parameter(torch.zeros(2 * hidden))
    optimizer = torch.optim.Adam([*body.lstm.parameters(), center], lr=_RATE, betas=(0.9, 0.98))
    rng = np.random.default_rng(seed)
    batches = [batch for _ in range(epochs) for batch in _draw_batches(chunks, rng)]
    for step, batch in enumerate(batches):
        rate = _RATE * min(1.0, (step + 1) / _WARM_UP) * (1 - step / len(batches))
        optimizer.param_groups[0]["lr"] = rate
        states = body.mean_states(collate_tokens([chunks[i] for i in batch]))
        loss = (1 - (normalize(states - center, dim=1) * targets[batch]).sum(dim=1)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(body.lstm.parameters(), _GRADIENT_NORM)
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step} of {len(batches)}: 1 - cosine {float(loss.detach()):.3f}", flush=True)
    weights = {name: value.detach() for name, value in body.lstm.state_dict().items()}
    return {name: value.half() for name, value in {**weights, "center": center.detach()}.items()}


def _draw_batches(chunks: Sequence[Sequence[int]], rng: np.random.Generator) -> Iterator[list[int]]:
    """Draw batches of chunks of similar lengths, in random order."""
    lengths = np.array([len(chunk) for chunk in chunks])
    order = np.argsort(lengths + rng.uniform(0, 12, len(chunks)), kind="stable").tolist()
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    for index in rng.permutation(len(batches)).tolist():
        yield batches[index]


def read_passages(paths: Sequence[Path]) -> list[str]:
    """Read files of one passage a line; masks become plain words."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").split("\n")]
    return [re.sub(r"\s+", " ", replace_masks(line)).strip() for line in lines if line.strip()]


def main() -> None:
    """Train the weights and write them."""
    parser = argparse.ArgumentParser(description="Train the public weights that an LSTM starts from.")
    parser.add_argument("texts", nargs="+", type=Path, help="public, masked text, one passage a line")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--windows", type=int, default=19_000, help="number of windows to learn from")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    windows = cut_windows(read_passages(arguments.texts), arguments.seed)[: arguments.windows]
    weights = distill(PublicEncoder.load(), windows, DEFAULT_HIDDEN, arguments.epochs, arguments.seed)
    save_file(weights, arguments.out)


if __name__ == "__main__":
    main()
