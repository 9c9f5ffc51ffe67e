"""The operator's settings: environment variables IMAGEFERRY_…, each with a default that suits a cluster in Azure."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from imageferry.azure.cloud import CloudConfig
from imageferry.azure.credentials import CredentialConfig, CredentialKind, DeletionIdentity
from imageferry.azure.national import Cloud, endpoints
from imageferry.kube.election import own_namespace
from imageferry.kube.lease import LeaseTiming
from imageferry.logs import LogFormat
from imageferry.migration.scopes import Scope, Scopes, check_prefix
from imageferry.migration.steps import Brake
from imageferry.migration.timing import Timing


def _read_json(value: object) -> object:
    """Return what the text of an environment variable holds; ValueError says where it is no JSON."""
    return json.loads(value) if isinstance(value, str) else value


class ScopeSetting(BaseModel):
    """What one namespace may use."""

    model_config = ConfigDict(extra="forbid")

    source: list[Annotated[str, AfterValidator(check_prefix)]] = []
    gallery: list[Annotated[str, AfterValidator(check_prefix)]] = []


class Settings(BaseSettings):
    """All settings, read from the environment."""

    model_config = SettingsConfigDict(env_prefix="IMAGEFERRY_", extra="ignore")

    cloud: Cloud = Field(
        Cloud.PUBLIC,
        description="AzureCloud, AzureChinaCloud or AzureUSGovernment: what the next three are by default.",
    )
    arm_endpoint: str | None = Field(None, description="Azure Resource Manager. Default: the cloud's.")
    arm_audience: str | None = Field(None, description="For whom tokens are asked. Default: the cloud's.")
    authority: str | None = Field(None, description="Where tokens come from. Default: the cloud's.")
    authority_discovery: bool = Field(
        default=True, description="Whether the authority is checked against Microsoft's list of clouds."
    )
    ca_bundle: Path | None = Field(None, description="CA certificates for both, instead of the system's.")
    credential: CredentialKind = Field(CredentialKind.WORKLOAD_IDENTITY, description="How to log in.")
    tenant_id: str | None = Field(None, description="Entra tenant.")
    client_id: str | None = Field(None, description="Application or managed identity.")
    client_secret: SecretStr | None = Field(None, description="For credential client-secret.")
    client_certificate: Path | None = Field(None, description="For credential client-certificate: PEM with key.")
    federated_token_file: Path | None = Field(None, description="For credential workload-identity.")
    cluster_id: str | None = Field(
        None, max_length=128, description="Tag of what is built here. Default: the uid of the namespace kube-system."
    )
    namespace: str | None = Field(
        None, description="Where the Lease is. Default: the pod's own namespace, else imageferry-system."
    )
    lease_seconds: int = Field(
        15, ge=3, le=300, description="How long a Lease holds that is not renewed; two thirds of it for its holder."
    )
    workers: int = Field(8, ge=1, le=64, description="Passes at the same time.")
    settle_seconds: float = Field(
        600, ge=0, description="How long every region stays Completed, seen by this process, before a deletion."
    )
    stuck_seconds: float = Field(
        21_600, ge=600, description="How long a small replication may show no progress before it is said to be stuck."
    )
    deletion_enabled: bool = Field(default=True, description="false: no managed image is deleted, whatever else holds.")
    deletion_identity: DeletionIdentity = Field(
        DeletionIdentity.SAME,
        description="Who deletes managed images: Same, the identity that migrates; Separate, one that does nothing "
        "else; None, nobody.",
    )
    deletion_client_id: str | None = Field(None, description="For deletion_identity Separate: its application.")
    deletion_client_secret: SecretStr | None = Field(None, description="The same, for credential client-secret.")
    deletion_client_certificate: Path | None = Field(None, description="The same, for credential client-certificate.")
    deletion_max_per_hour: int = Field(
        60, ge=0, le=100_000, description="Managed images deleted within any hour at most, over all migrations."
    )
    scopes: Annotated[dict[str, ScopeSetting], NoDecode, BeforeValidator(_read_json)] = Field(
        default_factory=dict,
        description="Which namespaces may use which ARM id prefixes, as JSON: "
        '{"team-a": {"source": ["/subscriptions/…"], "gallery": ["/subscriptions/…"]}}; * stands for any.',
    )
    compare_seconds: float = Field(
        600, gt=0, description="Between comparisons of what the watch told with a list of all migrations."
    )
    speed: float = Field(
        1.0, gt=0, description="Divides every wait; above 1 only against a simulator with a fast clock."
    )
    liveness: str = Field("http://0.0.0.0:8080/healthz", description="Where the liveness endpoint listens.")
    log_format: LogFormat = Field(LogFormat.JSON, description="json or text.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @model_validator(mode="after")
    def _secure(self) -> Self:
        for name in ("arm_endpoint", "authority"):
            value = getattr(self, name)
            if value is not None and not value.startswith("https://"):
                raise ValueError(f"IMAGEFERRY_{name.upper()}: must start with https://, found {value!r}")
        return self

    @model_validator(mode="after")
    def _reaper_is_another(self) -> Self:
        separate = self.deletion_identity is DeletionIdentity.SEPARATE
        if separate and self.credential is CredentialKind.AZURE_CLI:
            raise ValueError("IMAGEFERRY_DELETION_IDENTITY: Separate needs a credential other than azure-cli")
        if separate and self.deletion_client_id in (None, self.client_id):
            raise ValueError("IMAGEFERRY_DELETION_CLIENT_ID: Separate needs it, and another one than CLIENT_ID")
        if not separate and self.deletion_client_id:
            raise ValueError("IMAGEFERRY_DELETION_CLIENT_ID: is for IMAGEFERRY_DELETION_IDENTITY=Separate alone")
        return self

    @property
    def azure(self) -> CloudConfig:
        """Where Azure is and how to log in."""
        known = endpoints(self.cloud)
        credential = CredentialConfig(
            kind=self.credential,
            authority=(self.authority or known.authority).rstrip("/"),
            discovery=self.authority_discovery,
            tenant_id=self.tenant_id,
            client_id=self.client_id,
            client_secret=self.client_secret.get_secret_value() if self.client_secret else None,
            certificate=self.client_certificate,
            token_file=self.federated_token_file,
        )
        reaper = None
        if self.deletion_identity is DeletionIdentity.SEPARATE:
            secret = self.deletion_client_secret
            reaper = replace(
                credential,
                client_id=self.deletion_client_id,
                client_secret=secret.get_secret_value() if secret else None,
                certificate=self.deletion_client_certificate,
            )
        arm, audience = self.arm_endpoint or known.arm, self.arm_audience or known.audience
        return CloudConfig(
            arm.rstrip("/"),
            audience.rstrip("/"),
            self.ca_bundle,
            credential,
            reaper,
            shared_seconds=self.timing.shared.total_seconds(),
        )

    @property
    def lease_namespace(self) -> str:
        """Where the Lease is."""
        return self.namespace or own_namespace()

    @property
    def lease_timing(self) -> LeaseTiming:
        """How the Lease is kept."""
        return LeaseTiming.of(self.lease_seconds)

    @property
    def timing(self) -> Timing:
        """All waits."""
        settle, compare = timedelta(seconds=self.settle_seconds), timedelta(seconds=self.compare_seconds)
        stuck = timedelta(seconds=self.stuck_seconds)
        return Timing(settle=settle, compare=compare, stuck=stuck).scaled(self.speed)

    @property
    def allowed(self) -> Scopes:
        """Which namespaces may use what; the operator's own may use all."""
        given = {name: Scope(tuple(each.source), tuple(each.gallery)) for name, each in self.scopes.items()}
        return Scopes(self.lease_namespace, given)

    @property
    def brake(self) -> Brake:
        """The global brake on deletions."""
        reaps = self.deletion_identity is not DeletionIdentity.NONE
        return Brake(enabled=self.deletion_enabled, reaps=reaps, most=self.deletion_max_per_hour)
