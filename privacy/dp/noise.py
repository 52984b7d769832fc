"""The noise of a training step: whole numbers, added to a sum that is rounded to a grid.

Samplers of the continuous Gaussian in floating point leave a mark in the last bits of what they are added to,
which can tell the sum (Mironov 2012, "On Significance of the Least Significant Bits for Differential
Privacy"). A grid has no such bits, and the law of the noise on it is known (Canonne, Kamath and Steinke 2020,
"The Discrete Gaussian for Differential Privacy").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lexveil.privacy.dp.discrete_gaussian import find_rounded_deviation, variance
from lexveil.privacy.dp.randomness import SecureRandom

# More than four parts are needed only if noise and weights are so many that rounding would count.
_FEWEST, _MOST = 4, 7
_COARSEST = 2.0**-6


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid, and the noise on it.

    Attributes:
        spacing: Distance between neighbors on the grid, in units of the sum.
        parts: Number of parts of a draw.
    """

    spacing: float
    parts: int


def choose_grid(noise_multiplier: float, max_grad_norm: float, weights: int) -> Grid:
    """Choose a grid on which the noise is that of a Gaussian mechanism.

    Args:
        noise_multiplier: Standard deviation of the Gaussian mechanism, in clipping norms.
        max_grad_norm: L2 norm to which each owner's gradient is clipped.
        weights: Number of weights.

    Raises:
        ValueError: The noise on so many weights is too large for a grid in float64.

    Formal guarantee:
        An owner moves the rounded sum by at most D = max_grad_norm / spacing + 2 sqrt(weights) steps in L2
        norm, because rounding, that of float64 included, changes the difference of two numbers by less than
        two steps, for sums of up to 1e8 standard deviations of the noise. The deviation of the noise, less
        what the randomized rounding of a continuous Gaussian to the grid takes, is noise_multiplier * D. So
        `add_noise` is a randomized function of the same sum with Gaussian noise of noise_multiplier times the
        sensitivity, and what `accounting` says of that mechanism, sampled or not, composed or not, holds for
        it up to what `discrete_gaussian.draw_pieces` states: for up to 1e15 weights times steps, epsilon is
        larger by less than 1e-17, and delta, for epsilon up to 20, by less than 1e-14.
    """
    rounding = noise_multiplier * 2 * math.sqrt(weights)
    for parts in range(_FEWEST, _MOST + 1):
        deviation = find_rounded_deviation(variance(parts))
        if rounding <= deviation * _COARSEST:
            return Grid(noise_multiplier * max_grad_norm / (deviation - rounding), parts)
    raise ValueError(f"noise of {noise_multiplier:g} clipping norms on {weights} weights is too large")


def add_noise(sums: Mapping[str, Tensor], grid: Grid, random: SecureRandom, step: int) -> None:
    """Round sums to a grid and add the noise of a step to them, in place.

    Args:
        sums: Contiguous tensors in float64, in the order of the model.
        grid: The grid.
        random: Source of randomness; the same key and step repeat the noise, on any machine.
        step: Number of the step.

    Formal guarantee:
        That of `choose_grid`. Assumptions: those of `SecureRandom`.
    """
    # On the CPU, the memory of the tensors themselves.
    values = [part.view(-1).cpu().numpy() for part in sums.values()]
    random.add_whole_normals("grid-noise", step, values, grid.spacing, grid.parts)
    for part, value in zip(sums.values(), values, strict=True):
        if part.device.type != "cpu":
            part.copy_(torch.from_numpy(value).view(part.shape))
