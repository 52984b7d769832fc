"""The server as a process: slow and broken callers, restarts, an orderly and a violent end, TLS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lexveil.pipeline.serving import wire
from tests.deadlines import HANGS_AFTER


def answered(connection: socket.socket) -> bytes:
    """All the server says before it closes."""
    connection.settimeout(30)
    content = b""
    try:
        while piece := connection.recv(1 << 16):
            content += piece
    except ConnectionError:
        pass
    return content


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class TestSlowCallers:
    def test_headers_that_never_end(self, start_server: Any) -> None:
        server = start_server({"header_seconds": 0.5, "most_silent": 8})
        for beginning in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(beginning)
                assert answered(connection) == b""

    def test_many_of_them_keep_nobody_out(self, start_server: Any) -> None:
        server = start_server({"header_seconds": 60, "most_silent": 8})
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
        for connection in slow:
            connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert httpx.get(server.url + "/healthz").status_code == 200
        for connection in slow:
            connection.close()

    def test_a_body_that_never_ends(self, start_server: Any) -> None:
        server = start_server(seconds=0.5, bytes_per_second=1 << 20)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nLXV1"
            connection.sendall(head)
            assert answered(connection).startswith(b"HTTP/1.1 408 ")

    def test_what_is_too_long_is_refused_before_it_is_read(self, start_server: Any) -> None:
        server = start_server()
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n"
            connection.sendall(head + b"LXV1")
            connection.settimeout(3)  # less than it waits for a body to end
            assert connection.recv(64).startswith(b"HTTP/1.1 413 ")
        # Who sends all of it reads why it was refused.
        assert httpx.post(server.url + "/v1/sessions", content=bytes(30_000_000)).status_code == 413

    def test_what_is_not_http(self, start_server: Any) -> None:
        server = start_server()
        tls = b"\x16\x03\x01\x02\x00\x01" + bytes(300)
        for content in (tls, b"GET / HTTP/9\r\n\r\n", b"\r\n" * 9, bytes(99)):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
                assert answered(connection)[:12] in (b"", b"HTTP/1.1 400")
        assert httpx.get(server.url + "/readyz").status_code == 200


class TestRestart:
    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
    def test_under_load_no_session_is_lost_and_no_answer_wrong(
        self, start_server: Any, honest: Any, how: signal.Signals
    ) -> None:
        server = start_server()
        body = wire.bundle([honest.request])
        headers = {wire.REQUEST_DIGEST: wire.compute_digest(body)}
        right, wrong, stop = [0, 0], list[str](), threading.Event()

        def ask(http: httpx.Client, path: str, content: bytes) -> httpx.Response | None:
            try:
                return http.post(
                    path, content=content, headers={wire.REQUEST_DIGEST: wire.compute_digest(content)}
                )
            except httpx.TransportError:
                return None

        def client(number: int) -> None:
            with httpx.Client(base_url=server.url, timeout=HANGS_AFTER) as http:
                opened = ask(http, "/v1/sessions", wire.bundle([honest.evaluation]))
                assert opened is not None
                path = f"/v1/sessions/{opened.json()['session']}/classify"
                while not stop.is_set():
                    response = ask(http, path, body)
                    if response is None:
                        time.sleep(0.05)  # it restarts
                        continue
                    if response.status_code != 200:
                        wrong.append(response.text)
                        return
                    assert response.headers[wire.REPLY_DIGEST] == wire.compute_reply_digest(
                        headers[wire.REQUEST_DIGEST], response.content
                    )
                    logits = honest.keys.decrypt(wire.unbundle(response.content, 1, 1 << 20), 1)
                    if np.abs(logits - honest.answer).max() > 1e-2:
                        wrong.append("logits")
                    right[number] += 1

        threads = [threading.Thread(target=client, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            before, workers = list(right), server.workers()
            while not all(now > then for now, then in zip(right, before, strict=True)) and not wrong:
                time.sleep(0.05)
            server.end(how)
            deadline = time.monotonic() + 10
            while not all(map(gone, workers)) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert all(map(gone, workers))
            server.start()
        before = list(right)
        while not all(now > then for now, then in zip(right, before, strict=True)) and not wrong:
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_requests_in_progress_finish(self, start_server: Any, honest: Any) -> None:
        server = start_server()
        with httpx.Client(base_url=server.url, timeout=HANGS_AFTER) as http:
            content = wire.bundle([honest.evaluation])
            opened = http.post(
                "/v1/sessions", content=content, headers={wire.REQUEST_DIGEST: wire.compute_digest(content)}
            )
            body = wire.bundle([honest.request] * 32)
            replies: list[httpx.Response] = []
            path, headers = (
                f"/v1/sessions/{opened.json()['session']}/classify",
                {wire.REQUEST_DIGEST: wire.compute_digest(body)},
            )
            asking = threading.Thread(
                target=lambda: replies.append(http.post(path, content=body, headers=headers))
            )
            asking.start()
            while "lexveil_workers_busy 1.0" not in httpx.get(server.url + "/metrics").text and not replies:
                time.sleep(0.01)
            server.end()
            asking.join()
        assert replies[0].status_code == 200
        assert server.process.returncode in (0, -signal.SIGTERM)

    def test_two_servers_do_not_share_a_folder(self, start_server: Any, tmp_path: Path) -> None:
        start_server()
        with pytest.raises(AssertionError, match="another endpoint"):
            start_server()


def test_the_log_is_lines_of_json_without_sessions(start_server: Any, honest: Any) -> None:
    server = start_server()
    body = wire.bundle([honest.evaluation])
    opened = httpx.post(
        server.url + "/v1/sessions", content=body, headers={wire.REQUEST_DIGEST: wire.compute_digest(body)}
    )
    session = opened.json()["session"]
    httpx.delete(f"{server.url}/v1/sessions/{session}")
    server.end()
    log = server.log.read_text()
    events = [json.loads(line) for line in log.splitlines()]
    assert "/v1/sessions/{session}" in [event.get("route") for event in events]
    assert session not in log


def certificate(folder: Path, name: str, issuer: Any = None) -> tuple[Any, Any]:
    """A certificate for this machine, and its key, as PEM files; of its own authority unless one is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return signed, key


