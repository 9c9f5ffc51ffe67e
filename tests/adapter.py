"""The operator's client of Azure, as tests open it towards the simulator."""

from typing import Any

from imageferry.azure import CloudConfig, CredentialConfig, CredentialKind
from imageferry.simulator import SimulatorServer


def config(simulator: SimulatorServer, *, client: str = "operator-client", **options: Any) -> CloudConfig:
    """Return where the simulator is and how to log in there; `options` are further ones of CloudConfig."""
    credential = CredentialConfig(
        CredentialKind.CLIENT_SECRET,
        authority=simulator.url,
        discovery=False,
        tenant_id=simulator.tenant,
        client_id=client,
        client_secret="of-the-simulator",
    )
    return CloudConfig(simulator.url, simulator.url, simulator.ca_file, credential, **options)
