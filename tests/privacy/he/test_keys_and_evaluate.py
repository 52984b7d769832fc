from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lexveil.privacy.he.evaluate import HeadRefusedError, LinearEvaluator, logit_limit
from lexveil.privacy.he.keys import ClientKeys, SecretKeyError
from lexveil.privacy.he.parameters import choose_parameters
from lexveil.privacy.he.wire_format import MalformedError

PARAMETERS = choose_parameters(64, 3)
LOGIT_LIMIT = logit_limit(PARAMETERS)


@pytest.fixture(scope="module")
def keys() -> ClientKeys:
    return ClientKeys.generate(PARAMETERS)


@pytest.fixture(scope="module")
def evaluator() -> LinearEvaluator:
    random = np.random.default_rng(1)
    return LinearEvaluator(PARAMETERS, random.normal(size=(64, 3)), random.normal(size=3))


def features(n: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(n, 64)) / 8


class TestKeys:
    def test_neither_printed_nor_pickled(self, keys: ClientKeys) -> None:
        assert repr(keys) == "ClientKeys(...)"
        with pytest.raises(TypeError):
            pickle.dumps(keys)

    def test_saved_keys_decrypt_what_the_first_ones_encrypted(
        self, keys: ClientKeys, evaluator: LinearEvaluator, tmp_path: Path
    ) -> None:
        before = os.umask(0)
        try:
            keys.save(tmp_path / "client.key")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "client.key").stat().st_mode) == 0o600
        loaded = ClientKeys.load(tmp_path / "client.key")
        (request,) = keys.encrypt(features(5))
        reply = evaluator.evaluate(request, evaluator.load_keys(loaded.evaluation_keys()))
        np.testing.assert_array_equal(loaded.decrypt([reply], 5), keys.decrypt([reply], 5))
        with pytest.raises(FileExistsError):
            keys.save(tmp_path / "client.key")

    def test_a_key_file_others_may_read_is_refused(self, keys: ClientKeys, tmp_path: Path) -> None:
        keys.save(tmp_path / "client.key")
        (tmp_path / "client.key").chmod(0o644)
        with pytest.raises(SecretKeyError, match="owner"):
            ClientKeys.load(tmp_path / "client.key")

    @pytest.mark.parametrize("content", [b"", b"{}\n", PARAMETERS.to_json().encode() + b"\nnonsense"])
    def test_another_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "client.key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(SecretKeyError):
            ClientKeys.load(path)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_features_that_are_not_finite_are_refused(self, keys: ClientKeys, value: float) -> None:
        with pytest.raises(ValueError, match="finite"):
            keys.encrypt(np.full((1, 64), value))

    def test_two_encryptions_differ(self, keys: ClientKeys) -> None:
        assert keys.encrypt(features(1)) != keys.encrypt(features(1))

    def test_a_request_is_not_a_reply(self, keys: ClientKeys) -> None:
        with pytest.raises(MalformedError):
            keys.decrypt(keys.encrypt(features(1)), 1)

    def test_without_files_in_memory_nothing_is_left_in_the_temporary_folder(
        self, keys: ClientKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forbidden(_: str) -> int:
            raise PermissionError

        monkeypatch.setattr(os, "memfd_create", forbidden)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        (request,) = keys.encrypt(features(1))
        assert request
        assert list(tmp_path.iterdir()) == []

    def test_a_full_shared_memory_changes_nothing(self) -> None:
        """Docker and Kubernetes give /dev/shm 64 MiB, which all workers of an endpoint would share."""
        mount = 'mount -t tmpfs -o size=4k lexveil /dev/shm && exec "$@"'
        within = ["unshare", "-rm", "sh", "-c", mount, "sh"]
        if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
            pytest.skip("no namespaces for a small file system")
        program = (
            "import numpy as np\n"
            "from lexveil.privacy.he.keys import ClientKeys\n"
            "from lexveil.privacy.he.served_model import LinearHead, ServedModel\n"
            "from lexveil.privacy.he.served_model import build_evaluators, model_parameters\n"
            "model = ServedModel(LinearHead(np.ones((64, 3)), np.zeros(3)))\n"
            "keys = ClientKeys.generate(model_parameters(model))\n"
            "evaluator = build_evaluators(model)['block']\n"
            "loaded = evaluator.load_keys(keys.evaluation_keys())\n"
            "evaluator.evaluate(keys.encrypt(np.ones((1, 64)) / 8)[0], loaded)\n"
        )
        done = subprocess.run([*within, sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


class TestEvaluate:
    def test_every_document_of_several_ciphertexts(
        self, keys: ClientKeys, evaluator: LinearEvaluator
    ) -> None:
        random = np.random.default_rng(1)
        weight, bias = random.normal(size=(64, 3)), random.normal(size=3)
        n = 2 * PARAMETERS.documents_per_ciphertext + 3
        galois_keys = evaluator.load_keys(keys.evaluation_keys())
        replies = [evaluator.evaluate(request, galois_keys) for request in keys.encrypt(features(n))]
        assert len(replies) == 3
        plain = features(n) @ weight + bias
        norm = float(np.linalg.norm(features(n), axis=1).max())
        assert np.abs(keys.decrypt(replies, n) - plain).max() <= evaluator.error_bound(norm)

    def test_the_largest_features_that_are_allowed_do_not_wrap(self, keys: ClientKeys) -> None:
        weight = np.full((64, 3), 30.0) * [1, -1, 0.5]
        evaluator = LinearEvaluator(PARAMETERS, weight, np.array([5.0, 0, 0]))
        x = np.full((1, 64), evaluator.feature_norm / 8)
        reply = evaluator.evaluate(keys.encrypt(x)[0], evaluator.load_keys(keys.evaluation_keys()))
        logits = keys.decrypt([reply], 1)
        assert np.abs(logits - (x @ weight + [5.0, 0, 0])).max() <= evaluator.error_bound(
            evaluator.feature_norm
        )
        assert logits.max() == pytest.approx(evaluator.logit_bound, rel=1e-5)
        assert evaluator.logit_bound <= LOGIT_LIMIT

    @pytest.mark.parametrize(
        ("weight", "bias"),
        [
            (np.zeros((64, 3)), np.zeros(3)),
            (np.full((64, 3), np.nan), np.zeros(3)),
            (np.ones((64, 3)), np.array([np.inf, 0, 0])),
            (np.ones((64, 3)) * LOGIT_LIMIT, np.zeros(3)),
            (np.ones((64, 3)), np.array([2 * LOGIT_LIMIT, 0, 0])),
            (np.ones((3, 64)), np.zeros(3)),
            (np.ones((64, 3)), np.zeros(2)),
        ],
    )
    def test_heads_that_cannot_be_served(self, weight: np.ndarray, bias: np.ndarray) -> None:
        with pytest.raises(HeadRefusedError):
            LinearEvaluator(PARAMETERS, weight, bias)
