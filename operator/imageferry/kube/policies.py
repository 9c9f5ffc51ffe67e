"""Whether the API server sees to it that only those verify who have the verb `verify`.

The admission policies of deploy/policies do, and a cluster may lack them. It is found out
before the first pass, so that what the status says of it is the same after a restart, and
again now and then. Only they themselves are looked at, by name: whether a policy that has
its name and denies says what ours says is the administrator's affair.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog

from imageferry.engine.ports import Body, UnreachableError
from imageferry.kube.client import Kubernetes, NoRightError

log = structlog.get_logger()

NAMES = ("imageferry-status", "imageferry-spec")
API = "/apis/admissionregistration.k8s.io/v1"
POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
PATHS = {POLICY: "validatingadmissionpolicies", BINDING: "validatingadmissionpolicybindings"}


class Policies:
    """The admission policies of an API server, as they were last seen."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self.gap: str | None = None
        """What is missing, as the begin of a sentence; None when nothing is."""

    async def look(self) -> None:
        """See whether they are there and deny; UnreachableError when there is no answer."""
        gap = await self._gap()
        if gap != self.gap:
            log.warning("verification", policies=gap or "in force")
        self.gap = gap

    @asynccontextmanager
    async def looked_at(self, every: timedelta) -> AsyncIterator[None]:
        """Look again and again while the block lasts; what cannot be seen counts as it did."""
        task = asyncio.create_task(self._look_again(every.total_seconds()), name="policies")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _look_again(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look()
            except UnreachableError as error:
                log.warning("policies", error=str(error))

    async def _gap(self) -> str | None:
        for name in NAMES:
            try:
                policy, binding = [await self._kubernetes.find(f"{API}/{path}/{name}") for path in PATHS.values()]
            except NoRightError:
                return f"whether the {POLICY} {name} is there cannot be seen, for the operator may not get it"
            if gap := _missing(name, policy, binding):
                return gap
        return None


def _missing(name: str, policy: Body | None, binding: Body | None) -> str | None:
    if policy is None:
        return f"there is no {POLICY} {name}"
    if policy["spec"].get("failurePolicy", "Fail") != "Fail":
        return f"the {POLICY} {name} lets pass what it fails to judge (failurePolicy)"
    if binding is None or binding["spec"]["policyName"] != name:
        return f"there is no {BINDING} {name}"
    if "Deny" not in binding["spec"].get("validationActions", ()):
        return f"the {BINDING} {name} does not deny"
    if _narrowed(binding["spec"].get("matchResources", {})):
        return f"the {BINDING} {name} does not bind everywhere (matchResources)"
    return None


def _narrowed(match: Body) -> bool:
    """Whether a binding leaves something out; an empty selector, the server's default, selects all."""
    selectors = (match.get("namespaceSelector"), match.get("objectSelector"))
    return any(selectors) or any(match.get(each) for each in ("resourceRules", "excludeResourceRules"))
