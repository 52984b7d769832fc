"""One file a family of personal information; each recognizer is a Presidio `EntityRecognizer`."""

from __future__ import annotations

import sys


def _import_presidio_alone() -> None:
    """Import Presidio without the model libraries that it takes along where they are installed.

    Presidio imports spaCy, which imports torch, and its own adapters import transformers. Nothing here runs
    a model through them, and together they cost each masking process 290 MiB and most of its start.
    """
    heavy = [name for name in ("torch", "transformers") if name not in sys.modules]
    for name in heavy:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType] -- makes `import` raise ImportError
    try:
        import presidio_analyzer  # noqa: F401  # pyright: ignore[reportUnusedImport]
    finally:
        for name in heavy:
            del sys.modules[name]


_import_presidio_alone()
