from __future__ import annotations

import os
import pickle
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from privacy.vault import (
    Erased,
    KeyStore,
    KeyUnusable,
    MasterKey,
    Tampered,
    VaultError,
    content_id,
    hkdf_sha256,
    seal,
    unseal,
)

KEY = bytes(range(32))


def open_store(folder: Path, master: MasterKey | None = None) -> KeyStore:
    return KeyStore(f"sqlite:///{folder / 'keys.db'}", master or MasterKey(KEY))


class TestVectors:
    def test_hkdf_rfc_5869_a1_and_a3(self) -> None:
        secret = b"\x0b" * 22
        first = hkdf_sha256(secret, salt=bytes(range(13)), info=bytes(range(0xF0, 0xFA)), length=42)
        assert first.hex() == (
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        )
        third = hkdf_sha256(secret, salt=None, info=b"", length=42)
        assert third.hex() == (
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        )

    def test_derive_is_hkdf_with_the_documented_info(self) -> None:
        expected = hkdf_sha256(KEY, salt=None, info=b"lexveil/v1/documents", length=32)
        assert MasterKey(KEY).derive("documents") == expected

    def test_content_id_is_truncated_hmac_rfc_4231_cases_1_and_2(self) -> None:
        assert content_id(b"\x0b" * 20, b"Hi There") == "b0344c61d8db38535ca8afceaf0bf12b"
        assert content_id(b"Jefe", b"what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"

    def test_aes_gcm_nist_case_15(self) -> None:
        # McGrew & Viega, "The Galois/Counter Mode of Operation", appendix B, test case 15.
        key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
        plaintext = bytes.fromhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
        )
        sealed = AESGCM(key).encrypt(bytes.fromhex("cafebabefacedbaddecaf888"), plaintext, None)
        assert sealed.hex() == (
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
            "b094dac5d93471bdec1a502270e3cc6c"
        )

    def test_sealed_bytes_follow_the_documented_format(self) -> None:
        sealed = seal(KEY, b"the text", "doc/raw")
        version, nonce, body, tag = sealed[0], sealed[1:13], sealed[13:-16], sealed[-16:]
        decryptor = Cipher(algorithms.AES(KEY), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(b"lexveil/seal/v1/doc/raw")
        assert version == 1
        assert decryptor.update(body) + decryptor.finalize() == b"the text"


class TestSeal:
    @given(plaintext=st.binary(max_size=300), context=st.text(max_size=20))
    def test_round_trip(self, plaintext: bytes, context: str) -> None:
        assert unseal(KEY, seal(KEY, plaintext, context), context) == plaintext

    @given(data=st.data())
    def test_any_change_is_refused(self, data: st.DataObject) -> None:
        sealed = bytearray(seal(KEY, b"some text", "a"))
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
        with pytest.raises(Tampered):
            unseal(KEY, bytes(sealed), "a")

    @pytest.mark.parametrize(
        ("key", "context", "cut"), [(KEY, "b", 0), (bytes(32), "a", 0), (KEY, "a", 1), (KEY, "a", 30)]
    )
    def test_other_context_other_key_or_cut_is_refused(self, key: bytes, context: str, cut: int) -> None:
        sealed = seal(KEY, b"some text", "a")
        with pytest.raises(Tampered):
            unseal(key, sealed[: len(sealed) - cut], context)

    def test_two_seals_differ(self) -> None:
        assert seal(KEY, b"x", "a") != seal(KEY, b"x", "a")


class TestMasterKey:
    def test_made_once_with_mode_0600_whatever_the_umask(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "master.key"
        before = os.umask(0)
        try:
            made = MasterKey.from_file(path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert MasterKey.from_file(path).key_id == made.key_id
        assert list(path.parent.iterdir()) == [path]

    def test_raw_and_hexadecimal_files(self, tmp_path: Path) -> None:
        for name, content in (("raw", KEY), ("hex", KEY.hex().encode() + b"\n")):
            path = tmp_path / name
            path.write_bytes(content)
            path.chmod(0o600)
            assert MasterKey.from_file(path).key_id == MasterKey.from_hex(KEY.hex()).key_id

    @pytest.mark.parametrize(
        ("content", "mode", "code"),
        [(KEY, 0o640, "mode"), (KEY, 0o604, "mode"), (KEY[:31], 0o600, "length"), (b"", 0o600, "length")],
    )
    def test_unusable_files(self, tmp_path: Path, content: bytes, mode: int, code: str) -> None:
        path = tmp_path / "master.key"
        path.write_bytes(content)
        path.chmod(mode)
        with pytest.raises(KeyUnusable) as caught:
            MasterKey.from_file(path)
        assert caught.value.code == code
        assert path.read_bytes() == content

    def test_missing_folder_and_unmakeable(self, tmp_path: Path) -> None:
        with pytest.raises(KeyUnusable, match="missing"):
            MasterKey.from_file(tmp_path / "none", create=False)
        with pytest.raises(KeyUnusable, match="unreadable"):
            MasterKey.from_file(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(KeyUnusable):
            MasterKey.from_file(tmp_path / "file" / "key")

    @pytest.mark.parametrize("digits", ["", "zz" * 32, "00" * 31, "00" * 33])
    def test_from_hex_refuses(self, digits: str) -> None:
        with pytest.raises(KeyUnusable, match="length"):
            MasterKey.from_hex(digits)

    def test_purposes_have_different_keys(self) -> None:
        master = MasterKey(KEY)
        assert master.derive("a") != master.derive("b")
        assert len(master.key_id) == 8

    def test_neither_printed_nor_pickled(self) -> None:
        master = MasterKey(KEY)
        assert repr(master) == "MasterKey(...)"
        with pytest.raises(TypeError):
            pickle.dumps(master)


class TestKeyStore:
    def test_keys_are_made_once_and_differ(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        keys = store.keys_for(["a", "b", "a"])
        assert keys["a"] != keys["b"]
        assert len(keys["a"]) == 32
        assert open_store(tmp_path).keys_for(["b", "c"])["b"] == keys["b"]
        assert store.existing(["a", "z"]) == {"a": keys["a"]}

    def test_more_documents_than_one_statement_holds(self, tmp_path: Path) -> None:
        ids = [f"doc-{number}" for number in range(1234)]
        store = open_store(tmp_path)
        assert store.keys_for(ids) == store.existing(ids)
        assert store.destroy(ids) == 1234
        assert store.erased(ids) == set(ids)

    def test_files_are_private(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            open_store(tmp_path).keys_for(["a"])
        finally:
            os.umask(before)
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}

    def test_destroyed_keys_leave_a_tombstone_and_no_bytes(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        ids = [f"doc-{number}" for number in range(300)]
        kept = store.keys_for(ids)["doc-7"]
        with sqlite3.connect(tmp_path / "keys.db") as connection:
            rows = dict(connection.execute("SELECT id, wrapped FROM data_keys").fetchall())
        connection.close()
        gone = [doc_id for doc_id in ids if doc_id != "doc-7"]
        assert store.destroy([*gone, "never-seen"]) == 299
        assert store.erased(["doc-7", "doc-8", "never-seen"]) == {"doc-8", "never-seen"}
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not any(rows[doc_id][13:] in files for doc_id in gone)
        assert rows["doc-7"][13:] in files
        assert store.existing(ids) == {"doc-7": kept}

    def test_an_erased_document_gets_no_new_key(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.keys_for(["a"])
        store.destroy(["a"])
        with pytest.raises(Erased) as caught:
            store.keys_for(["a", "b"])
        assert caught.value.count == 1
        assert store.existing(["a", "b"]) == {}
        assert store.destroy(["a"]) == 0

    def test_exchanged_rows_are_noticed(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.keys_for(["a", "b"])
        with sqlite3.connect(tmp_path / "keys.db") as connection:
            connection.execute(
                "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE id = 'b') WHERE id = 'a'"
            )
        connection.close()
        with pytest.raises(Tampered):
            store.existing(["a"])

    def test_rotation_keeps_data_keys_and_locks_the_old_master_out(self, tmp_path: Path) -> None:
        store, bystander = open_store(tmp_path), open_store(tmp_path)
        keys, purpose = store.keys_for(["a", "b"]), store.purpose_key("document-ids")
        new = MasterKey.generate()
        assert store.rewrap(new) == 3
        assert open_store(tmp_path, new).existing(["a", "b"]) == keys
        assert store.purpose_key("document-ids") == purpose
        # A process that still holds the old key must not add rows nobody can open.
        for use in (lambda: bystander.keys_for(["c"]), lambda: open_store(tmp_path)):
            with pytest.raises(KeyUnusable, match="wrong_key"):
                use()
        assert store.existing(["c"]) == {}

    def test_concurrent_processes_agree_on_every_key(self, tmp_path: Path) -> None:
        program = (
            "import sys, hashlib; from pathlib import Path; from privacy.vault import *\n"
            "folder = Path(sys.argv[1])\n"
            "store = KeyStore(f'sqlite:///{folder}/keys.db', MasterKey.from_file(folder / 'master.key'))\n"
            "ids = [str(number) for number in range(300)]\n"
            "keys = {}\n"
            "for start in range(0, 300, 10): keys |= store.keys_for(ids[start:start + 10])\n"
            "print(hashlib.sha256(b''.join(keys[name] for name in ids)).hexdigest())\n"
        )
        arguments = [sys.executable, "-c", program, str(tmp_path)]
        running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        printed = [process.communicate()[0] for process in running]
        assert [process.returncode for process in running] == [0, 0, 0]
        assert len(set(printed)) == 1

    @pytest.mark.parametrize(
        "url", ["sqlite:///{}/none/keys.db", "sqlite:///{}/broken.db", "nonsense:hunter2"]
    )
    def test_a_table_that_cannot_be_opened(self, tmp_path: Path, url: str) -> None:
        (tmp_path / "broken.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
        with pytest.raises(VaultError) as caught:
            KeyStore(url.format(tmp_path), MasterKey(KEY))
        assert caught.value.code == "store"
        assert "hunter2" not in str(caught.value)

    def test_nothing_secret_in_reprs_and_messages(self, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.keys_for(["smith-v-jones"])
        store.destroy(["smith-v-jones"])
        with pytest.raises(Erased) as caught:
            store.keys_for(["smith-v-jones"])
        assert "smith" not in repr(caught.value) + str(caught.value) + repr(store)