def test_mutual_tls(start_server: Any, tmp_path: Path) -> None:
    authority = certificate(tmp_path, "authority")
    for name in ("server", "client"):
        certificate(tmp_path, name, authority)
    certificate(tmp_path, "stranger")
    files = {"certificate": tmp_path / "server.pem", "key": tmp_path / "server.key"}
    server = start_server({**files, "client_authority": tmp_path / "authority.pem"})
    url = f"https://127.0.0.1:{server.port}/healthz"

    def context(name: str | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=tmp_path / "authority.pem")
        if name is not None:
            made.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        return made

    assert httpx.get(url, verify=context("client")).status_code == 200
    for name in (None, "stranger"):
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=context(name))


def test_others_than_this_machine_are_not_served_without_keys(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from lexveil.pipeline.errors import EndpointError\n"
        "from lexveil.pipeline.serving.server.app import ServerLimits, Offer\n"
        "from lexveil.pipeline.serving.server.listen import ListenOptions, serve\n"
        "from lexveil.privacy.he.served_model import LinearHead, ServedModel\n"
        "offer = Offer(ServedModel(LinearHead(np.ones((64, 2)), np.zeros(2))), ['a', 'b'])\n"
        "try:\n    serve(offer, Path(sys.argv[1]), ListenOptions(host='0.0.0.0'), ServerLimits())\n"
        "except EndpointError as error:\n    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "endpoint")],
        cwd=Path(__file__).resolve().parents[4],
        capture_output=True,
        text=True,
    )
    assert "--new-api-key" in done.stderr
