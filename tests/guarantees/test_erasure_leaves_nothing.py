"""Of what is erased, no word, no path and no field can be opened with any key that is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guarantees.erasure_traces import measure


@pytest.mark.slow
def test_words_paths_and_fields_of_erased_documents(tmp_path: Path) -> None:
    """Files with sidecar rows, copies, records, unreadable ones; `python -m` of the helper takes more."""
    found = measure(tmp_path, documents=16, erased=8)
    assert found["words found before"] > 3 * found["erased"]
    assert found["words left"] == found["words left after the next run"] == 0
    assert found["found by the own scan"] == 0
    assert found["words of the kept left"] > 3 * found["erased"]
