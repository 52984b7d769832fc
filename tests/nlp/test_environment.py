"""What started programs get of the environment: what they need, and what is named; never a secret."""

from __future__ import annotations

import pytest

from lexveil.flows.environment import SERVER_VARIABLES, select_harmless_environment
from lexveil.nlp.environment import select_environment

SECRETS = ("LEXVEIL_MASTER_KEY", "AWS_SECRET_ACCESS_KEY", "HOMEBREW_GITHUB_API_TOKEN", "PATHS", "PGPASSWORD")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *SECRETS,
        "LC_CTYPE",
        "TESSDATA_PREFIX",
        "OMP_NUM_THREADS",
        "PREFECT_API_URL",
        "SSL_CERT_FILE",
    ):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HOME", "/home/x")


@pytest.mark.usefixtures("environment")
class TestSelectEnvironment:
    def test_only_what_every_program_needs(self) -> None:
        given = select_environment()
        assert {"PATH", "LC_CTYPE"} <= set(given)
        assert not {*SECRETS, "HOME", "TESSDATA_PREFIX", "OMP_NUM_THREADS"} & set(given)

    def test_a_name_is_that_variable_alone(self) -> None:
        assert set(select_environment("HOME")) - set(select_environment()) == {"HOME"}

    def test_a_star_stands_for_any_characters(self) -> None:
        assert "TESSDATA_PREFIX" in select_environment("TESS*")

    def test_a_prefect_server_gets_no_secret(self) -> None:
        given = select_harmless_environment(*SERVER_VARIABLES)
        assert {"HOME", "PREFECT_API_URL", "SSL_CERT_FILE", "OMP_NUM_THREADS"} <= set(given)
        assert not set(SECRETS) & set(given)
