"""The operator's rights on the API server are those that it uses: none is missing and none is for nothing.

What it uses is what the audit log says of its service account over one life: it takes a
Lease that is not there, migrates, meets a change of others, and deletes. A rule taken away
is a refusal in that log; `make soak` takes every single one away.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from imageferry.simulator import Call
from tests import manifests
from tests.cluster.world import World, opened
from tests.controlplane import ControlPlane
from tests.controlplane.audit import OPERATOR_USER
from tests.lease import NAME as LEASE
from tests.lease import NAMESPACE
from tests.manifests import Json
from tests.soak import trials

RULES = Path(__file__).parents[2] / "deploy" / "rbac.yaml"


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource, perhaps on one name alone."""

    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        """Return it as RBAC writes it."""
        return "/".join(filter(None, (self.group, self.resource, self.name))) + f":{self.verb}"


def split(rules: list[Json]) -> list[Right]:
    """Return the single rights of rules."""
    return [
        Right(group, resource, verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    ]


def roles() -> list[Json]:
    """Return the roles of `deploy/`."""
    return [each for each in yaml.safe_load_all(RULES.read_text()) if each["kind"] in ("ClusterRole", "Role")]


RIGHTS = sorted(right for role in roles() for right in split(role["rules"]))


def asked(world: World) -> dict[Right, set[int]]:
    """Return what the operator asked of the API server since the world began, with the answers' status codes."""
    named = {(right.resource, right.verb) for right in RIGHTS if right.name}
    found: dict[Right, set[int]] = {}
    for entry in world.plane.audit(since=world.began):
        if entry.user == OPERATOR_USER:
            by_name = (entry.target, entry.verb) in named
            right = Right(entry.group, entry.target, entry.verb, entry.name if by_name else "")
            found.setdefault(right, set()).add(entry.code)
    return found


def refused(world: World) -> set[Right]:
    """Return what the operator was refused."""
    return {right for right, codes in asked(world).items() if 403 in codes}


def begin(world: World, *, wait: bool = True) -> None:
    """Start an operator where no Lease is, with a migration that somebody else changes during its first pass."""
    touched: list[Call] = []

    def touch(call: Call) -> None:
        if call.operation == "images.get" and call.when == "before" and not touched:
            touched.append(call)
            world.kubectl("annotate", "imig", "web", "touched=yes")

    world.azure.hooks.append(touch)
    world.azure.cloud.put_image("web", group="legacy")
    world.apply(manifests.migration("web"))
    world.kubectl("delete", "lease", LEASE, f"--namespace={NAMESPACE}", "--ignore-not-found")
    world.operator.start(wait=wait)


@contextmanager
def without(plane: ControlPlane, right: Right) -> Iterator[None]:
    """Take one right away while the block lasts."""
    there = roles()
    try:
        for role in there:
            kept = [each for each in split(role["rules"]) if each != right]
            plane.apply(json.dumps(role | {"rules": [_rule(each) for each in kept]}))
        yield
    finally:
        for role in there:
            plane.apply(json.dumps(role))


def _rule(right: Right) -> Json:
    names = {"resourceNames": [right.name]} if right.name else {}
    return {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb], **names}


def test_every_right_is_used_and_none_is_missing(world: World) -> None:
    """From a Lease that is not there to a deleted image."""
    begin(world)
    world.until_phase("web", "AwaitingVerification")
    world.verify("web")
    world.until_phase("web", "Completed")
    world.operator.stop()  # a watch is logged when it is over

    assert refused(world) == set()
    with suppress(AssertionError):
        world.wait(lambda: set(asked(world)) >= set(RIGHTS), what="the use of all rights", within=5)
    assert sorted(map(str, asked(world))) == sorted(map(str, RIGHTS))


SOAKED = [pytest.param(right, id=str(right)) for right in RIGHTS[: trials(1, len(RIGHTS))]]


@pytest.mark.parametrize("right", SOAKED)
def test_a_right_that_is_taken_away_is_missed(deployed: ControlPlane, tmp_path: Path, right: Right) -> None:
    """The API server refuses just that, and the test above would fail."""
    with without(deployed, right), opened(deployed, tmp_path) as world:
        begin(world, wait=False)

        def missed() -> bool:
            world.verify_what_waits()
            return bool(refused(world))

        world.wait(missed, what=f"a refusal of {right}")
        assert refused(world) == {right}
