"""Key services, each driven by its real client over real HTTP.

AWS KMS is moto's server. For Vault there is no server to be had here: `fixtures.transit` answers the calls of
its transit engine as Vault's API documentation says, and hvac asks it.
"""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.transit import transit
from lexveil.privacy.key_services import KeyService, key_service, unwrap_master_key
from lexveil.privacy.keystore import KeyStore, read_service_address
from lexveil.privacy.vault import MasterKey, MasterKeyError

CLOSED = "http://127.0.0.1:9"


@dataclass
class Kept:
    """A running service, how its own key is rotated, and the variable that says where it is."""

    service: KeyService
    rotate: Callable[[], Any]
    variable: str


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Generator[Kept]:
    pytest.importorskip("hvac")
    with transit() as engine:
        monkeypatch.setenv("VAULT_ADDR", engine.url)
        monkeypatch.setenv("VAULT_TOKEN", engine.token)
        yield Kept(key_service("vault://transit/lexveil"), engine.keys["lexveil"].rotate, "VAULT_ADDR")


@pytest.fixture
def kms(aws: str, monkeypatch: pytest.MonkeyPatch) -> Kept:
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", aws)
    client = boto3.client("kms")
    key = client.create_key()["KeyMetadata"]["KeyId"]
    name = f"alias/lexveil-{key}"
    client.create_alias(AliasName=name, TargetKeyId=key)

    def rotate() -> None:
        client.rotate_key_on_demand(KeyId=key)

    return Kept(key_service(f"aws-kms://{name}"), rotate, "AWS_ENDPOINT_URL_KMS")


@pytest.fixture(params=["vault", "kms"])
def kept(request: pytest.FixtureRequest) -> Kept:
    return request.getfixturevalue(request.param)


def code_of(use: Callable[[], Any]) -> str:
    with pytest.raises(MasterKeyError) as caught:
        use()
    trace = "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1" not in trace.replace("tests/", "")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.code


