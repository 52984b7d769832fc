"""What an update without noise gives away is found, and nothing where there is noise."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from lexveil.privacy.dp.audit.leakage import find_in_span, read_lone_class, read_lone_row


def test_all_rows_that_a_layer_has_read_are_found_among_many() -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(500, 64, generator=generator, dtype=torch.float64)
    read = [3, 77, 400, 401, 20]
    layer = nn.Linear(64, 40).double()
    layer(table[read]).tanh().square().sum().backward()
    gradient = layer.weight.grad
    assert gradient is not None
    assert find_in_span(gradient, table, len(read)).sort().values.tolist() == sorted(read)
    noise = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
    noisy = find_in_span(gradient + gradient.norm() * noise, table, len(read))
    assert len(set(noisy.tolist()) & set(read)) <= 1


def test_row_and_class_of_a_lone_item_are_read() -> None:
    generator = torch.Generator().manual_seed(1)
    for label in range(5):
        layer = nn.Linear(16, 5, bias=False).double()
        row = torch.randn(1, 16, generator=generator, dtype=torch.float64)
        functional.cross_entropy(layer(row), torch.tensor([label])).backward()
        gradient = layer.weight.grad
        assert gradient is not None
        assert read_lone_class(gradient) == label
        found = read_lone_row(gradient)
        assert abs(float(found @ row[0])) > 0.999999 * float(row.norm())
