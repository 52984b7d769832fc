"""Keys and sealed bytes in the wrong hands or the wrong place."""

from __future__ import annotations

import copy
import os
import pickle
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.keystore import KeyStore, read_service_address
from lexveil.privacy.pseudonyms import surrogate_seed
from lexveil.privacy.vault import (
    ErasedError,
    MasterKey,
    MasterKeyError,
    TamperedError,
    VaultError,
    content_id,
    seal,
    unseal,
)

KEY = bytes(range(32))


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'keys.db'}"


def open_store(folder: Path, key: bytes = KEY) -> KeyStore:
    return KeyStore(url_of(folder), MasterKey(key))


def execute(folder: Path, *statements: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "keys.db") as raw:
        rows: list[tuple[object, ...]] = []
        for statement in statements:
            rows = raw.execute(statement).fetchall()
    return rows


class TestSealedBytes:
    @pytest.mark.parametrize("length", [0, 15, 31, 33, 64])
    def test_a_key_of_another_length_seals_nothing(self, length: int) -> None:
        with pytest.raises(ValueError):
            seal(bytes(length), b"text", "a")

    @given(st.binary(max_size=60))
    def test_bytes_from_anywhere_do_not_open(self, content: bytes) -> None:
        with pytest.raises(TamperedError):
            unseal(KEY, content, "a")

    def test_another_version_does_not_open(self) -> None:
        sealed = seal(KEY, b"text", "a")
        with pytest.raises(TamperedError):
            unseal(KEY, bytes([2]) + sealed[1:], "a")

    def test_a_context_is_a_whole_and_no_beginning(self) -> None:
        sealed = seal(KEY, b"text", "doc-1/raw")
        for context in ("doc-1", "doc-1/ra", "doc-1/raw2", "doc-1/rAw", ""):
            with pytest.raises(TamperedError):
                unseal(KEY, sealed, context)

    def test_two_halves_of_two_messages_are_no_third(self) -> None:
        one, other = seal(KEY, b"a" * 40, "a"), seal(KEY, b"b" * 40, "a")
        with pytest.raises(TamperedError):
            unseal(KEY, one[:30] + other[30:], "a")

    def test_the_length_is_all_that_a_sealed_text_tells(self) -> None:
        sealed = [seal(KEY, text, "a") for text in (b"guilty    ", b"not guilty")]
        assert len(sealed[0]) == len(sealed[1]) == 10 + 29
        assert sealed[0][13:-16] != sealed[1][13:-16]

    def test_no_error_quotes_key_context_or_content(self) -> None:
        for sealed in (b"smith", seal(bytes(32), b"smith", "smith")):
            with pytest.raises(TamperedError) as caught:
                unseal(KEY, sealed, "smith")
            assert "smith" not in str(caught.value)
            assert caught.value.code == "tampered"


