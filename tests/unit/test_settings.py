"""The operator's settings from the environment."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from imageferry.azure.credentials import CredentialKind, DeletionIdentity
from imageferry.kube.lease import LeaseTiming
from imageferry.migration.scopes import Scope, Scopes
from imageferry.migration.timing import Timing
from imageferry.settings import Settings


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment that says nothing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"IMAGEFERRY_{name.upper()}", raising=False)


def test_nothing_needs_to_be_set() -> None:
    """The defaults suit a cluster in Azure."""
    settings = Settings()

    assert settings.azure.endpoint == "https://management.azure.com"
    assert settings.credential is CredentialKind.WORKLOAD_IDENTITY
    assert settings.timing == Timing()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("ARM_ENDPOINT", "http://management.azure.com", id="arm-without-tls"),
        pytest.param("AUTHORITY", "login.microsoftonline.com", id="authority-without-scheme"),
        pytest.param("CLOUD", "AzureGermanCloud", id="unknown-cloud"),
        pytest.param("WORKERS", "0", id="no-worker"),
        pytest.param("WORKERS", "65", id="too-many-workers"),
        pytest.param("SETTLE_SECONDS", "-1", id="settled-before-it-began"),
        pytest.param("STUCK_SECONDS", "0", id="stuck-at-once"),
        pytest.param("SPEED", "0", id="standing-still"),
        pytest.param("LEASE_SECONDS", "2", id="a-lease-too-short-to-renew"),
        pytest.param("CREDENTIAL", "password", id="unknown-credential"),
        pytest.param("SCOPES", "team-a", id="scopes-that-are-no-json"),
        pytest.param("SCOPES", '["team-a"]', id="scopes-of-another-shape"),
        pytest.param("SCOPES", '{"team-a": {"sources": ["*"]}}', id="scopes-with-a-misspelled-field"),
        pytest.param("SCOPES", '{"team-a": {"source": [""]}}', id="scopes-with-an-empty-prefix"),
        pytest.param("LOG_FORMAT", "xml", id="unknown-format"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Before anything starts."""
    monkeypatch.setenv(f"IMAGEFERRY_{name}", value)

    with pytest.raises(ValidationError) as refused:
        Settings()
    assert name.casefold() in str(refused.value).casefold()


def test_the_environment_says_where_azure_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Endpoint, audience, authority and CA, without a trailing slash."""
    given = {"ARM_ENDPOINT": "https://arm/", "ARM_AUDIENCE": "https://aud/", "AUTHORITY": "https://login"}
    for name, value in (given | {"CA_BUNDLE": str(tmp_path)}).items():
        monkeypatch.setenv(f"IMAGEFERRY_{name}", value)
    cloud = Settings().azure

    assert (cloud.endpoint, cloud.audience, cloud.ca_bundle) == ("https://arm", "https://aud", tmp_path)
    assert cloud.credential.authority == "https://login"


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches the credential and no log."""
    monkeypatch.setenv("IMAGEFERRY_CLIENT_SECRET", "hunter2")
    settings = Settings()

    assert "hunter2" not in repr(settings)
    assert settings.azure.credential.client_secret == "hunter2"


def test_speed_shortens_every_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a simulator with a fast clock."""
    monkeypatch.setenv("IMAGEFERRY_SPEED", "60")
    monkeypatch.setenv("IMAGEFERRY_SETTLE_SECONDS", "120")
    timing = Settings().timing

    assert (timing.settle, timing.building) == (timedelta(seconds=2), timedelta(seconds=1))


def test_the_lease_is_where_the_operator_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a pod the namespace of `deploy/`, or the one that is named; its timing follows from its duration."""
    assert (Settings().lease_namespace, Settings().lease_timing) == ("imageferry-system", LeaseTiming())
    monkeypatch.setenv("IMAGEFERRY_NAMESPACE", "elsewhere")
    monkeypatch.setenv("IMAGEFERRY_LEASE_SECONDS", "30")

    assert (Settings().lease_namespace, Settings().lease_timing) == ("elsewhere", LeaseTiming(30, 20.0, 4.0))


def test_strange_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes adds some of its own for every Service, with our prefix too."""
    monkeypatch.setenv("IMAGEFERRY_SERVICE_HOST", "10.0.0.1")

    assert Settings()


def test_no_namespace_but_the_operators_own_may_use_anything_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another may use has to be written out."""
    monkeypatch.setenv("IMAGEFERRY_NAMESPACE", "ferry")
    assert Settings().allowed == Scopes("ferry", {})

    monkeypatch.setenv("IMAGEFERRY_SCOPES", '{"team-a": {"source": ["/subscriptions/a/"], "gallery": ["*"]}}')
    assert Settings().allowed == Scopes("ferry", {"team-a": Scope(("/subscriptions/a",), ("*",))})


def test_the_reaper_is_another_application_and_shares_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tenant, authority and kind are one; who it is, and by what it shows it, are its own."""
    given = {"TENANT_ID": "t", "CLIENT_ID": "migrator", "CLIENT_SECRET": "m", "CREDENTIAL": "client-secret"}
    reaper = {"DELETION_IDENTITY": "Separate", "DELETION_CLIENT_ID": "reaper", "DELETION_CLIENT_SECRET": "r"}
    for name, value in (given | reaper).items():
        monkeypatch.setenv(f"IMAGEFERRY_{name}", value)
    cloud = Settings().azure

    assert cloud.reaper == replace(cloud.credential, client_id="reaper", client_secret="r")
    assert (cloud.credential.client_id, cloud.credential.client_secret) == ("migrator", "m")


@pytest.mark.parametrize(("identity", "reaps"), [("Same", True), ("None", False)])
def test_without_a_separate_one_there_is_no_reaper(
    monkeypatch: pytest.MonkeyPatch, identity: str, *, reaps: bool
) -> None:
    """Same is the default; None deletes nothing."""
    assert Settings().deletion_identity is DeletionIdentity.SAME
    monkeypatch.setenv("IMAGEFERRY_DELETION_IDENTITY", identity)

    assert Settings().azure.reaper is None
    assert Settings().brake.reaps is reaps


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"DELETION_IDENTITY": "Separate"}, id="nobody-named"),
        pytest.param(
            {"DELETION_IDENTITY": "Separate", "DELETION_CLIENT_ID": "a", "CLIENT_ID": "a"}, id="the-same-after-all"
        ),
        pytest.param(
            {"DELETION_IDENTITY": "Separate", "DELETION_CLIENT_ID": "a", "CREDENTIAL": "azure-cli"}, id="azure-cli"
        ),
        pytest.param({"DELETION_CLIENT_ID": "a"}, id="named-and-not-asked-for"),
        pytest.param({"DELETION_IDENTITY": "none"}, id="misspelled"),
    ],
)
def test_a_reaper_that_would_not_be_one_is_refused(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    """Before anything starts: who believes that another identity deletes has to be right."""
    for name, value in given.items():
        monkeypatch.setenv(f"IMAGEFERRY_{name}", value)

    with pytest.raises(ValidationError, match=r"(?i)deletion_"):
        Settings()
