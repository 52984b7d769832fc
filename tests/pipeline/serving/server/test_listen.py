"""The server as a process: slow and broken callers, restarts, an orderly and a violent end, TLS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
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

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.local_token import read_local_token
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.app import ServerLimits
from lexveil.pipeline.serving.server.files import KeyFile
from lexveil.pipeline.serving.server.listen import ListenOptions, serve
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.privacy.he.served_model import LinearHead, ServedModel
from tests.deadlines import HANGS_AFTER, wait_until


def answered(connection: socket.socket) -> bytes:
    """All the server says before it closes."""
    connection.settimeout(HANGS_AFTER)
    content = b""
    try:
        while piece := connection.recv(1 << 16):
            content += piece
    except ConnectionError:
        pass
    return content


def post(server: Any, length: int) -> bytes:
    """The head of a request whose body is so long."""
    key = server.local["Authorization"].encode()
    host = b"Host: localhost\r\nAuthorization: " + key
    return b"POST /v1/sessions HTTP/1.1\r\n%b\r\nContent-Length: %d\r\n\r\n" % (host, length)


def metrics(server: Any) -> str:
    return httpx.get(server.url + "/metrics", headers=server.local).text


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
            head = post(server, 1000)
            connection.sendall(head + b"LXV1")
            assert answered(connection).startswith(b"HTTP/1.1 408 ")

    def test_what_is_too_long_is_refused_before_it_is_read(self, start_server: Any) -> None:
        server = start_server(seconds=2 * HANGS_AFTER)  # it would wait so long for the body to end
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(post(server, 10_000_000_000) + b"LXV1")
            connection.settimeout(HANGS_AFTER)
            assert connection.recv(64).startswith(b"HTTP/1.1 413 ")
        # Who sends all of it reads why it was refused.
        too_long = httpx.post(server.url + "/v1/sessions", content=bytes(30_000_000), headers=server.local)
        assert too_long.status_code == 413

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
            with httpx.Client(base_url=server.url, timeout=HANGS_AFTER, headers=server.local) as http:
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
            wait_until(lambda: all(map(gone, workers)))  # noqa: B023
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
        with httpx.Client(base_url=server.url, timeout=HANGS_AFTER, headers=server.local) as http:
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
            while "lexveil_workers_busy 1.0" not in metrics(server) and not replies:
                time.sleep(0.01)
            server.end()
            asking.join()
        assert replies[0].status_code == 200
        assert server.process.returncode in (0, -signal.SIGTERM)

    def test_nothing_more_is_evaluated_for_a_caller_who_has_hung_up(
        self, start_server: Any, honest: Any
    ) -> None:
        """One who gave up and asked again had both evaluated to the end, and gave up again."""
        server = start_server()
        content = wire.bundle([honest.evaluation])
        headers = {**server.local, wire.REQUEST_DIGEST: wire.compute_digest(content)}
        opened = httpx.post(server.url + "/v1/sessions", content=content, headers=headers).json()
        body = wire.bundle([honest.request] * 32)
        headers |= {"Host": "localhost", "Content-Length": str(len(body))}
        headers[wire.REQUEST_DIGEST] = wire.compute_digest(body)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        workers = server.workers()
        for worker in workers:  # it must not be done before the caller hangs up
            os.kill(worker, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            path = f"/v1/sessions/{opened['session']}/classify"
            connection.sendall(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            wait_until(lambda: "lexveil_workers_busy 1.0" in metrics(server))
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        while not (found := [line for line in server.log.read_text().splitlines() if "/classify" in line]):
            time.sleep(0.05)
        assert json.loads(found[0])["code"] == "gone"

    def test_two_servers_do_not_share_a_folder(self, start_server: Any, tmp_path: Path) -> None:
        start_server()
        with pytest.raises(AssertionError, match="another endpoint"):
            start_server()


def test_the_log_is_lines_of_json_without_sessions(start_server: Any, honest: Any) -> None:
    server = start_server()
    body = wire.bundle([honest.evaluation])
    headers = {**server.local, wire.REQUEST_DIGEST: wire.compute_digest(body)}
    opened = httpx.post(server.url + "/v1/sessions", content=body, headers=headers)
    session = opened.json()["session"]
    httpx.delete(f"{server.url}/v1/sessions/{session}", headers=server.local)
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


class TestOtherMachines:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return ServerState(tmp_path / "endpoint").folder

    def refuse(self, folder: Path, **listen: Any) -> str:
        offer = Offer(ServedModel(LinearHead(np.ones((64, 2)), np.zeros(2))), ["a", "b"])
        with pytest.raises(EndpointError) as caught:
            serve(offer, ServerState(folder), ListenOptions(port=0, **listen), ServerLimits())
        return str(caught.value)

    def test_without_keys_the_token_must_be_written(self, start_server: Any, tmp_path: Path) -> None:
        (tmp_path / "state").touch()
        with pytest.raises(AssertionError, match=r"WorkspaceError.*XDG_STATE_HOME"):
            start_server()

    def test_with_keys_it_need_not(self, start_server: Any, folder: Path, tmp_path: Path) -> None:
        key = ApiKeys(KeyFile(folder)).issue("court")
        (tmp_path / "state").touch()
        server = start_server(local=False)
        called = {"Authorization": f"Bearer {key}"}
        assert httpx.get(server.url + "/v1/manifest", headers=called).status_code == 200

    def test_a_file_of_keys_that_cannot_be_read_is_not_none(self, folder: Path) -> None:
        (folder / "api-keys.json").write_text("{")
        assert self.refuse(folder) == "the file of the API keys cannot be used"

    def test_without_keys_they_are_not_served(self, folder: Path) -> None:
        assert "--new-api-key" in self.refuse(folder, host="0.0.0.0")

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "office.example"])
    def test_without_tls_they_are_not_served(self, folder: Path, host: str) -> None:
        ApiKeys(KeyFile(folder)).issue("court")
        told = self.refuse(folder, host=host)
        assert "encrypted.tls_certificate" in told
        assert "encrypted.insecure_http" in told
        assert "\n" not in told

    def test_tls_that_ends_in_front_is_named_for_its_danger(self, start_server: Any, tmp_path: Path) -> None:
        key = ApiKeys(ServerState(tmp_path / "endpoint").api_keys).issue("court")
        server = start_server({"host": "0.0.0.0", "insecure_http": True}, local=False)
        called = {"Host": "office.example", "Authorization": f"Bearer {key}"}
        assert httpx.get(server.url + "/v1/manifest", headers=called).status_code == 200
        # Nothing there proves that a caller is local: a proxy on this machine has the same address.
        assert httpx.get(server.url + "/metrics").status_code == 401


class TestCallersOnThisMachine:
    """Not everything that connects from this machine was sent by its user."""

    @pytest.fixture
    def server(self, start_server: Any) -> Any:
        return start_server({"hosts": ["office.example"]})

    @pytest.mark.parametrize("path", ["/v1/manifest", "/metrics"])
    def test_an_address_is_no_proof(self, server: Any, path: str) -> None:
        assert httpx.get(server.url + path, headers=server.local).status_code == 200
        assert httpx.get(server.url + path).status_code == 401  # as through nginx, ssh -L, kubectl

    def test_a_client_finds_the_token_by_the_url_until_the_server_ends(
        self, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(server.state_home))
        (path,) = server.state_home.rglob("*.token")
        assert path.stat().st_mode & 0o777 == 0o600
        for name in ("127.0.0.1", "localhost", "[::1]"):
            assert read_local_token(f"http://{name}:{server.port}") == path.read_text()
        for url in (f"http://office.example:{server.port}", "http://localhost:1", "nonsense", "http://[::1"):
            assert read_local_token(url) is None
        server.end()
        assert not path.exists()

    def test_other_names_are_an_attackers(self, server: Any) -> None:
        port = server.port
        for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "OFFICE.example:1"):
            called = {**server.local, "Host": host}
            assert httpx.get(server.url + "/v1/manifest", headers=called).status_code == 200, host
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.", ""):
            response = httpx.get(server.url + "/healthz", headers={**server.local, "Host": host})
            assert (response.status_code, response.json()["error"]) == (421, "host"), host

    def test_web_pages_are_refused(self, server: Any) -> None:
        signs = [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
        for sign in signs:
            response = httpx.get(server.url + "/v1/manifest", headers=[*server.local.items(), sign])
            assert (response.status_code, response.json()["error"]) == (403, "browser")
        typed = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}
        assert httpx.get(server.url + "/docs", headers=typed).status_code == 200

    def test_two_lengths_of_one_body_end_the_connection(self, server: Any) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = post(server, 5).replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length")
            second = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(head + b"0\r\n\r\n" + second)
            told = answered(connection)
        assert told.startswith(b"HTTP/1.1 400 ")
        assert told.count(b"HTTP/1.1") == 1


class TestTls:
    @pytest.fixture
    def server(self, start_server: Any, tmp_path: Path) -> Any:
        certificate(tmp_path, "server")
        return start_server({"certificate": tmp_path / "server.pem", "key": tmp_path / "server.key"})

    def shake_hands(self, server: Any, newest: ssl.TLSVersion, ciphers: str) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
        context.set_ciphers(ciphers + ":@SECLEVEL=0")
        with (
            socket.create_connection(("127.0.0.1", server.port)) as connection,
            context.wrap_socket(connection) as tls,
        ):
            return str(tls.version())

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
    def test_what_is_broken_is_not_spoken(self, server: Any) -> None:
        assert self.shake_hands(server, ssl.TLSVersion.TLSv1_3, "DEFAULT") == "TLSv1.3"
        assert self.shake_hands(server, ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM") == "TLSv1.2"
        for newest, ciphers in (
            (ssl.TLSVersion.TLSv1_1, "ALL"),
            (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256"),
        ):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                self.shake_hands(server, newest, ciphers)
