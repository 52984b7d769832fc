"""The `lexveil` command. Thin: it reads options, opens the workspace, calls a stage or starts the flow.

Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import sys

import typer

from lexveil.flows.commands import (
    audit,
    audit_log,
    console,
    detection,
    documents,
    ledger,
    metrics,
    operations,
    run,
    search,
    serving,
)

app = typer.Typer(
    help="Turn confidential legal documents into features, without giving the people in them away.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


for commands in (run, documents, ledger, audit_log, metrics, audit, detection, search, serving, operations):
    commands.add_to(app)


def main() -> None:
    """Entry point. Bad input: one line on stderr and exit code 2."""
    from lexveil.pipeline.errors import LexveilError, StorageError

    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        sys.exit(console.complain(f"{error.format_message()} See `lexveil --help`.", 2))
    except typer.Abort:
        sys.exit(130)
    except LexveilError as error:
        sys.exit(console.complain(str(error), error.exit_code))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if console.debugging():
            raise
        from lexveil.pipeline.outages import STORAGE_FAILED, trouble

        if (told := trouble(error)) is not None:
            sys.exit(console.complain(f"{STORAGE_FAILED} {told}", StorageError.exit_code))
        sys.exit(
            console.complain(f"internal error: {type(error).__name__} (LEXVEIL_DEBUG=unsafe shows it)", 1)
        )
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
