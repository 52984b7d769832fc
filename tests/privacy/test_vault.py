from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.vault import (
    MasterKey,
    MasterKeyError,
    TamperedError,
    content_id,
    hkdf_sha256,
    seal,
    unseal,
)

KEY = bytes(range(32))


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

    def test_compressed_bytes_follow_the_documented_format(self) -> None:
        sealed = seal(KEY, b"the text " * 100, "doc/raw", compress=True)
        version, nonce, body, tag = sealed[0], sealed[1:13], sealed[13:-16], sealed[-16:]
        decryptor = Cipher(algorithms.AES(KEY), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(b"lexveil/seal/v2/doc/raw")
        content = decryptor.update(body) + decryptor.finalize()
        assert version == 2
        assert zstandard.ZstdDecompressor().decompress(content) == b"the text " * 100

    def test_what_an_earlier_version_sealed_opens(self) -> None:
        """Version 1, not compressed."""
        content = AESGCM(KEY).encrypt(bytes(12), b"the text", b"lexveil/seal/v1/doc/raw")
        sealed = bytes([1]) + bytes(12) + content
        assert unseal(KEY, sealed, "doc/raw") == b"the text"


class TestSeal:
    @given(plaintext=st.binary(max_size=300), context=st.text(max_size=20))
    def test_round_trip_of_compressed(self, plaintext: bytes, context: str) -> None:
        sealed = seal(KEY, plaintext, context, compress=True)
        assert unseal(KEY, sealed, context) == plaintext
        for one in (sealed, seal(KEY, plaintext, context)):
            with pytest.raises(TamperedError):  # neither version opens as the other
                unseal(KEY, bytes([3 - one[0]]) + one[1:], context)

    def test_what_compresses_becomes_smaller_and_nothing_larger_by_much(self) -> None:
        text = b"The tenant shall pay the rent of the month to the landlord. " * 50
        assert len(seal(KEY, text, "a", compress=True)) < len(text) / 10
        noise = SecureRandom(KEY).integers("noise", 0, 500).tobytes()
        assert len(seal(KEY, noise, "a", compress=True)) < len(seal(KEY, noise, "a")) + 32

    @given(plaintext=st.binary(max_size=300), context=st.text(max_size=20))
    def test_round_trip(self, plaintext: bytes, context: str) -> None:
        assert unseal(KEY, seal(KEY, plaintext, context), context) == plaintext

    @given(data=st.data())
    def test_any_change_is_refused(self, data: st.DataObject) -> None:
        sealed = bytearray(seal(KEY, b"some text", "a"))
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
        with pytest.raises(TamperedError):
            unseal(KEY, bytes(sealed), "a")

    @pytest.mark.parametrize(
        ("key", "context", "cut"), [(KEY, "b", 0), (bytes(32), "a", 0), (KEY, "a", 1), (KEY, "a", 30)]
    )
    def test_other_context_other_key_or_cut_is_refused(self, key: bytes, context: str, cut: int) -> None:
        sealed = seal(KEY, b"some text", "a")
        with pytest.raises(TamperedError):
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
        with pytest.raises(MasterKeyError) as caught:
            MasterKey.from_file(path)
        assert caught.value.code == code
        assert path.read_bytes() == content

    def test_missing_folder_and_unmakeable(self, tmp_path: Path) -> None:
        with pytest.raises(MasterKeyError, match="missing"):
            MasterKey.from_file(tmp_path / "none", create=False)
        with pytest.raises(MasterKeyError, match="unreadable"):
            MasterKey.from_file(tmp_path)
        (tmp_path / "file").write_text("")
        with pytest.raises(MasterKeyError):
            MasterKey.from_file(tmp_path / "file" / "key")

    @pytest.mark.parametrize("digits", ["", "zz" * 32, "00" * 31, "00" * 33])
    def test_from_hex_refuses(self, digits: str) -> None:
        with pytest.raises(MasterKeyError, match="length"):
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
