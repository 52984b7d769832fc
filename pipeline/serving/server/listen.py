"""The endpoint as a process: uvicorn, TLS, the folder of its state, a graceful end.

On SIGTERM or Ctrl-C it takes no new connection, lets requests in progress finish, and then ends its workers.
Workers of a server that was killed end by themselves.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.app import Limits, Offer, create_app
from lexveil.pipeline.serving.server.guard import connections
from lexveil.pipeline.serving.server.metrics import log_as_json
from lexveil.pipeline.serving.server.state import State


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen, and how patient to be.

    certificate, key: PEM files, for TLS. client_authority: PEM file; only clients with a certificate of this
    authority are let in (mutual TLS). header_seconds, write_seconds, most_silent: `guard.Connections`.
    graceful_seconds: for requests in progress when the server is told to end.
    """

    host: str = "127.0.0.1"
    port: int = 8300
    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None
    header_seconds: float = 10.0
    write_seconds: float = 60.0
    most_silent: int = 256
    most_connections: int = 1024
    graceful_seconds: int = 60


def serve(offer: Offer, folder: Path, listen: Listen, limits: Limits) -> None:
    """Serves until it is told to end. The process holds no secret key of a client, and no document.

    Raises:
        EndpointError: the folder or the address can't be used, or is open to others without API keys.
        ValueError: the head can't be served (`ShapeRefusedError`, `HeadRefusedError`).
    """
    state = State(folder)
    if not ApiKeys(folder) and not _is_loopback(listen.host):
        raise EndpointError(
            f"without API keys only this machine is served, not {listen.host}: "
            "issue one with `lexveil serve --new-api-key TENANT`"
        )
    if listen.client_authority is not None and listen.certificate is None:
        raise EndpointError("mutual TLS needs a certificate of the server, too")
    with state.exclusively():
        app = create_app(offer, limits, state=state, processes=True)
        protocol = connections(listen.header_seconds, listen.write_seconds, listen.most_silent)
        log_as_json()
        config = uvicorn.Config(
            app,
            host=listen.host,
            port=listen.port,
            http=protocol,
            ws="none",
            lifespan="on",
            access_log=False,  # it would hold the sessions
            log_config=None,
            server_header=False,
            proxy_headers=False,  # a caller could name itself local
            limit_concurrency=listen.most_connections,
            timeout_graceful_shutdown=listen.graceful_seconds,
            ssl_certfile=listen.certificate,
            ssl_keyfile=listen.key,
            ssl_ca_certs=None if listen.client_authority is None else str(listen.client_authority),
            ssl_cert_reqs=ssl.CERT_NONE if listen.client_authority is None else ssl.CERT_REQUIRED,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError):
            raise EndpointError("the TLS files cannot be used") from None
        server = uvicorn.Server(config)
        try:
            server.run()
        except SystemExit:  # uvicorn says why in the log
            raise EndpointError(f"can't listen on {listen.host}:{listen.port}") from None
        if not server.started:
            raise EndpointError("the endpoint did not start")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
