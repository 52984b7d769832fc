"""How training texts were masked, as it is written beside a model and followed elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.masking.record import build_masking_record, restore_masking
from lexveil.pipeline.settings import MaskSettings

OWN = MaskSettings()


def written(settings: MaskSettings) -> dict[str, Any]:
    return json.loads(json.dumps(build_masking_record(settings)))


@pytest.mark.parametrize(
    "settings",
    [
        MaskSettings(),
        MaskSettings(detector="rules", direct="surrogate", dates="month"),
        MaskSettings(types={"PERSON": "surrogate"}, quasi="keep"),
    ],
)
def test_settings_are_restored_whatever_those_here_are(settings: MaskSettings) -> None:
    assert restore_masking(written(settings), OWN) == settings
    assert restore_masking(written(settings), MaskSettings(detector="light", quasi="keep")) == settings


def test_a_detector_of_the_users_own_is_known_by_its_files(tmp_path: Path) -> None:
    for name in ("theirs", "ours", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text("1" if name != "other" else "2")
    record = written(MaskSettings(detector=str(tmp_path / "theirs"), direct="surrogate"))
    assert str(tmp_path) not in json.dumps(record)
    restored = restore_masking(record, MaskSettings(detector=str(tmp_path / "ours")))
    assert (restored.detector, restored.direct) == (str(tmp_path / "ours"), "surrogate")
    for lacking in (OWN, MaskSettings(detector=str(tmp_path / "other"))):
        with pytest.raises(TrainingRefusedError, match=r"^[^\n]*mask\.detector must name a copy[^\n]*$"):
            restore_masking(record, lacking)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"policy": {"preset": "of a later version"}},
        {"policy": {"unknown": 1}},
        {"policy": None},
        {"detector": "of a later version"},
        {"detector_digest": "0" * 32},
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(TrainingRefusedError) as caught:
        restore_masking({**written(OWN), **change}, OWN)
    assert "\n" not in str(caught.value)


def test_nothing_is_no_record() -> None:
    with pytest.raises(TrainingRefusedError):
        restore_masking({}, OWN)


def test_own_rules_are_recorded_by_their_digest_alone() -> None:
    own = MaskSettings(detector="rules", deny={"PERSON": ("Roe",)}, allow=("court",))
    record = written(own)
    assert "Roe" not in json.dumps(record)
    assert restore_masking(record, own) == own
    for other in (MaskSettings(), MaskSettings(deny={"PERSON": ("Doe",)}, allow=("court",))):
        with pytest.raises(TrainingRefusedError, match=r"mask\.deny, mask\.allow must be those"):
            restore_masking(record, other)
    plain = MaskSettings(detector="rules")
    assert restore_masking(written(plain), own) == plain  # it masks as the model's training did


def test_a_record_names_no_code_and_no_file_of_this_machine(tmp_path: Path) -> None:
    """A client has it from a server, which could have code run here, and a folder used as a detector."""
    ran, code = tmp_path / "ran", tmp_path / "code.py"
    code.write_text(f"open({str(ran)!r}, 'w').close()\nclass Theirs:\n    pass\n")
    named = [
        written(OWN) | {"policy": written(OWN)["policy"] | {name: value}, "detector_digest": digest}
        for name, value, crafted in [
            ("recognizers", [f"{code}:Theirs"], {"recognizers": (f"{code}:Theirs",)}),
            ("recognizer_files", [str(code)], {"recognizer_files": (code,)}),
            ("allow", ["Roe"], {"allow": ("Roe",)}),
        ]
        for digest in [written(MaskSettings(**crafted))["detector_digest"]]  # the digest is the liar's, too
    ]
    folder = written(MaskSettings(detector=str(tmp_path))) | {"detector": str(tmp_path)}
    for record in (*named, folder):
        with pytest.raises(TrainingRefusedError, match=r"does not know$"):
            restore_masking(record, OWN)
    assert not ran.exists()
