"""Who the operator is in Azure: credentials from azure-identity, of one kind that is chosen by name.

No chain of guesses: an identity that was not meant to be used must not be found by
accident by something that deletes images.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import (
    AzureCliCredential,
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from imageferry.azure import claims, errors

if TYPE_CHECKING:
    from imageferry.api.status import AzureIdentity

T = TypeVar("T")


class CredentialKind(StrEnum):
    """The supported ways to log in."""

    WORKLOAD_IDENTITY = "workload-identity"
    MANAGED_IDENTITY = "managed-identity"
    CLIENT_SECRET = "client-secret"  # noqa: S105 - the name of a kind, not a secret
    CLIENT_CERTIFICATE = "client-certificate"
    AZURE_CLI = "azure-cli"


@dataclass(frozen=True, slots=True)
class CredentialConfig:
    """How to log in; what is None is left to azure-identity and its AZURE_… variables."""

    kind: CredentialKind = CredentialKind.WORKLOAD_IDENTITY
    authority: str = "https://login.microsoftonline.com"
    discovery: bool = True
    """Whether the authority is checked against Microsoft's list; off for clouds that are not on it."""
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    token_file: Path | None = None


class DeletionIdentity(StrEnum):
    """Who deletes managed images."""

    SAME = "Same"
    SEPARATE = "Separate"
    NONE = "None"


class Login:
    """A credential whose errors are ours, so that nobody takes a refused log-in for an answer of Resource Manager."""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential
        self.identity: AzureIdentity | None = None
        """Who the last token speaks for."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401 - azure-core's protocol
        """Return a token; DeniedError or BackOffError, both definite: without a token nothing is sent."""
        with errors.logging_in():
            token = await self._credential.get_token(*scopes, **options)
        self.identity = claims.identity(token.token)
        return token

    async def close(self) -> None:
        """Close the credential."""
        await self._credential.close()

    async def __aenter__(self) -> Self:
        await self._credential.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._credential.__aexit__(kind, error, trace)


def create(config: CredentialConfig, *, transport: Any) -> Login:  # noqa: ANN401 - azure-core's transport
    """Return the credential; ValueError names what is missing for its kind."""
    return Login(_MAKERS[config.kind](config, transport))


def _common(config: CredentialConfig, transport: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return {
        "authority": config.authority,
        "disable_instance_discovery": not config.discovery,
        "transport": transport,
        "retry_total": 0,
    }


def _workload_identity(config: CredentialConfig, transport: Any) -> AsyncTokenCredential:  # noqa: ANN401 - as above
    given = {
        "tenant_id": config.tenant_id,
        "client_id": config.client_id,
        "token_file_path": str(config.token_file) if config.token_file else None,
    }
    return WorkloadIdentityCredential(
        **{name: value for name, value in given.items() if value}, **_common(config, transport)
    )


def _managed_identity(config: CredentialConfig, transport: Any) -> AsyncTokenCredential:  # noqa: ANN401 - as above
    return ManagedIdentityCredential(client_id=config.client_id, transport=transport, retry_total=0)


def _client_secret(config: CredentialConfig, transport: Any) -> AsyncTokenCredential:  # noqa: ANN401 - as above
    tenant, client = _identity(config)
    secret = _required(config.client_secret, "CLIENT_SECRET")
    return ClientSecretCredential(tenant, client, secret, **_common(config, transport))


def _client_certificate(config: CredentialConfig, transport: Any) -> AsyncTokenCredential:  # noqa: ANN401 - as above
    tenant, client = _identity(config)
    path = _required(config.certificate, "CLIENT_CERTIFICATE")
    return CertificateCredential(tenant, client, str(path), **_common(config, transport))


def _azure_cli(config: CredentialConfig, _transport: Any) -> AsyncTokenCredential:  # noqa: ANN401 - as above
    return AzureCliCredential(tenant_id=config.tenant_id or "")


_MAKERS: dict[CredentialKind, Callable[[CredentialConfig, Any], AsyncTokenCredential]] = {
    CredentialKind.WORKLOAD_IDENTITY: _workload_identity,
    CredentialKind.MANAGED_IDENTITY: _managed_identity,
    CredentialKind.CLIENT_SECRET: _client_secret,
    CredentialKind.CLIENT_CERTIFICATE: _client_certificate,
    CredentialKind.AZURE_CLI: _azure_cli,
}


def _identity(config: CredentialConfig) -> tuple[str, str]:
    return _required(config.tenant_id, "TENANT_ID"), _required(config.client_id, "CLIENT_ID")


def _required(value: T | None, name: str) -> T:
    if not value:
        raise ValueError(f"IMAGEFERRY_{name}: is required for this credential, and is not set")
    return value
