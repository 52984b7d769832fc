"""Compiled functions under test: a copy of their source, and every set of instructions that runs here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from deploy.build_kernel import build
from lexveil.privacy.dp.compiled import choose_instructions

RUNS = {"AVX512": ["AVX512", "AVX2"], "AVX2": ["AVX2"], "NEON": ["NEON"]}.get(choose_instructions(), [])


def compile_copy(source: Path, folder: Path) -> Path:
    """Copy a source, and compile it beside the copy; the test is skipped where nothing compiles."""
    copy = Path(shutil.copy(source, folder))
    if not build(copy, folder):
        pytest.skip("there is no C compiler for this processor")
    return copy


def use_copy(
    module: ModuleType, copy: Path, instructions: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Have a module load a copy's functions for a set of instructions, as a fixture does."""
    monkeypatch.setattr(module, "SOURCE", copy)
    monkeypatch.setattr(module, "choose_instructions", lambda: instructions)
    module.load.cache_clear()
    assert module.load(instructions) is not None
    yield instructions
    module.load.cache_clear()
