"""What others do in Azure: requests that Azure carries out without the operator's client, faults and ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from imageferry.simulator.cloud import Cloud
from imageferry.simulator.faults import FailOperation
from imageferry.simulator.paths import parse_id
from imageferry.simulator.requests import ArmRequest


def send(
    cloud: Cloud,
    method: str,
    resource: str,
    body: Mapping[str, Any],
    *,
    api_version: str,
    does: Sequence[FailOperation] = (),
) -> None:
    """Send a write of a resource; `does` is how its operation fails. ArmError when it is refused."""
    request = ArmRequest(
        method=method,
        path=parse_id(resource),
        target=resource,
        query={},
        api_version=api_version,
        body=dict(body),
        does=does,
    )
    cloud.carry_out(request)
