"""`lexveil serve`, `classify` and `keys rotate`: both sides of encrypted classification."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    CommonOptions,
    InArgument,
    ModelOption,
    OutArgument,
    Overwrite,
    RecordFields,
    WorkspaceOptions,
)
from lexveil.pipeline.errors import SettingsError

if TYPE_CHECKING:
    from lexveil.pipeline.serving.classify import Endpoint
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.workspace.workspace import Workspace


@dataclass(frozen=True)
class EndpointOptions:
    """Options of every client command: the endpoint, and how it is trusted."""

    url: Annotated[
        str, typer.Option(help="URL of the endpoint that `lexveil serve` started; https beyond this machine.")
    ] = "http://127.0.0.1:8300"
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", help="File with the API key. Default: LEXVEIL_API_KEY is read"),
    ] = None
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", help="Folder of secret keys and pins. Default: ~/.local/state/lexveil/endpoints"
        ),
    ] = None
    server_key: Annotated[
        str | None,
        typer.Option("--server-key", help="The server's public key. Default: the first one seen is pinned"),
    ] = None
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM file of a private certificate authority.")] = (
        None
    )
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", help="PEM file of the client's certificate, for mutual TLS."),
    ] = None
    certificate_key: Annotated[
        Path | None, typer.Option("--certificate-key", help="PEM file of the certificate's private key.")
    ] = None
    insecure_http: Annotated[
        bool,
        typer.Option(
            "--insecure-http", help="Allow http beyond this machine: others can then read the API key."
        ),
    ] = False

    def endpoint(self, checks: bool = True) -> Endpoint:
        """Return the endpoint as the client uses it, with or without checks of the server's answers."""
        from lexveil.pipeline.serving.classify import Endpoint, read_api_key

        return Endpoint(
            url=self.url,
            api_key=read_api_key(self.api_key_file),
            state=self.state,
            public_key=self.server_key,
            checks=checks,
            ca=self.ca,
            certificate=self.certificate,
            key=self.certificate_key,
            insecure_http=self.insecure_http,
        )


def serve(
    model: ModelOption = None,
    host: Annotated[str | None, typer.Option(help="Default: 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Default: 8300")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes. Default: one less than the cores")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Without a model, answer 503 until there is one.")
    ] = False,
    new_api_key: Annotated[
        str | None, typer.Option(metavar="TENANT", help="Print an API key for a tenant, and serve nothing.")
    ] = None,
    expires_in: Annotated[
        int | None, typer.Option(metavar="DAYS", min=1, help="Days until the new API key expires.")
    ] = None,
    list_api_keys: Annotated[
        bool, typer.Option("--list-api-keys", help="List API keys and their use, and serve nothing.")
    ] = False,
    revoke_api_key: Annotated[
        str | None, typer.Option(metavar="ID", help="Revoke the API key lxv_ID_..., and serve nothing.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            help="Serving bundle of `lexveil serve export`, instead of a workspace: no key is needed.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="With --bundle: folder of the endpoint's keys, sessions and log."),
    ] = None,
    attached: Annotated[
        bool, typer.Option("--attached", help="End when the standard input ends.", hidden=True)
    ] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Serve encrypted classification by a model's head until interrupted.

    A separate process, which has no access to the workspace's keys, serves the models of a workspace.

    Without API keys, only this user on this machine is served. All other settings are in [encrypted] of
    lexveil.toml.
    """
    sections = {"encrypted": {"host": host, "port": port, "workers": workers}}
    if bundle is not None and new_api_key is None and revoke_api_key is None and not list_api_keys:
        settings = options.settings(**sections)
        _serve_bundle(bundle, state or locate_server_state(), settings, attached, options)
        return
    from lexveil.pipeline.serving import endpoint

    workspace = None if bundle is not None or state is not None else options.open(**sections)
    settings = options.settings(**sections) if workspace is None else workspace.settings
    if list_api_keys:
        asked = state or (locate_server_state() if workspace is None else endpoint.locate_state(workspace))
        console.show({"api_keys": endpoint.list_api_keys(asked, settings.encrypted)}, options.as_json)
        return
    folder = state or (locate_server_state() if workspace is None else endpoint.prepare_folders(workspace)[1])
    if new_api_key is None and revoke_api_key is None:
        if workspace is None:
            raise SettingsError("--state alone serves nothing; name a serving bundle with --bundle")
        _serve_workspace(workspace, model, wait, options.as_json)
        return
    opened = endpoint.open_state(folder, settings.encrypted, create=new_api_key is not None)
    log = opened.log if workspace is None else workspace.log
    if new_api_key is not None:
        with log.record("issue-api-key"):
            key = endpoint.issue_api_key(opened, new_api_key, expires_in)
        console.show({"tenant": new_api_key, "api_key": key, "note": "shown this once"}, options.as_json)
    elif revoke_api_key is not None:
        with log.record("revoke-api-key"):
            endpoint.revoke_api_key(opened, revoke_api_key)
        console.show({"revoked": revoke_api_key}, options.as_json)


def locate_server_state() -> Path:
    """Return the default folder of an endpoint's state."""
    from lexveil.pipeline.workspace.storage import make_state_folder

    return make_state_folder("server")


