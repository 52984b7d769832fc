"""The `lexveil` command: the table of its commands, and how their errors become one line and an exit code.

Importing it loads nothing heavy: each command imports what it needs.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from lexveil import __version__
from lexveil.flows.commands import (
    audit,
    audit_log,
    console,
    detection,
    documents,
    join,
    ledger,
    metrics,
    operations,
    run,
    search,
    serving,
)
from lexveil.flows.commands.options import expand_options
from lexveil.flows.environment import collect_seldom
from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

_COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "ingest": run.ingest,
    "mask": run.mask,
    "train": run.train,
    "extract": run.extract,
    "evaluate": run.evaluate,
    "search": search.search,
    "audit": audit.audit,
    "erase": documents.erase,
    "restore": documents.restore,
    "export": documents.export,
    "quarantine": documents.quarantine,
    "review": detection.review,
    "explain": detection.explain,
    "detect": detection.detect,
    "detect evaluate": detection.evaluate,
    "anonymize": detection.anonymize,
    "serve": serving.serve,
    "serve export": serving.export,
    "classify": serving.classify,
    "keys rotate": serving.rotate_keys,
    "ledger show": ledger.show,
    "ledger verify": ledger.verify,
    "ledger limit": ledger.limit,
    "ledger announce": ledger.announce,
    "ledger withdraw": ledger.withdraw,
    "ledger export": ledger.export,
    "log show": audit_log.show,
    "log verify": audit_log.verify,
    "log export": audit_log.export,
    "join offer": join.offer,
    "join draft": join.draft,
    "join key": join.key,
    "join sign": join.sign,
    "join train": join.train,
    "join hub": join.hub,
    "join status": join.status,
    "join verify": join.verify,
    "join views": join.views,
    "join audit": join.audit,
    "join rehearse": join.rehearse,
    "metrics": metrics.metrics,
    "deploy": operations.deploy,
    "up": operations.up,
    "backup": operations.backup,
    "recover": operations.recover,
    "rotate-master-key": operations.rotate_master_key,
}
_GROUPS = {
    "ledger": "The privacy ledger: what has been spent, and whether it is intact.",
    "join": "Joint training: several offices train one model, and none shows a document to another.",
    "log": "Who did what to the workspace, and whether the log is intact.",
    "keys": "The secret keys of this client.",
}


class _LexveilGroup(TyperGroup):
    """Also finds `detect evaluate`, although `detect` is a command and no group."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        two_words = " ".join(args[:2])
        if two_words in self.commands:
            return two_words, self.commands[two_words], args[2:]
        return super().resolve_command(ctx, args)


def _build_app() -> typer.Typer:
    app = typer.Typer(
        cls=_LexveilGroup,
        help="Turn confidential legal documents into features without revealing the people in them.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root_options)
    groups = {name: typer.Typer(no_args_is_help=True, help=about) for name, about in _GROUPS.items()}
    for name, group in groups.items():
        app.add_typer(group, name=name)
    for name, command in _COMMANDS.items():
        group, _, word = name.rpartition(" ")
        parent, shown = (groups[group], word) if group in groups else (app, name)
        parent.command(shown)(expand_options(command))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lexveil {__version__}")
        raise typer.Exit


def _root_options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    del version


app = _build_app()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit. Bad input is one line on stderr and exit code 2.

    Args:
        arguments: The command and its options. Default: those of this process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths may have bytes that are not UTF-8
    collect_seldom()
    keep_model_libraries_out_of_presidio()
    sys.exit(_exit_code(given or ["--help"]))


def _exit_code(arguments: list[str]) -> int:
    from lexveil.pipeline.errors import LexveilError

    try:
        code = app(arguments, prog_name="lexveil", standalone_mode=False)
    except typer.TyperException as error:
        return console.print_error(f"{error.format_message()} See `lexveil --help`.", 2)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except LexveilError as error:
        return console.print_error(str(error), error.exit_code)
    except Exception as error:
        if console.is_debugging():
            raise
        return _report_unexpected(error)
    return code if isinstance(code, int) else 0


def _report_unexpected(error: Exception) -> int:
    from lexveil.pipeline.errors import StorageError
    from lexveil.pipeline.outages import STORAGE_FAILED, describe_outage

    if (failure := describe_outage(error)) is not None:
        return console.print_error(f"{STORAGE_FAILED} {failure}", StorageError.exit_code)
    return console.print_error(f"internal error: {type(error).__name__} (LEXVEIL_DEBUG=unsafe shows it)", 1)


if __name__ == "__main__":
    main()
