"""The endpoint as a process: uvicorn, TLS, the folder of its state, and an orderly end.

On SIGTERM or Ctrl-C it accepts no new connections, lets requests in progress finish, and then ends its
workers. The workers of a server that was killed end by themselves.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from lexveil.pipeline.errors import EndpointError, WorkspaceError
from lexveil.pipeline.serving.local_token import is_loopback, publish_local_token
from lexveil.pipeline.serving.server.app import ServerLimits, create_app
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.guard import ConnectionLimits, limit_connections
from lexveil.pipeline.serving.server.metrics import log_as_json
from lexveil.pipeline.serving.server.offers import Offer, OfferSource
from lexveil.pipeline.serving.server.state import ServerState

# TLS 1.2 with forward secrecy and authenticated encryption; TLS 1.3 has no other.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


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
        insecure_http: listen on other interfaces than the loopback without TLS: something in front ends it.
        hosts: names by which clients may call the server, besides those of the loopback. Empty: on the
            loopback no others, on other interfaces any.
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
    insecure_http: bool = False
    hosts: tuple[str, ...] = ()
    header_seconds: float = 10.0
    write_seconds: float = 60.0
    most_silent: int = 256
    most_connections: int = 1024
    graceful_seconds: int = 60


class _Server(uvicorn.Server):
    """A server that says once it listens, and ends where it was asked to before it had handlers."""

    def __init__(
        self,
        config: uvicorn.Config,
        interrupted: Callable[[], bool],
        listening: Callable[[int], None],
        ended: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._interrupted, self._listening, self._ended = interrupted, listening, ended

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        try:
            self._listening(self.servers[0].sockets[0].getsockname()[1])
        except BaseException:
            await self.lifespan.shutdown()
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self._ended()  # here, because after this uvicorn raises the signal again, which may end the process

    async def on_tick(self, counter: int) -> bool:
        return self._interrupted() or await super().on_tick(counter)


def serve(
    offers: Offer | OfferSource,
    state: ServerState,
    listen: ListenOptions,
    limits: ServerLimits,
    interrupted: Callable[[], bool] = lambda: False,
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until interrupted. The process holds no secret key of a client, and no document.

    Args:
        offers: what is served.
        state: the endpoint's state.
        listen: address, TLS and connection limits.
        limits: limits of requests.
        interrupted: returns True once the server must stop, even before it has started.
        announce: called with the server's URL once it listens.

    Raises:
        EndpointError: the folder or the address cannot be used, or is open to other machines without TLS or,
            unless it is one of several replicas, without API keys.
        ValueError: the head of the one offer cannot be served (`ShapeRefusedError`, `HeadRefusedError`).
    """
    # A replica serves nobody until a key is issued, which may be on another machine and at any time.
    try:
        has_keys = state.is_shared or bool(state.api_keys)
    except RefusalError:
        raise EndpointError("the file of the API keys cannot be used") from None
    _check_options(listen, has_keys=has_keys)
    local = is_loopback(listen.host)
    hosts = frozenset(host.lower() for host in listen.hosts)
    with state.lock(), contextlib.ExitStack() as published:

        def tell(port: int) -> None:
            if local:
                # With API keys, the token opens nothing but /metrics.
                with contextlib.suppress(*[WorkspaceError] if has_keys else []):
                    published.enter_context(publish_local_token(port, state.local_token))
            announce(_build_url(listen, port))

        app = create_app(offers, limits, state=state, processes=True, hosts=hosts if local or hosts else None)
        log_as_json()
        config = _configure(app, listen)
        try:
            config.load()
            if isinstance(config.ssl, ssl.SSLContext):
                config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        except (OSError, ssl.SSLError):
            raise EndpointError("the TLS files cannot be used") from None
        server = _Server(config, interrupted, tell, published.close)
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
        ssl_ciphers=_CIPHERS,
        ssl_cert_reqs=ssl.CERT_NONE if listen.client_authority is None else ssl.CERT_REQUIRED,
    )


def _check_options(listen: ListenOptions, *, has_keys: bool) -> None:
    if not is_loopback(listen.host) and not has_keys:
        raise EndpointError(
            f"without API keys only this machine is served, not {listen.host}: "
            "issue one with `lexveil serve --new-api-key TENANT`"
        )
    if not is_loopback(listen.host) and listen.certificate is None and not listen.insecure_http:
        raise EndpointError(
            f"on {listen.host} the endpoint needs TLS: set encrypted.tls_certificate and encrypted.tls_key, "
            "or encrypted.insecure_http if something in front of it ends TLS"
        )
    if listen.client_authority is not None and listen.certificate is None:
        raise EndpointError("mutual TLS needs a certificate of the server, too")


def _build_url(listen: ListenOptions, port: int) -> str:
    scheme = "http" if listen.certificate is None else "https"
    return f"{scheme}://{f'[{listen.host}]' if ':' in listen.host else listen.host}:{port}"
