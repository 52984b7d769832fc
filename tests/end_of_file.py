"""A hook: `python -m tests.end_of_file FILE...` names files that do not end with exactly one newline."""

from __future__ import annotations

import sys
from pathlib import Path


def ends_well(content: bytes) -> bool:
    """Return whether a file is empty or ends with exactly one newline."""
    return not content or (content.endswith(b"\n") and not content.endswith(b"\n\n"))


def main(names: list[str]) -> int:
    """Print the names of the files that end otherwise; 1 if there are any."""
    bad = [name for name in names if not ends_well(Path(name).read_bytes())]
    sys.stdout.writelines(f"{name}\n" for name in bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
