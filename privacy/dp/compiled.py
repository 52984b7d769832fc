"""Libraries of compiled functions, which lie beside their sources.

They are compiled when a wheel is built, once for each set of instructions (deploy/build_kernel.py); who
installs the wheel needs no compiler. Without the compiled file the callers have other ways.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

SIZE, POINTER = ctypes.c_ssize_t, ctypes.c_void_p
# Bytes of a vector, by the name of the set of instructions.
VECTOR_BYTES = {"AVX512": 64, "AVX2": 32, "NEON": 16}


@cache
def choose_instructions() -> str:
    """Return the set of instructions for this processor, as torch chooses it."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return "NEON"
    return torch.backends.cpu.get_cpu_capability()


def open_library(
    source: Path, instructions: str, functions: Mapping[str, tuple[Any, Sequence[Any]]]
) -> ctypes.CDLL | None:
    """Return the functions that a source has for a set of instructions.

    Args:
        source: The source; what is compiled from it lies beside it.
        instructions: Name of the set; the processor must have the instructions.
        functions: Types of the result and of the arguments by the name of the function.

    Returns:
        None if no functions are installed that this very source made.
    """
    try:
        library = ctypes.CDLL(str(source.with_name(f"{source.stem}-{instructions}.so")))
        made_of = ctypes.c_char_p(
            ctypes.addressof(ctypes.c_char.in_dll(library, f"lexveil_{source.stem}_source"))
        )
        for name, (result, arguments) in functions.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, result
    except (OSError, ValueError, AttributeError):
        return None
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    return library if made_of.value == digest.encode() else None