class TestService:
    def test_a_key_comes_back_from_its_wrapped_form(self, kept: Kept) -> None:
        secret, wrapped = kept.service.generate()
        assert len(secret) == 32
        assert kept.service.unwrap(wrapped) == secret
        assert secret not in base64.b64decode(wrapped.rpartition(":")[2])
        assert key_service(kept.service.address) == kept.service

    def test_wrapped_anew_it_is_the_same_key(self, kept: Kept) -> None:
        secret, wrapped = kept.service.generate()
        kept.rotate()
        renewed = kept.service.rewrap(wrapped)
        assert renewed != wrapped
        assert kept.service.unwrap(renewed) == kept.service.unwrap(wrapped) == secret

    def test_it_is_asked_once_a_process(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        secret, wrapped = kept.service.generate()
        assert unwrap_master_key(kept.service, wrapped).key_id == MasterKey(secret).key_id
        monkeypatch.setenv(kept.variable, CLOSED)
        assert unwrap_master_key(kept.service, wrapped).key_id == MasterKey(secret).key_id

    def test_what_it_did_not_wrap_is_refused(self, kept: Kept) -> None:
        _, wrapped = kept.service.generate()
        broken = wrapped[:-8] + ("AAAAAAA=" if wrapped.endswith("=") else "AAAAAAAA")
        for use in (kept.service.unwrap, kept.service.rewrap):
            assert code_of(lambda use=use: use(broken)) == "service_wrong_key"

    def test_out_of_reach(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        _, wrapped = kept.service.generate()
        monkeypatch.setenv(kept.variable, CLOSED)
        assert code_of(kept.service.generate) == "service_unreachable"
        assert code_of(lambda: kept.service.unwrap(wrapped)) == "service_unreachable"

    @pytest.mark.parametrize(
        "address", ["vault://transit/none", "aws-kms://alias/none", "vault://none/lexveil"]
    )
    def test_no_such_key(self, vault: Kept, kms: Kept, address: str) -> None:
        assert code_of(key_service(address).generate) == "service_no_key"

    @pytest.mark.parametrize("address", ["vault://lexveil", "aws-kms://", "gcp://key", ""])
    def test_no_such_service(self, address: str) -> None:
        assert code_of(lambda: key_service(address)) == "service_unknown"

    def test_a_token_that_is_refused(self, vault: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VAULT_TOKEN", "hvs.another")
        assert code_of(vault.service.generate) == "service_refused"

    def test_credentials_that_are_missing(
        self, kms: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        assert code_of(kms.service.generate) == "service_refused"

    def test_credentials_that_are_refused(self, kms: Kept, aws: str) -> None:
        import httpx

        httpx.post(f"{aws}/moto-api/reset-auth", content=b"0")  # from now on moto looks at them
        try:
            assert code_of(kms.service.generate) == "service_refused"
        finally:
            httpx.post(f"{aws}/moto-api/reset-auth", content=b"inf")

    def test_versions_that_vault_has_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with transit() as engine:
            monkeypatch.setenv("VAULT_ADDR", engine.url)
            monkeypatch.setenv("VAULT_TOKEN", engine.token)
            service = key_service("vault://transit/lexveil")
            secret, old = service.generate()
            engine.keys["lexveil"].rotate()
            new = service.rewrap(old)
            engine.keys["lexveil"].least = 2
            assert code_of(lambda: service.unwrap(old)) == "service_wrong_key"
            assert service.unwrap(new) == secret


class TestKeyStore:
    def open(self, folder: Path, master: Any) -> KeyStore:
        return KeyStore(f"sqlite:///{folder / 'keys.db'}", master, "unused")

    def test_only_the_wrapped_form_lies_in_the_table(self, kept: Kept, tmp_path: Path) -> None:
        store = self.open(tmp_path, kept.service)
        keys = store.ensure_keys(["a", "b"])
        unwrap_master_key.cache_clear()
        assert self.open(tmp_path, kept.service).ensure_keys(["a", "b"]) == keys
        assert (
            read_service_address(f"sqlite:///{tmp_path / 'keys.db'}", "unused", None) == kept.service.address
        )

    def test_another_master_key_is_refused(self, kept: Kept, tmp_path: Path) -> None:
        self.open(tmp_path, kept.service)
        assert code_of(lambda: self.open(tmp_path, MasterKey(bytes(32)))) == "elsewhere"
        assert code_of(lambda: self.open(tmp_path, key_service("vault://transit/other"))) == "elsewhere"

    def test_a_service_is_not_asked_for_a_table_of_a_given_key(self, kept: Kept, tmp_path: Path) -> None:
        self.open(tmp_path, MasterKey(bytes(32)))
        assert code_of(lambda: self.open(tmp_path, kept.service)) == "elsewhere"

    def test_to_a_service_anew_at_it_and_back(self, kept: Kept, tmp_path: Path) -> None:
        store = self.open(tmp_path, MasterKey(bytes(32)))
        keys = store.ensure_keys(["a", "b"])
        for master in (kept.service, kept.service, MasterKey(bytes([1]) * 32)):
            assert store.rewrap_keys(master) == 2
            unwrap_master_key.cache_clear()
            store = self.open(tmp_path, master)
            assert store.existing_keys(["a", "b"]) == keys

    def test_the_old_wrapped_form_is_gone_from_the_file(self, kept: Kept, tmp_path: Path) -> None:
        store = self.open(tmp_path, kept.service)
        keys = store.ensure_keys(["a"])
        before = wrapped_in(tmp_path)
        kept.rotate()
        store.rewrap_master(kept.service)
        assert wrapped_in(tmp_path) != before
        unwrap_master_key.cache_clear()
        assert self.open(tmp_path, kept.service).existing_keys(["a"]) == keys
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert before.encode() not in files


def wrapped_in(folder: Path) -> str:
    import sqlite3

    with sqlite3.connect(folder / "keys.db") as connection:
        rows = dict(connection.execute("SELECT name, value FROM facts").fetchall())
    connection.close()
    return rows["master_key_wrapped"]
