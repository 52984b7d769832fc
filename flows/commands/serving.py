"""`lexveil serve` and `classify`: encrypted classification, both of its sides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    ConfigOption,
    IdField,
    JsonOption,
    NameOption,
    TextField,
    WorkspaceOption,
    open_workspace,
    settings_of,
)

DEFAULT_URL = "http://127.0.0.1:8300"


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (serve, classify):
        app.command()(command)
    keys = typer.Typer(no_args_is_help=True, help="The secret keys of this client.")
    keys.command("rotate")(keys_rotate)
    app.add_typer(keys, name="keys")


def serve(
    model: NameOption = None,
    host: Annotated[str | None, typer.Option(help="Default: 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Default: 8300")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: the cores less one")] = None,
    new_api_key: Annotated[
        str | None, typer.Option(metavar="TENANT", help="Print an API key for a tenant, and serve nothing.")
    ] = None,
    revoke_api_key: Annotated[
        str | None, typer.Option(metavar="ID", help="Revoke the API key lxv_ID_..., and serve nothing.")
    ] = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve encrypted classification by a model's head, until interrupted.

    Without API keys only this machine is served. Other settings stand in [encrypted] of lexveil.toml.
    """
    settings = settings_of(config, encrypted={"host": host, "port": port, "workers": workers})
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.serving import endpoint

    if new_api_key is not None:
        with workspace.log.recorded("issue-api-key"):
            key = endpoint.issue_api_key(workspace, new_api_key)
        console.show({"tenant": new_api_key, "api_key": key, "note": "shown this once"}, as_json)
        return
    if revoke_api_key is not None:
        with workspace.log.recorded("revoke-api-key"):
            endpoint.revoke_api_key(workspace, revoke_api_key)
        console.show({"revoked": revoke_api_key}, as_json)
        return
    import signal
    from contextlib import suppress

    # By default SIGTERM would end the process before the log knows how the serving ended. Until the log
    # says that it has started, an end has to wait.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ends = {signal.SIGTERM, signal.SIGINT}
    scheme = "https" if settings.encrypted.tls_certificate else "http"
    console.show({"url": f"{scheme}://{settings.encrypted.host}:{settings.encrypted.port}"}, as_json)
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with workspace.log.recorded("serve"), suppress(KeyboardInterrupt):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
        endpoint.serve_model(workspace, model)


UrlOption = Annotated[str, typer.Option(help="Where `lexveil serve` listens; https beyond this machine.")]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="Folder of secret keys and pins. Default: ~/.local/state/lexveil/endpoints"),
]
ApiKeyOption = Annotated[
    Path | None, typer.Option("--api-key-file", help="File with the API key; else LEXVEIL_API_KEY.")
]
ServerKeyOption = Annotated[
    str | None, typer.Option("--server-key", help="The server's public key; else the first seen is pinned.")
]
CaOption = Annotated[Path | None, typer.Option("--ca", help="PEM file of a private authority.")]
CertificateOption = Annotated[Path | None, typer.Option("--certificate", help="PEM file, for mutual TLS.")]
CertificateKeyOption = Annotated[Path | None, typer.Option("--certificate-key", help="PEM file.")]


def classify(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    url: UrlOption = DEFAULT_URL,
    api_key_file: ApiKeyOption = None,
    state: StateOption = None,
    server_key: ServerKeyOption = None,
    checks: Annotated[
        bool, typer.Option("--checks/--no-checks", help="Mix known answers in, to find out a lying server.")
    ] = True,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    certificate_key: CertificateKeyOption = None,
    text_field: TextField = None,
    id_field: IdField = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify documents by an endpoint that never sees them; labels go to OUT."""
    settings = settings_of(config, ingest={"text_field": text_field, "id_field": id_field})
    from lexveil.pipeline.serving.classify import Endpoint, classify_file, read_api_key

    endpoint = Endpoint(
        url, read_api_key(api_key_file), state, server_key, checks, ca, certificate, certificate_key
    )
    console.show(classify_file(source, target, endpoint, settings), as_json)


def keys_rotate(
    url: UrlOption = DEFAULT_URL,
    api_key_file: ApiKeyOption = None,
    state: StateOption = None,
    server_key: ServerKeyOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    certificate_key: CertificateKeyOption = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove this client's secret keys for an endpoint; the next request makes and uploads new ones."""
    settings_of(config)
    from lexveil.pipeline.serving.classify import Endpoint, read_api_key, rotate_keys

    endpoint = Endpoint(
        url, read_api_key(api_key_file), state, server_key, True, ca, certificate, certificate_key
    )
    console.show(rotate_keys(endpoint), as_json)
