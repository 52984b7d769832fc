"""Settings: who wins, and what is refused, each in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.settings import MaskSettings, load_settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_command_line_over_environment_over_file_over_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lexveil.toml").write_text(
        "[train]\nepsilon = 1\ndelta = 1e-6\nmax_grad_norm = 2\n[ingest]\ntext_field = 'body'\n"
    )
    monkeypatch.setenv("LEXVEIL_TRAIN__EPSILON", "2")
    monkeypatch.setenv("LEXVEIL_TRAIN__DELTA", "1e-7")
    found = load_settings(train={"epsilon": 3, "model": None}, ingest={"text_field": None})
    assert (found.train.epsilon, found.train.delta, found.train.max_grad_norm) == (3, 1e-7, 2)
    assert found.train.model == "linear"
    assert found.ingest.text_field == "body"


def test_a_named_file_takes_the_place_of_the_working_folders(tmp_path: Path) -> None:
    (tmp_path / "lexveil.toml").write_text("workers = 3")
    (tmp_path / "other.toml").write_text("[train]\nmodel = 'mlp'")
    found = load_settings(tmp_path / "other.toml")
    assert (found.workers, found.train.model) == (None, "mlp")


def test_what_the_environment_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXVEIL_WORKERS", "2")
    monkeypatch.setenv("LEXVEIL_MASTER_KEY_FILE", "/somewhere/key")
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", "00" * 32)
    monkeypatch.setenv("LEXVEIL_DEBUG", "")
    monkeypatch.setenv("LEXVEIL_MASK", '{"types": {"PERSON": "surrogate"}}')
    found = load_settings()
    assert (found.workers, found.master_key_file) == (2, Path("/somewhere/key"))
    assert found.mask.types == {"PERSON": "surrogate"}


def test_a_variable_holds_an_entry_of_a_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables are written in capital letters; types are too, and roles are not."""
    (tmp_path / "lexveil.toml").write_text("[mask.types]\nPHONE = 'token'\nEMAIL = 'surrogate'\n")
    monkeypatch.setenv("LEXVEIL_MASK__TYPES__EMAIL", "token")
    monkeypatch.setenv("LEXVEIL_MASK__ROLES__JUDGE", "keep")
    found = load_settings()
    assert found.mask.types == {"PHONE": "token", "EMAIL": "token"}
    assert found.mask.roles == {"judge": "keep"}


def test_what_kubernetes_sets_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXVEIL_PORT", "tcp://10.0.0.1:4200")
    monkeypatch.setenv("LEXVEIL_SERVER_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("LEXVEIL_SERVER_PORT_4200_TCP_ADDR", "10.0.0.1")
    assert load_settings() == load_settings(train={})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LEXVEIL_TRIAN__EPSILON", "LEXVEIL_TRAIN__EPSILON"),
        ("LEXVEIL_TRAIN__EPSILOM", "LEXVEIL_TRAIN__EPSILON"),
        ("LEXVEIL_TRAIN_EPSILON", "LEXVEIL_TRAIN__EPSILON"),
        ("LEXVEIL_EPSILON", "LEXVEIL_TRAIN__EPSILON"),
        ("LEXVEIL_ENCRYPTED_PORT", "LEXVEIL_ENCRYPTED__PORT"),
        ("LEXVEIL_DATABSE__URL", "LEXVEIL_DATABASE__URL"),
        ("LEXVEIL_MASTERKEY", "LEXVEIL_MASTER_KEY"),
        ("LEXVEIL_WORKERS__MOST", "LEXVEIL_WORKERS"),
    ],
)
def test_a_mistyped_variable_is_refused_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"the environment variable {name} names no setting; did you mean {meant}?"


@pytest.mark.parametrize(
    ("content", "named", "meant"),
    [
        ("[train]\nepsilom = 1", "train.epsilom", "train.epsilon"),
        ("[trian]\nepsilon = 1", "trian", "train"),
        ("epsilon = 1", "epsilon", "train.epsilon"),
        ("[ingest]\nownerfield = 'hunter2'", "ingest.ownerfield", "ingest.owner_field"),
    ],
)
def test_a_mistyped_name_in_a_file_too(tmp_path: Path, content: str, named: str, meant: str) -> None:
    (tmp_path / "lexveil.toml").write_text(content)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"there is no setting {named}; did you mean {meant}?"


def test_a_name_like_no_other_is_refused_without_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXVEIL_ZZZZ", "1")
    with pytest.raises(SettingsError, match=r"names no setting$"):
        load_settings()


