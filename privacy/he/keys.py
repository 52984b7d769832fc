"""The client's side: the secret key is made here, stays here, and nothing on the server may import this.

Formal guarantee: CKKS encryption (Cheon, Kim, Kim & Song 2017) under these keys is IND-CPA secure if Ring-LWE
with the parameters of `lexveil.privacy.he.parameters` is hard (128 bits by the Homomorphic Encryption
Standard, 2018) and stays so with galois keys published (circular security, which all such schemes assume). A
server that
follows the protocol learns how many ciphertexts came and when, and nothing of the features.

Not covered: (1) Decrypted CKKS values carry the noise of the key; who is given them can come to know the
secret key (IND-CPA-D: Li & Micciancio 2021). Logits stay with the client, who hands on labels only, and
nothing decrypted goes back to the server. (2) A server that does not follow the protocol can return wrong
answers. (3) Whoever reads this process's memory has the key; Python cannot erase it reliably.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tenseal.sealapi as seal

from lexveil.privacy.he.layout import Floats, pack, unpack
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.scheme import Scheme, from_bytes, to_bytes
from lexveil.privacy.he.wire_format import max_length, split_objects


class SecretKeyError(ValueError):
    """The secret key file cannot be used: absent, readable by others, or not one of ours."""


class ClientKeys:
    """A secret key and what is made from it. Cannot be printed or pickled."""

    def __init__(self, scheme: Scheme, secret_key: Any) -> None:
        self._scheme = scheme
        self._secret_key = secret_key
        self._encryptor: Any = seal.Encryptor(scheme.context, secret_key)
        self._decryptor: Any = seal.Decryptor(scheme.context, secret_key)

    @classmethod
    def generate(cls, parameters: Parameters) -> ClientKeys:
        """Fresh keys; SEAL draws them from the system's randomness."""
        scheme = Scheme(parameters)
        return cls(scheme, seal.KeyGenerator(scheme.context).secret_key())

    @classmethod
    def load(cls, path: Path) -> ClientKeys:
        """Keys saved by `save`. Raises `SecretKeyError`."""
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise SecretKeyError("the secret key file must be readable by its owner only")
                record, _, secret = file.read().partition(b"\n")
            scheme = Scheme(Parameters.from_json(record.decode()))
            return cls(scheme, from_bytes(seal.SecretKey(), scheme.context, secret))
        except SecretKeyError:
            raise
        except (OSError, RuntimeError, ValueError):
            raise SecretKeyError("the secret key file cannot be read") from None

    def save(self, path: Path) -> None:
        """Writes the secret key to a new file of mode 0600: one line of parameters, then SEAL's bytes."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.parameters.to_json().encode() + b"\n" + to_bytes(self._secret_key))
            file.flush()
            os.fsync(file.fileno())

    @property
    def parameters(self) -> Parameters:
        return self._scheme.parameters

    @property
    def max_reply_bytes(self) -> int:
        """No honest reply to one request of `encrypt` is longer."""
        return self.parameters.ciphertexts_per_reply * max_length(self._scheme.output_frame)

    def evaluation_keys(self) -> bytes:
        """The keys that this evaluation uses and no others, seeded: what the server is given once.

        See `Scheme.key_frames`; empty where no key is used.
        """
        scheme = self._scheme
        generator = seal.KeyGenerator(scheme.context, self._secret_key)
        make = {
            "galois": lambda: generator.create_galois_keys(scheme.galois_elements),
            "relin": generator.create_relin_keys,
            "public": lambda: _public_key(generator),
        }
        return b"".join(to_bytes(make[name]()) for name in scheme.key_frames)

    def encrypt(self, features: Floats) -> list[bytes]:
        """Requests of `documents_per_ciphertext` documents each. Shape: (n, n_features).

        Symmetric and seeded, which halves them. Raises ValueError for another shape or what is not finite.
        """
        if not np.isfinite(features).all():
            raise ValueError("features must be finite")
        scheme, each = self._scheme, self.parameters.ciphertexts_per_request
        packed = pack(self.parameters, np.asarray(features, dtype=np.float64))
        plaintexts = (scheme.encode(slots, scheme.input_scale, scheme.levels[-1]) for slots in packed)
        serialised = [to_bytes(self._encryptor.encrypt_symmetric(plaintext)) for plaintext in plaintexts]
        return [b"".join(serialised[start : start + each]) for start in range(0, len(serialised), each)]

    def decrypt(self, replies: Sequence[bytes], n: int) -> Floats:
        """Logits of n documents. Shape: (n, n_classes). Raises `MalformedError` for what is not a reply."""
        scheme, each = self._scheme, self.parameters.ciphertexts_per_reply
        if len(replies) != -(-n // self.parameters.documents_per_ciphertext):
            raise ValueError("the number of ciphertexts does not fit the number of documents")
        slots = np.empty((len(replies) * each, self.parameters.slots), dtype=np.complex128)
        for row, serialised in enumerate(piece for reply in replies for piece in split_objects(reply, each)):
            plaintext = seal.Plaintext()
            self._decryptor.decrypt(
                scheme.load(seal.Ciphertext(), serialised, scheme.output_frame), plaintext
            )
            slots[row] = scheme.encoder.decode_complex(plaintext)
        return unpack(self.parameters, slots, n)

    def __repr__(self) -> str:
        return "ClientKeys(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("ClientKeys cannot be pickled")


def _public_key(generator: Any) -> Any:
    # The bindings do not know the seeded form of this one.
    public_key = seal.PublicKey()
    generator.create_public_key(public_key)
    return public_key
