"""The client's side: the secret key is created and kept here. Nothing on the server may import this module.

Formal guarantee:
    CKKS encryption (Cheon, Kim, Kim & Song 2017) under these keys is IND-CPA secure if Ring-LWE with the
    parameters of `lexveil.privacy.he.parameters` is hard (128 bits by the Homomorphic Encryption Standard,
    2018) and stays so with Galois keys published (circular security, which all such schemes assume). A server
    that follows the protocol learns how many ciphertexts came and when, and nothing about the features.

Not covered:
    (1) Decrypted CKKS values carry the noise of the key; anyone who receives them may recover the secret key
    (IND-CPA-D: Li & Micciancio 2021). Logits stay with the client, who passes on labels only, and nothing
    decrypted goes back to the server. (2) A server that does not follow the protocol can return wrong
    answers.
    (3) Anyone who reads this process's memory has the key; Python cannot erase it reliably.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tenseal.sealapi as seal

from lexveil.privacy.files import write_atomically
from lexveil.privacy.he.layout import Floats, pack, unpack
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.scheme import Scheme, from_bytes, to_bytes
from lexveil.privacy.he.wire_format import max_length, split_objects


class SecretKeyError(ValueError):
    """The secret key file cannot be used: it is missing, readable by others, or not one of ours."""


class FormerKeyError(SecretKeyError):
    """The secret key is for parameters that this version does not use: it can decrypt nothing any more."""


class ClientKeys:
    """A secret key and what is derived from it. It cannot be printed or pickled.

    Formal guarantee:
        That of the module.
    """

    def __init__(self, scheme: Scheme, secret_key: Any) -> None:
        self._scheme = scheme
        self._secret_key = secret_key
        self._encryptor: Any = seal.Encryptor(scheme.context, secret_key)
        self._decryptor: Any = seal.Decryptor(scheme.context, secret_key)

    @classmethod
    def generate(cls, parameters: Parameters) -> ClientKeys:
        """Return fresh keys; SEAL draws them from the system's randomness.

        Raises:
            ValueError: SEAL does not consider the parameters 128-bit secure.
        """
        scheme = Scheme(parameters)
        return cls(scheme, seal.KeyGenerator(scheme.context).secret_key())

    @classmethod
    def load(cls, path: Path) -> ClientKeys:
        """Return the keys in a file that `save` wrote.

        Raises:
            FormerKeyError: The key is for parameters of an earlier version.
            SecretKeyError: The file cannot be used.
        """
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise SecretKeyError("the secret key file must be readable by its owner only")
                record, _, secret = file.read().partition(b"\n")
            scheme = Scheme(_read_record(record.decode()))
            return cls(scheme, from_bytes(seal.SecretKey(), scheme.context, secret))
        except SecretKeyError:
            raise
        except (OSError, RuntimeError, ValueError):
            raise SecretKeyError("the secret key file cannot be read") from None

    def save(self, path: Path) -> None:
        """Write the secret key to a new file of mode 0600: one line of parameters, then SEAL's bytes.

        Raises:
            FileExistsError: There is such a file.
        """
        write_atomically(path, self.to_bytes(), overwrite=False)

    def to_bytes(self) -> bytes:
        """Return the content of a file that `load` reads. It is the secret key."""
        return self.parameters.to_json().encode() + b"\n" + to_bytes(self._secret_key)

    @property
    def parameters(self) -> Parameters:
        """The parameters of the keys."""
        return self._scheme.parameters

    @property
    def max_reply_bytes(self) -> int:
        """No valid reply to one request of `encrypt` is longer."""
        return self.parameters.ciphertexts_per_reply * max_length(self._scheme.output_frame)

    def evaluation_keys(self) -> bytes:
        """Return the keys that this evaluation uses and no others, seeded: the server receives them once.

        See `Scheme.key_frames`; the result is empty if no key is used.
        """
        scheme = self._scheme
        generator = seal.KeyGenerator(scheme.context, self._secret_key)
        create = {
            "galois": lambda: generator.create_galois_keys(scheme.galois_elements),
            "relin": generator.create_relin_keys,
            "public": lambda: _public_key(generator),
        }
        return b"".join(to_bytes(create[name]()) for name in scheme.key_frames)

    def encrypt(self, features: Floats) -> list[bytes]:
        """Encrypt features, `documents_per_ciphertext` documents per request.

        Encryption is symmetric and seeded, which halves the requests.

        Args:
            features: Shape (n, n_features).

        Raises:
            ValueError: The features have another shape or are not finite.

        Formal guarantee:
            That of the module.
        """
        if not np.isfinite(features).all():
            raise ValueError("features must be finite")
        scheme, each = self._scheme, self.parameters.ciphertexts_per_request
        packed = pack(self.parameters, np.asarray(features, dtype=np.float64))
        plaintexts = (scheme.encode(slots, scheme.input_scale, scheme.levels[-1]) for slots in packed)
        serialized = [to_bytes(self._encryptor.encrypt_symmetric(plaintext)) for plaintext in plaintexts]
        return [b"".join(serialized[start : start + each]) for start in range(0, len(serialized), each)]

    def decrypt(self, replies: Sequence[bytes], n: int) -> Floats:
        """Return the logits of n documents. Shape: (n, n_classes).

        Raises:
            MalformedError: Bytes that are not a reply.
            ValueError: The number of replies does not fit `n`.
        """
        scheme, each = self._scheme, self.parameters.ciphertexts_per_reply
        if len(replies) != -(-n // self.parameters.documents_per_ciphertext):
            raise ValueError("the number of ciphertexts does not fit the number of documents")
        slots = np.empty((len(replies) * each, self.parameters.slots), dtype=np.complex128)
        for row, serialized in enumerate(piece for reply in replies for piece in split_objects(reply, each)):
            plaintext = seal.Plaintext()
            self._decryptor.decrypt(
                scheme.load(seal.Ciphertext(), serialized, scheme.output_frame), plaintext
            )
            slots[row] = scheme.encoder.decode_complex(plaintext)
        return unpack(self.parameters, slots, n)

    def __repr__(self) -> str:
        return "ClientKeys(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("ClientKeys cannot be pickled")


def _read_record(text: str) -> Parameters:
    try:
        return Parameters.from_json(text)
    except ValueError:
        record = json.loads(text)
        if isinstance(record, dict) and "scheme" in record:
            raise FormerKeyError("the secret key is for parameters of an earlier version") from None
        raise


def _public_key(generator: Any) -> Any:
    # The bindings have no seeded form of a public key.
    public_key = seal.PublicKey()
    generator.create_public_key(public_key)
    return public_key