def test_settings_come_back_from_json() -> None:
    found = load_settings(train={"encoder": "/a/folder", "epsilon": 2.5}, ledger={"population": "a-b"})
    assert type(found).model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"train": {"epsilon": 0}}, "train.epsilon"),
        ({"train": {"epsilon": -1}}, "train.epsilon"),
        ({"train": {"epsilon": float("inf")}}, "train.epsilon"),
        ({"train": {"epsilon": float("nan")}}, "train.epsilon"),
        ({"train": {"epsilon": "much"}}, "train.epsilon"),
        ({"train": {"delta": 0}}, "train.delta"),
        ({"train": {"delta": 1}}, "train.delta"),
        ({"train": {"delta": 0.0011}}, "train.delta"),
        ({"ledger": {"limit_delta": 0.5}}, "ledger.limit_delta"),
        ({"train": {"model": "forest"}}, "train.model"),
        ({"train": {"steps": 0}}, "train.steps"),
        ({"train": {"sample_rate": 1.5}}, "train.sample_rate"),
        ({"train": {"max_grad_norm": 0}}, "train.max_grad_norm"),
        ({"train": {"epsilom": 1}}, "train.epsilom"),
        ({"mask": {"types": ["PERSON"]}}, "mask.types"),
        ({"mask": {"types": {"NAME": "token"}}}, "mask.types"),
        ({"mask": {"types": {"PERSON": "hide"}}}, "mask.types.PERSON"),
        ({"mask": {"types": {"EMAIL": "generalise"}}}, "mask.types.EMAIL"),
        ({"mask": {"types": {"CASE_NUMBER": "surrogate"}}}, "mask.types.CASE_NUMBER"),
        ({"mask": {"roles": {"king": "keep"}}}, "mask.roles"),
        ({"mask": {"roles": {"company": "generalise"}}}, "mask.roles.company"),
        ({"mask": {"preset": "strict", "types": {"PERSON": "keep"}}}, "mask.types.PERSON"),
        ({"mask": {"preset": "strict", "direct": "generalise"}}, "mask.direct"),
        ({"mask": {"preset": "strict", "roles": {"judge": "keep"}}}, "mask.roles.judge"),
        ({"mask": {"preset": "court-publication", "types": {"PERSON": "keep"}}}, "mask.types.PERSON"),
        ({"mask": {"direct": "keep", "quasi": "keep"}}, "mask.types"),
        ({"mask": {"preset": "lax"}}, "mask.preset"),
        ({"mask": {"detector": "/no/such/folder"}}, "mask.detector"),
        ({"ledger": {"population": "all people"}}, "ledger.population"),
        ({"encrypted": {"port": 70000}}, "encrypted.port"),
        ({"workers": 0}, "workers"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_refused_by_name_in_one_line(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", ["[train", "\xff", "train = 3", "[train]\nepsilon = 'a'\n", "colour = 1"])
def test_files_that_are_no_settings(tmp_path: Path, content: str) -> None:
    path = tmp_path / "some.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_only_when_named(tmp_path: Path) -> None:
    load_settings()
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEXVEIL_TRAIN__EPSILON", "zero"),
        ("LEXVEIL_TRAIN__EPSILOM", "1"),
        ("LEXVEIL_TRAIN", "no json"),
        ("LEXVEIL_TRAIN", "[1]"),
        ("LEXVEIL_WORKERS", "many"),
    ],
)
def test_a_bad_environment_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a compose file passes on what its own environment hasn't got."""
    for name in ("LEXVEIL_MASTER_KEY_SERVICE", "LEXVEIL_MASTER_KEY_FILE", "LEXVEIL_DATABASE__URL"):
        monkeypatch.setenv(name, "")
    assert load_settings() == load_settings(train={})
    assert (load_settings().database.url, load_settings().master_key_file) == (None, None)


def test_no_repr_shows_where_a_database_lies() -> None:
    found = load_settings(
        database={"url": "postgresql://someone:hunter2@host/name"},
        ledger={"url": "postgresql://a:hunter2@b/c"},
    )
    assert "hunter2" not in repr(found)
    with pytest.raises(SettingsError) as caught:
        load_settings(database={"url": "mysql://someone:hunter2@host/name"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("lists", "says"),
    [
        ({"deny": {"PERSON": ["x"]}}, "fewer than two"),
        ({"allow": [" ."]}, "fewer than two"),
        ({"deny": {"PERSON": ["Jane  Roe"]}, "allow": ["Jane Roe"]}, "in both"),
        ({"deny": {"PERSONS": ["Roe"]}}, "mask.deny.PERSONS"),
    ],
)
def test_lists_that_cannot_be_meant(lists: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as raised:
        load_settings(mask=lists)
    assert "Roe" not in str(raised.value)


def test_settings_that_came_later_leave_no_trace_where_they_are_not_used() -> None:
    """The dump is in digests of earlier workspaces: with new names, their models would be trained again."""
    assert set(MaskSettings().model_dump(mode="json")) == {
        "preset", "detector", "scope", "direct", "quasi", "types", "roles", "dates",
    }  # fmt: skip
    used = MaskSettings(language="de", allow=("Roe",))
    assert MaskSettings.model_validate(used.model_dump(mode="json")) == used
    assert "Roe" not in repr(used)
