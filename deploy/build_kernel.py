"""Compiles the functions of `SOURCES`, each for its sets of instructions.

Hatchling runs it for a wheel, which then holds the compiled files and is for this kind of machine, and for an
editable install, where they lie beside their source. `python deploy/build_kernel.py` compiles them there
again. Without a C compiler nothing is made, and the wheel is for any machine.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface as Hook
except ImportError:  # as a program, outside of a build
    Hook = object

# The LSTM's pass and the linear head under DP, the noise, and the layers of BERT in int8.
SOURCES = ("lexveil/privacy/dp/clipping/kernel.c", "lexveil/privacy/dp/draws.c", "lexveil/nlp/int8.c")
ROOT = Path(__file__).resolve().parents[1]
# Level 3: loops over the numbers of a tile must become single instructions. No option changes the arithmetic
# beyond fused multiply-add, which C allows. No function of the C library: square roots set no errno.
OPTIONS = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-Wno-psabi"]
_AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
_ANY = {"x86_64": {"AVX512": _AVX512, "AVX2": ["-mavx2", "-mfma"]}, "aarch64": {"NEON": []}}
TARGETS = {
    "kernel": _ANY,
    "draws": _ANY,
    "int8": {"x86_64": {"AVX512_VNNI": [*_AVX512, "-mavx512vnni"]}},
}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def build(source: Path, folder: Path, compiler: str | None = None) -> list[Path]:
    """Compile a source for each of its sets of instructions of this kind of machine; return the files.

    What the compiler refuses is left out; without a compiler that is all.
    """
    command = compiler or os.environ.get("CC") or shutil.which("cc") or "cc"
    machine = platform.machine().lower()
    define = f'-DSOURCE="{hashlib.sha256(source.read_bytes()).hexdigest()}"'
    made: list[Path] = []
    # Replaced as a whole: a process may have the file before in use.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for name, options in TARGETS[source.stem].get(_MACHINES.get(machine, machine), {}).items():
            new = Path(scratch, f"{source.stem}-{name}.so")
            arguments = [*shlex.split(command), *OPTIONS, *options, define, "-o", str(new), str(source)]
            try:
                subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            except (OSError, subprocess.CalledProcessError):
                continue
            made.append(new.replace(folder / new.name))
    return made


def tag() -> str:
    """Return the wheel's tag: any Python 3, this platform; on Linux with any glibc since 2.17."""
    name = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if name.startswith("linux_") and platform.libc_ver()[0] == "glibc":
        name = "manylinux_2_17_" + name.removeprefix("linux_")
    return f"py3-none-{name}"


class KernelHook(Hook):
    """Hatchling's hook: see the module."""

    PLUGIN_NAME = "custom"
    _folder: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add the files to the wheel."""
        sources = [Path(self.root, "src", name) for name in SOURCES]
        if version == "editable":
            for source in sources:
                build(source, source.parent)
            return
        self._folder = tempfile.mkdtemp()
        for name, source in zip(SOURCES, sources, strict=True):
            for file in build(source, Path(self._folder)):
                build_data["pure_python"], build_data["tag"] = False, tag()
                build_data["force_include"][str(file)] = f"{Path(name).parent.as_posix()}/{file.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the files that are in the wheel now."""
        if self._folder is not None:
            shutil.rmtree(self._folder)


if __name__ == "__main__":
    for given in SOURCES:
        place = ROOT / "src" / given
        for path in build(place, place.parent):
            print(path.relative_to(ROOT))
