"""The compiled functions, by every set of instructions that runs here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.build_kernel import build
from lexveil.privacy.dp.clipping import kernel

RUNS = {"AVX512": ["AVX512", "AVX2"], "AVX2": ["AVX2"], "NEON": ["NEON"]}.get(
    kernel.choose_instructions(), []
)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, and what is compiled from it, in a folder of their own."""
    folder = tmp_path_factory.mktemp("kernel")
    source = Path(shutil.copy(kernel.SOURCE, folder))
    if not build(source, folder):
        pytest.skip("there is no C compiler for this processor")
    return source


@pytest.fixture(params=RUNS)
def instructions(
    compiled: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    monkeypatch.setattr(kernel, "SOURCE", compiled)
    monkeypatch.setattr(kernel, "choose_instructions", lambda: request.param)
    kernel.load.cache_clear()
    assert kernel.find_instructions() == request.param
    yield request.param
    kernel.load.cache_clear()
