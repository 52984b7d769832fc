"""An import of Presidio without the model libraries, for processes that run nothing but Lexveil.

Presidio imports spaCy, which imports torch, and its own adapters import transformers. No recognizer runs a
model through them, and together they cost a masking process 340 MiB and most of its start.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_PRESIDIO = "presidio_analyzer"
_MODEL_LIBRARIES = ("torch", "transformers")


def keep_model_libraries_out_of_presidio() -> None:
    """Let a later import of Presidio in this process skip torch and transformers.

    spaCy then considers torch absent until the process ends. Call this only in a process that runs no other
    code than Lexveil's, such as a worker. It has no effect where Presidio is already imported.
    """
    if not any(isinstance(finder, _PresidioFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PresidioFinder())


class _PresidioFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _PRESIDIO:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _LoaderWithoutModels(spec.loader.name, spec.loader.path)
        return spec


class _LoaderWithoutModels(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        with _hide_from_import(_MODEL_LIBRARIES):
            super().exec_module(module)


@contextmanager
def _hide_from_import(names: Sequence[str]) -> Generator[None, None, None]:
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType] -- makes `import` raise ImportError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
