"""Azure's clouds: which endpoints and which audience belong together, as Microsoft's own libraries have them."""

from dataclasses import dataclass
from enum import StrEnum

from azure.core import AzureClouds
from azure.identity import AzureAuthorityHosts
from azure.mgmt.core.tools import get_arm_endpoints


class Cloud(StrEnum):
    """A cloud by the name that `az cloud list` has for it."""

    PUBLIC = "AzureCloud"
    CHINA = "AzureChinaCloud"
    US_GOVERNMENT = "AzureUSGovernment"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs without a slash at their end."""

    arm: str
    audience: str
    authority: str


_CLOUDS = {
    Cloud.PUBLIC: (AzureClouds.AZURE_PUBLIC_CLOUD, AzureAuthorityHosts.AZURE_PUBLIC_CLOUD),
    Cloud.CHINA: (AzureClouds.AZURE_CHINA_CLOUD, AzureAuthorityHosts.AZURE_CHINA),
    Cloud.US_GOVERNMENT: (AzureClouds.AZURE_US_GOVERNMENT, AzureAuthorityHosts.AZURE_GOVERNMENT),
}


def endpoints(cloud: Cloud) -> Endpoints:
    """Return a cloud's endpoints."""
    setting, host = _CLOUDS[cloud]
    known = get_arm_endpoints(setting)
    return Endpoints(
        arm=str(known["resource_manager"]).rstrip("/"),
        audience=str(known["credential_scopes"][0]).removesuffix("/.default"),
        authority=f"https://{host}",
    )