class TestMasterKeys:
    @pytest.mark.parametrize("secret", [b"", KEY[:31], KEY + b"\0"])
    def test_another_length_is_refused(self, secret: bytes) -> None:
        with pytest.raises(MasterKeyError, match="length"):
            MasterKey(secret)

    def test_no_way_of_copying_it_out(self) -> None:
        master = MasterKey(KEY)
        for leak in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="pickled"):
                leak(master)
        assert not hasattr(master, "__dict__")
        assert KEY.hex() not in repr(master) + str(master) + f"{master}"

    def test_hexadecimal_digits_in_any_case_and_with_blanks_around(self) -> None:
        expected = MasterKey(KEY).key_id
        for digits in (KEY.hex().upper(), f"  {KEY.hex()}\n"):
            assert MasterKey.from_hex(digits).key_id == expected

    def test_its_id_says_nothing_of_it_but_differs(self) -> None:
        ids = {MasterKey(bytes([number]) * 32).key_id for number in range(50)}
        assert len(ids) == 50
        assert KEY.hex()[:8] != MasterKey(KEY).key_id

    def test_many_threads_that_make_the_file_get_one_key(self, tmp_path: Path) -> None:
        start, ids = threading.Barrier(8), []

        def make() -> None:
            start.wait()
            ids.append(MasterKey.from_file(tmp_path / "keys" / "master.key").key_id)

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 8
        assert len(set(ids)) == 1
        assert [path.name for path in (tmp_path / "keys").iterdir()] == ["master.key"]

    def test_a_file_that_is_not_hexadecimal_is_left_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "master.key"
        path.write_bytes("schlüssel".encode() * 7)
        path.chmod(0o600)
        with pytest.raises(MasterKeyError, match="length"):
            MasterKey.from_file(path)
        assert path.read_bytes() == "schlüssel".encode() * 7

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_may_not_be_written(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(MasterKeyError, match="unwritable"):
            MasterKey.from_file(tmp_path / "master.key")


class TestKeyTable:
    def test_wrapped_keys_that_change_places_do_not_open(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.ensure_keys(["a", "b"])
        execute(
            tmp_path,
            "CREATE TABLE t AS SELECT id, wrapped FROM data_keys",
            "UPDATE data_keys SET wrapped = (SELECT wrapped FROM t WHERE t.id != data_keys.id)",
        )
        for doc_id in "ab":
            with pytest.raises(TamperedError):
                store.existing_keys([doc_id])

    def test_keys_are_not_in_the_file_in_clear(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        secrets = [*store.ensure_keys(["a", "b"]).values(), store.purpose_key("doc-id"), KEY]
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not [secret for secret in secrets if secret in content or secret.hex().encode() in content]

    def test_another_master_key_opens_nothing_and_changes_nothing(self, tmp_path: Path) -> None:
        keys = open_store(tmp_path).ensure_keys(["a"])
        with pytest.raises(MasterKeyError) as caught:
            open_store(tmp_path, bytes(32))
        assert caught.value.code == "wrong_key"
        assert open_store(tmp_path).existing_keys(["a"]) == keys

    def test_a_table_that_was_emptied_is_another_table(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.ensure_keys(["a"])
        execute(tmp_path, "DELETE FROM facts")
        for use in (lambda: store.existing_keys(["a"]), lambda: store.destroy_keys(["a"]), store.next_moment):
            with pytest.raises(MasterKeyError, match="wrong_key"):
                use()

    def test_an_erased_document_stays_erased_for_whoever_comes_after(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.ensure_keys(["a", "b", "c"])
        store.destroy_keys(["a", "b"])
        again = open_store(tmp_path)
        with pytest.raises(ErasedError) as caught:
            again.ensure_keys(["a", "b", "c", "d"])
        assert caught.value.count == 2
        assert again.existing_keys(["d"]) == {}
        assert again.destroy_keys(["a", "b"]) == 0
        assert again.erased_ids(["a", "b", "c"]) == {"a", "b"}

    def test_an_erasure_survives_a_rotation(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.ensure_keys(["a", "b"])
        store.destroy_keys(["a"])
        assert store.rewrap_keys(MasterKey(bytes(32))) == 1
        with pytest.raises(ErasedError):
            open_store(tmp_path, bytes(32)).ensure_keys(["a"])

    def test_a_purpose_survives_the_erasure_of_every_document(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        purpose = store.purpose_key("doc-id")
        ids = list(store.ensure_keys(["a", "b"]))
        store.destroy_keys(ids)
        assert store.purpose_key("doc-id") == purpose != store.purpose_key("owner-id")

    def test_of_nothing_nothing_is_made_or_destroyed(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        assert store.ensure_keys([]) == store.existing_keys([]) == store.creation_times([]) == {}
        assert store.erased_ids([]) == set()
        assert store.destroy_keys([]) == 0

    def test_a_name_that_looks_like_sql_is_a_name(self, tmp_path: Path) -> None:
        name = "a'); DROP TABLE data_keys; --"
        store = open_store(tmp_path)
        keys = store.ensure_keys([name])
        assert store.existing_keys([name]) == keys
        assert store.erased_ids([name]) == set()

    def test_a_table_of_no_service_names_none(self, tmp_path: Path) -> None:
        assert read_service_address(url_of(tmp_path), "unused", "vault://transit/x") == "vault://transit/x"
        open_store(tmp_path)
        assert read_service_address(url_of(tmp_path), "unused", "vault://transit/x") is None

    def test_a_broken_file_is_a_refusal_with_a_code(self, tmp_path: Path) -> None:
        (tmp_path / "keys.db").write_bytes(b"not a database" * 100)
        with pytest.raises(VaultError) as caught:
            open_store(tmp_path)
        assert caught.value.code == "store"


class TestIdentifiers:
    def test_one_content_under_two_keys_cannot_be_linked(self) -> None:
        assert content_id(KEY, b"judgment") != content_id(bytes(32), b"judgment")
        assert content_id(KEY, b"judgment") != content_id(KEY, b"judgment ")

    def test_one_name_in_two_scopes_cannot_be_linked(self) -> None:
        seeds = {surrogate_seed(KEY, scope, "PERSON", "Ann Roe", 0) for scope in ("one", "two", "")}
        seeds |= {
            surrogate_seed(KEY, "one", "ORGANIZATION", "Ann Roe", 0),
            surrogate_seed(bytes(32), "one", "PERSON", "Ann Roe", 0),
        }
        assert len(seeds) == 5
