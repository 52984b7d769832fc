"""Outages are told from missing files, in one line that names nothing."""

from __future__ import annotations

import pytest

from lexveil.pipeline.outages import describe_outage
from lexveil.privacy.database import StoreUnavailableError
from lexveil.privacy.vault import MasterKeyError, TamperedError


def error_of(
    module: str, name: str, *bases: type[BaseException], message: str = "s3://secret/Doe"
) -> BaseException:
    """An error of a type that another package defines."""
    kind = type(name, bases or (Exception,), {"__module__": module})
    return kind(message)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (error_of("botocore.exceptions", "NoSuchBucket"), "there is no such bucket"),
        (
            caused(FileNotFoundError("x"), error_of("botocore.errorfactory", "NoSuchBucket")),
            "there is no such bucket",
        ),
        (
            error_of("botocore.exceptions", "NoCredentialsError"),
            "no credentials are known; for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            caused(PermissionError("x"), error_of("botocore.exceptions", "ClientError")),
            "it refuses these credentials",
        ),
        (error_of("aiohttp.client_exceptions", "ClientConnectorError"), "it cannot be reached"),
        (error_of("botocore.exceptions", "ReadTimeoutError"), "it cannot be reached"),
        (error_of("gcsfs.retry", "HttpError"), "it answers with an error (HttpError)"),
        (
            caused(OSError("x"), error_of("botocore.exceptions", "ClientError")),
            "it answers with an error (ClientError)",
        ),
    ],
)
def test_failures_of_a_store(error: BaseException, line: str) -> None:
    assert describe_outage(error) == line


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("nothing there"),
        FileExistsError("there already"),
        caused(FileNotFoundError("x"), error_of("botocore.exceptions", "ClientError")),
        PermissionError("a local folder"),
        OSError("disk full"),
        ValueError("not JSON"),
        error_of("botocore_like.errors", "ConnectError"),
        MasterKeyError("missing"),
        TamperedError(),
    ],
)
def test_what_is_no_outage(error: BaseException) -> None:
    assert describe_outage(error) is None


def test_a_database_out_of_reach_is_one() -> None:
    line = describe_outage(StoreUnavailableError("OperationalError"))
    assert line is not None
    assert "\n" not in line


def test_nothing_of_the_message_is_shown() -> None:
    for name in ("NoSuchBucket", "NoCredentialsError", "ConnectionError", "Other"):
        line = describe_outage(error_of("botocore.exceptions", name))
        assert line is not None
        assert "Doe" not in line
