"""What every benchmark prints: its figures beside their targets, the machine, the sizes and the seeds."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

_FLAGS = ("flags", "Features")  # on x86 and on ARM
_INSTRUCTION_SETS = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni",
    "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512ifma", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "aes", "vaes", "vpclmulqdq", "sha_ni", "rdrand",
    "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2", "sha2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `target` is None if the number is only shown."""

    value: float
    target: float | None
    unit: str
    better: Literal["higher", "lower"]

    @property
    def met(self) -> bool | None:
        """True if the target is reached; None if there is no target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one benchmark found.

    Attributes:
        n: the size of what was measured, by name (documents, repetitions).
        details: what the figures were computed from.
    """

    figures: Mapping[str, Figure]
    n: Mapping[str, int]
    seeds: Sequence[int]
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
            "machine": machine(),
            "n": dict(self.n),
            "seeds": list(self.seeds),
            "details": dict(self.details),
        }


def keep(
    folder: Path | None, about: Sequence[str], measure: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """Measure figures, or read them if an earlier run measured the same.

    Args:
        folder: where they are kept; None: nowhere.
        about: all that they follow from: documents, code, settings, seed.
        measure: measures them.
    """
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    path = None if folder is None else folder / f"{digest}.json"
    if path is not None and path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    figures = measure()
    if path is not None:
        path.write_text(json.dumps(figures), encoding="utf-8")
    return figures


def machine() -> dict[str, Any]:
    """Processor, its instruction sets, cores this process may use, memory, system load, Python."""
    information = _read("/proc/cpuinfo")
    cpu = [line for line in information.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "instruction_sets": instruction_sets(information),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def instruction_sets(information: str) -> list[str]:
    """Those instruction sets that kernels of matrices and ciphers choose by, of the text of /proc/cpuinfo."""
    lines = [line for line in information.splitlines() if line.partition(":")[0].strip() in _FLAGS]
    known = set(lines[0].partition(":")[2].split()) if lines else set[str]()
    return [name for name in _INSTRUCTION_SETS if name in known]


def figure_lines(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A readable line for each figure of a benchmark's JSON."""
    lines: list[str] = []
    for name, raw in figures.items():
        figure = Figure(**raw)
        target = (
            ""
            if figure.target is None
            else f"{'>=' if figure.better == 'higher' else '<='} {figure.target:g}"
        )
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        lines.append(f"{name:<38} {figure.value:>12.4g} {figure.unit:<10} {target:<12} {verdict}".rstrip())
    return lines


def make_folder(name: str) -> Path:
    """Return a folder of the command line, made before minutes of work whose result it shall keep."""
    folder = Path(name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(
    description: str | None,
    measure: Callable[[argparse.Namespace], Outcome],
    options: Callable[[argparse.ArgumentParser], Any] = lambda _parser: None,
) -> None:
    """The command line of a benchmark: `--json` prints one object and nothing else on stdout."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options(parser)
    arguments = parser.parse_args()
    result = measure(arguments).to_json()
    if arguments.json:
        print(json.dumps(result))
        return
    print("\n".join(figure_lines(result["figures"])))
    for name in ("n", "seeds", "machine", "details"):
        print(f"{name}: {json.dumps(result[name])}")


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
