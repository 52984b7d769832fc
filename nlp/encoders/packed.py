"""Linear layers with weights prepacked for oneDNN, and products in bfloat16 on processors that support it.

Nine tenths of an encoder's work are linear layers. PyTorch passes float32 layers to MKL, which takes a slow
path on processors that are not Intel's; oneDNN does not.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from lexveil.nlp.encoders.config import Precision

# Names in `torch.cpu.get_capabilities`: AVX-512 and AMX on x86, Neon and SVE on ARM.
_BFLOAT16_CAPABILITIES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")

# oneDNN compiles a kernel for each number of rows and caches a thousand of them. Without rounding up the
# number of rows, that takes half a gigabyte, and a millisecond for each new one.
_ROW_MULTIPLE = 64
# With AMX, oneDNN adds up the products of a row in another order where there are few rows (up to 704 in the
# layers measured): a document would depend on which others are in its batch. No such case from here on.
_FEWEST_ROWS_WITH_AMX = 1024


def choose_dtype(precision: Precision) -> torch.dtype:
    """Return the type in which products of this precision are computed on this machine.

    A processor without bfloat16 instructions uses float32, which is more accurate and faster than emulated
    bfloat16.
    """
    capabilities = cast("dict[str, Any]", torch.cpu.get_capabilities())
    if precision == "bfloat16" and any(capabilities.get(name, False) for name in _BFLOAT16_CAPABILITIES):
        return torch.bfloat16
    return torch.float32


class PackedLinear(nn.Linear):
    """Linear layer with a prepacked copy of its weights for oneDNN. Do not change the weights afterwards.

    Input, output and the layer's parameters stay float32; the parameters are shared with the original layer.
    Products are of `dtype`, accumulated in float32. With gradients enabled, it is the original layer.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        has_bias = cast("Tensor | None", linear.bias) is not None
        super().__init__(linear.in_features, linear.out_features, has_bias, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self._bias = linear.bias.detach().to(dtype) if has_bias else None
        self._dtype = dtype
        amx = dtype == torch.bfloat16 and torch.cpu.get_capabilities().get("amx_bf16", False)
        self._fewest_rows = _FEWEST_ROWS_WITH_AMX if amx else _ROW_MULTIPLE
        # Operators that PyTorch's inductor uses for frozen weights; none in the public API takes packed ones.
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, callers of a Linear may pass it by this name
        """Apply the layer. Shape: (..., in_features) -> (..., out_features)."""
        if torch.is_grad_enabled():
            return super().forward(input)
        rows = input.reshape(-1, self.in_features)
        count = len(rows)
        # Uninitialized: no row affects another, and the rows beyond the input's are cut off below.
        size = max(self._fewest_rows, -(-count // _ROW_MULTIPLE) * _ROW_MULTIPLE) if count else 0
        padded = rows.new_empty(size, self.in_features, dtype=self._dtype)
        padded[:count] = rows
        product = torch.ops.mkldnn._linear_pointwise(padded, self._packed, self._bias, "none", [], "")
        return product[:count].to(input.dtype).view(*input.shape[:-1], self.out_features)


def pack_linear_layers(module: nn.Module, precision: Precision) -> None:
    """Replace the linear layers of a model on the CPU by packed ones, in place; its parameters stay the same.

    Does nothing in a build of PyTorch without oneDNN.
    """
    if not torch.backends.mkldnn.is_available():
        return
    dtype = choose_dtype(precision)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child, dtype))
