"""Run every benchmark and print each figure beside its target: `python -m benchmarks [NAME...]`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.contract import figure_lines

HERE = Path(__file__).parent
# Modules that are parts of other benchmarks, and this file.
NAMES = sorted(
    path.stem
    for path in HERE.glob("*.py")
    if path.stem != "__main__" and 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


def main() -> int:
    """Return 1 if a benchmark failed to run; a missed target is printed and is not a failure."""
    unknown = set(sys.argv[1:]) - set(NAMES)
    if unknown:
        print(f"no such benchmark; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = 0
    for name in sys.argv[1:] or NAMES:
        print(f"== {name}", flush=True)
        # Each in a separate process: the imports of one must not warm up the next.
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
        done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False)
        try:
            result = json.loads(done.stdout)
        except ValueError:
            print(f"   failed, exit code {done.returncode}", flush=True)
            failed = 1
            continue
        print("\n".join("   " + line for line in figure_lines(result["figures"])))
        print(f"   n {json.dumps(result['n'])}, seeds {result['seeds']}")
        print(f"   machine {json.dumps(result['machine'])}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
