"""The endpoint as a process: uvicorn, TLS, the folder of its state, and an orderly end.

On SIGTERM or Ctrl-C it accepts no new connections, lets requests in progress finish, and then ends its
workers. The workers of a server that was killed end by themselves.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.app import Offer, ServerLimits, create_app
from lexveil.pipeline.serving.server.guard import ConnectionLimits, limit_connections
from lexveil.pipeline.serving.server.metrics import log_as_json
from lexveil.pipeline.serving.server.state import ServerState


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Address, TLS and connection limits of the server.

    Attributes:
        host: name or address of the interface.
        port: TCP port; 0 for a free one.
        certificate: PEM file of the certificate chain; None: no TLS.
        key: PEM file of the certificate's private key.
        client_authority: PEM file of an authority; only clients with a certificate of it are accepted (mutual
            TLS).
        header_seconds: see `ConnectionLimits`.
        write_seconds: see `ConnectionLimits`.
        most_silent: see `ConnectionLimits`.
        most_connections: number of concurrent connections.
        graceful_seconds: time for requests in progress when the server is asked to end.
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


class _Server(uvicorn.Server):
    """A server that also ends where it was asked to before it had handlers of its own."""

    def __init__(self, config: uvicorn.Config, interrupted: Callable[[], bool]) -> None:
        super().__init__(config)
        self._interrupted = interrupted

    async def on_tick(self, counter: int) -> bool:
        return self._interrupted() or await super().on_tick(counter)


def serve(
    offer: Offer,
    folder: Path,
    listen: ListenOptions,
    limits: ServerLimits,
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Serve until interrupted. The process holds no secret key of a client, and no document.

    Args:
        offer: what is served.
        folder: folder of the endpoint's state.
        listen: address, TLS and connection limits.
        limits: limits of requests.
        interrupted: true once the server shall end, from whatever moment on.

    Raises:
        EndpointError: the folder or the address cannot be used, or is open to other machines without API
            keys.
        ValueError: the head cannot be served (`ShapeRefusedError`, `HeadRefusedError`).
    """
    state = ServerState(folder)
    if not ApiKeys(folder) and not _is_loopback(listen.host):
        raise EndpointError(
            f"without API keys only this machine is served, not {listen.host}: "
            "issue one with `lexveil serve --new-api-key TENANT`"
        )
    if listen.client_authority is not None and listen.certificate is None:
        raise EndpointError("mutual TLS needs a certificate of the server, too")
    with state.lock():
        app = create_app(offer, limits, state=state, processes=True)
        log_as_json()
        config = _configure(app, listen)
        try:
            config.load()
        except (OSError, ssl.SSLError):
            raise EndpointError("the TLS files cannot be used") from None
        server = _Server(config, interrupted)
        if interrupted():
            return
        try:
            server.run()
        except SystemExit:  # uvicorn has logged the reason
            raise EndpointError(f"cannot listen on {listen.host}:{listen.port}") from None
        if not server.started:
            raise EndpointError("the endpoint did not start")


def _configure(app: FastAPI, listen: ListenOptions) -> uvicorn.Config:
    limits = ConnectionLimits(listen.header_seconds, listen.write_seconds, listen.most_silent)
    return uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        http=limit_connections(limits),
        ws="none",
        lifespan="on",
        access_log=False,  # it would contain the sessions
        log_config=None,
        server_header=False,
        proxy_headers=False,  # a caller could claim to be local
        limit_concurrency=listen.most_connections,
        timeout_graceful_shutdown=listen.graceful_seconds,
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
        ssl_ca_certs=None if listen.client_authority is None else str(listen.client_authority),
        ssl_cert_reqs=ssl.CERT_NONE if listen.client_authority is None else ssl.CERT_REQUIRED,
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