def _serve_workspace(workspace: Workspace, model: str | None, wait: bool, as_json: bool) -> None:
    from lexveil.flows.serve import serve_workspace
    from lexveil.flows.up import watch_signals

    # Noted, not raised: by default, SIGTERM would end the process before the log records how the serving
    # ended, and an exception can be lost in an import or a callback.
    with watch_signals() as interrupted, workspace.log.record("serve"):
        code = serve_workspace(workspace, model, interrupted, wait=wait, as_json=as_json)
        if code:
            raise typer.Exit(code)


def _serve_bundle(
    bundle: Path, state: Path, settings: Settings, attached: bool, options: WorkspaceOptions
) -> None:
    from lexveil.pipeline.serving.confinement import confine

    confine(bundle, state, settings.encrypted)  # before a library is loaded that starts a thread
    from lexveil.flows.serve import end_with_parent
    from lexveil.flows.up import watch_signals
    from lexveil.pipeline.serving.endpoint import serve_bundle

    with watch_signals() as interrupted:
        if attached:
            end_with_parent()

        def announce(url: str) -> None:
            console.show({"url": url}, options.as_json)

        serve_bundle(bundle, state, settings.encrypted, interrupted, announce)


def export(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the serving bundle.")],
    model: ModelOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep following what is trained and erased, until interrupted.")
    ] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write what an endpoint needs of a model to a separate folder: head, extractor, labels, no key.

    A model that an erasure has marked is taken out of the folder.
    """
    workspace = options.open()
    from lexveil.flows.serve import follow
    from lexveil.flows.up import watch_signals
    from lexveil.pipeline.serving.export import Follower, export_model
    from lexveil.pipeline.serving.server.offers import ServingBundle

    bundle = ServingBundle(target)
    with watch_signals() as interrupted, workspace.log.record("serve-export") as done:
        if not watch:
            listed = export_model(workspace, model, bundle)
            done |= {"model": listed.model, "offer": listed.id}
            console.show(
                {"model": listed.model, "since": listed.since, "output": str(target)}, options.as_json
            )
            return

        def announce(line: str) -> None:
            console.show({"export": line}, options.as_json)

        follow(Follower(workspace, model, bundle, announce), interrupted)


def classify(
    source: InArgument,
    target: OutArgument,
    *,
    server: EndpointOptions,
    checks: Annotated[
        bool,
        typer.Option(
            "--checks/--no-checks", help="Mix in inputs with known results, to detect a dishonest server."
        ),
    ] = True,
    overwrite: Overwrite = False,
    fields: RecordFields,
    options: CommonOptions,
) -> None:
    """Classify documents by an endpoint that never sees them; the labels are written to OUT."""
    from lexveil.pipeline.workspace.outputs import refuse_existing

    refuse_existing(target, overwrite)
    settings = options.settings(ingest=asdict(fields))
    from lexveil.pipeline.serving.classify import classify_file

    console.show(classify_file(source, target, server.endpoint(checks), settings), options.as_json, target)


def rotate_keys(
    trust_again: Annotated[
        bool,
        typer.Option("--trust-again", help="Trust a server again that was refused for a wrong answer."),
    ] = False,
    *,
    server: EndpointOptions,
    options: CommonOptions,
) -> None:
    """Remove this client's secret keys for an endpoint; the next request makes and uploads new ones."""
    options.settings()
    from lexveil.pipeline.serving import classify as client

    console.show(client.rotate_keys(server.endpoint(), trust_again=trust_again), options.as_json)
