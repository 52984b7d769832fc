"""The folder of keys and pins, which the processes of a user share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.serving.classify import Endpoint, rotate_keys
from lexveil.pipeline.serving.client.channel import ServingError
from lexveil.pipeline.serving.client.trust_store import ClientState
from lexveil.privacy.he.keys import ClientKeys, FormerKeyError
from lexveil.privacy.he.parameters import choose_parameters

ROOT = Path(__file__).resolve().parents[4]
TRIALS = 4
CLIENT = """
import sys
import numpy as np
from pathlib import Path
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier
features = np.random.default_rng(1).normal(size=(5, 64)) / 9
print("ready", flush=True)
for state in sys.stdin:
    answers = []
    with EncryptedClassifier.connect(sys.argv[1], state=Path(state.strip())) as client:
        answers += client.classify(features).labels + client.classify(features).labels
    print(*answers, flush=True)
"""


def test_clients_that_start_at_once_share_one_key_and_one_session(start_server: Any, tmp_path: Path) -> None:
    server = start_server()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment["XDG_STATE_HOME"] = str(server.state_home)  # where the token is that admits this user
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, server.url],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]

    def tell(line: str) -> list[str]:
        for client in clients if line else ():
            assert client.stdin is not None
            client.stdin.write(line + "\n")
            client.stdin.flush()
        return [client.stdout.readline().strip() for client in clients if client.stdout is not None]

    try:
        assert tell("") == ["ready", "ready"]
        for trial in range(TRIALS):
            one, other = tell(str(tmp_path / f"state-{trial}"))
            assert one == other
            assert len(one.split()) == 10  # none blamed the server
    finally:
        for client in clients:
            client.communicate()
    assert len([*(tmp_path / "endpoint" / "sessions").iterdir()]) == TRIALS


def test_a_key_that_another_process_has_replaced_is_noticed(tmp_path: Path) -> None:
    parameters = choose_parameters(64, 3)
    one, other = (ClientState.for_endpoint(tmp_path, "http://localhost") for _ in range(2))
    with one.update():
        first = one.get_keys("block", parameters)
    with other.update():
        assert other.get_keys("block", parameters).fingerprint == first.fingerprint
        assert other.remove_keys() == (1, [])
        second = other.get_keys("block", parameters)
    with one.update():
        assert one.get_keys("block", parameters).fingerprint == second.fingerprint != first.fingerprint


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    state = ClientState.for_endpoint(tmp_path, "http://localhost")
    with state.update() as pin:
        pin.public_key = "kept"
    with suppress(RuntimeError), state.update() as pin:
        pin.public_key = "lost"
        raise RuntimeError
    assert ClientState.for_endpoint(tmp_path, "http://localhost").pin.public_key == "kept"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    state = ClientState(tmp_path / "later" / "state")
    (tmp_path / "later").write_text("")
    with pytest.raises(ServingError) as caught, state.update():
        pass
    assert caught.value.code == "state"


def test_a_key_for_parameters_of_an_earlier_version_is_replaced(tmp_path: Path) -> None:
    """The table has changed, so the key decrypts nothing any more, and no person needs to remove it."""
    parameters = choose_parameters(64, 3)
    state = ClientState(tmp_path / "state")
    with state.update():
        first = state.get_keys("block", parameters)
    path = tmp_path / "state" / "block.key"
    record, _, secret = path.read_bytes().partition(b"\n")
    former = json.loads(record)
    former["scheme"]["coeff_modulus_bits"] = [60, 60, 59]
    path.write_bytes(json.dumps(former).encode() + b"\n" + secret)
    with pytest.raises(FormerKeyError):
        ClientKeys.load(path)
    state = ClientState(tmp_path / "state")
    with state.update():
        assert state.find_keys("block") is None
        second = state.get_keys("block", parameters)
    assert second.fingerprint != first.fingerprint
    assert ClientKeys.load(path).parameters == parameters


def test_a_server_that_is_trusted_again_may_show_the_manifest_that_it_has(tmp_path: Path) -> None:
    """Its clock was wrong: what it shows now looks older than what it showed then."""
    state = ClientState(tmp_path / "state")
    with state.update() as pin:
        pin.public_key, pin.issued_at, pin.commitment = "key", "9999", "0" * 64
    state.trust_again()
    pin = ClientState(tmp_path / "state").pin
    assert (pin.public_key, pin.issued_at, pin.commitment) == ("key", "", "")


class _Unwilling(BaseHTTPRequestHandler):
    """A server that would have the client keep its key: it says itself what only the client concludes."""

    def do_GET(self) -> None:
        body = b'{"error": "refused", "message": "keep your keys"}'
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_no_server_keeps_a_client_from_deleting_its_key(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Unwilling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}", state=tmp_path)
        state = ClientState.for_endpoint(tmp_path, endpoint.url)
        with state.update():
            state.get_keys("block", choose_parameters(64, 3))
        assert [*tmp_path.glob("*/*.key")]
        assert rotate_keys(endpoint) == {"removed": 1, "server_notified": False}
        server.shutdown()
    assert not [*tmp_path.glob("*/*.key")]
