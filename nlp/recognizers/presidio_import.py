"""An import of Presidio without the model libraries, for processes that run nothing but Lexveil.

Presidio imports spaCy, which imports torch, and its own adapters import transformers. No recognizer runs a
model through them, and together they cost a masking process 340 MiB and most of its start. Without torch,
spaCy still takes as long as the rest of Presidio, whose engines for it name its classes and register with it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_PRESIDIO = "presidio_analyzer"
_MODEL_LIBRARIES = ("torch", "transformers")
_LANGUAGE_LIBRARIES = ("spacy", "thinc")


def keep_model_libraries_out_of_presidio() -> None:
    """Let a later import of Presidio in this process skip torch, transformers and spaCy.

    spaCy itself can be imported as ever, but Presidio's engines for models cannot be used until the process
    ends. Call this only in a process that runs no other code than Lexveil's, such as a worker. It has no
    effect where Presidio is already imported.
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
        with _hide_from_import(_MODEL_LIBRARIES), _trust_its_patterns():
            if any(name in sys.modules for name in _LANGUAGE_LIBRARIES):
                super().exec_module(module)
                return
            try:
                with _stand_in_for(_LANGUAGE_LIBRARIES):
                    super().exec_module(module)
            except Exception:  # a Presidio that calls spaCy while it is imported
                _forget_modules(_PRESIDIO, but=module.__name__)
                super().exec_module(module)


@contextmanager
def _trust_its_patterns() -> Generator[None, None, None]:
    """Let Presidio make its own patterns, of all countries, without compiling each of them to check it.

    It compiles a pattern again where it is used; the checks take two fifths of the import.
    """
    check = "_Pattern__validate_regex"
    try:
        kind = import_module(f"{_PRESIDIO}.pattern").Pattern
        before = vars(kind)[check]
    except (ImportError, AttributeError, KeyError):  # a Presidio that checks in another way
        yield
        return
    setattr(kind, check, staticmethod(_accept))
    try:
        yield
    finally:
        setattr(kind, check, before)


def _accept(pattern: str) -> None:
    del pattern


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


@contextmanager
def _stand_in_for(libraries: Sequence[str]) -> Generator[None, None, None]:
    """Let imports of these libraries and of their modules find empty modules."""
    finder = _StandInFinder(libraries)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for library in libraries:
            _forget_modules(library)


def _forget_modules(package: str, but: str = "") -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        if name != but:
            del sys.modules[name]


class _StandInFinder(MetaPathFinder, Loader):
    def __init__(self, libraries: Sequence[str]) -> None:
        self._libraries = libraries

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        own = fullname.partition(".")[0] in self._libraries
        return ModuleSpec(fullname, self, is_package=True) if own else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _StandInModule(ModuleType):
    """A module whose names are empty classes while Presidio is imported, and the library's own later."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            return _StandInClass(name, (), {})
        return getattr(import_module(self.__name__), name)


class _StandInClass(type):
    """A class for annotations and as a base, whose methods are decorators that change nothing."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: lambda decorated: decorated  # pyright: ignore[reportUnknownLambdaType]
