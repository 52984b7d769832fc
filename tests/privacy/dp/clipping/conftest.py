"""The compiled functions, by every set of instructions that runs here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lexveil.privacy.dp.clipping import kernel
from tests.privacy.dp.compiling import RUNS, compile_copy, use_copy


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, and what is compiled from it, in a folder of their own."""
    return compile_copy(kernel.SOURCE, tmp_path_factory.mktemp("kernel"))


@pytest.fixture(params=RUNS)
def instructions(
    compiled: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    for name in use_copy(kernel, compiled, request.param, monkeypatch):
        assert kernel.find_instructions() == name
        yield name
