"""Passing faults: tried again by their class, never hot, and with one effect however often it took.

All migrations run side by side, each with a fault of its own, so that one fault's back-off
would show in another's way.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from imageferry.simulator import Answer, Entry, Fault, HtmlPage, Reset, Slow
from tests import manifests
from tests.cluster.world import SPEED, World, opened
from tests.controlplane import ControlPlane
from tests.manifests import Json

LOOK, DEFINE, BUILD, DELETE = (
    "images.get",
    "galleryImages.createOrUpdate",
    "galleryImageVersions.createOrUpdate",
    "images.delete",
)
FOLLOW = "galleryImageVersions.get"
ACTIONS = {DEFINE: "CreateDefinition", BUILD: "CreateVersion", DELETE: "DeleteImage"}
THROTTLED = Answer(429, "TooManyRequests", headers={"Retry-After": "1"})
BROKEN = Answer(500, "InternalServerError")
DENIED = Answer(403, "AuthorizationFailed")
DISBELIEF = 300.0 / 2
"""Simulated seconds, counted from the announcement; how long before the request that is depends on the machine."""
FIRST, MOST = 5.0, 300.0
"""The first and the longest pause after a passing fault, in simulated seconds."""


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with one migration's calls, and how long Azure must be left alone after each."""

    operation: str
    does: Answer | HtmlPage | Reset
    times: int = 2
    gap: float = 0.0
    """Simulated seconds that lie at least between two tries."""

    @property
    def attempts(self) -> int:
        """How often a mutation that meets it is sent; one that took effect is not sent again."""
        return 1 if self.does == Reset("after") else self.times + 1


TROUBLES: dict[str, Trouble] = {
    "well": Trouble(LOOK, BROKEN, times=0),
    "look-throttled": Trouble(LOOK, THROTTLED, gap=SPEED),
    "follow-throttled": Trouble(FOLLOW, THROTTLED, gap=SPEED),
    "build-throttled": Trouble(BUILD, THROTTLED),
    "delete-throttled": Trouble(DELETE, THROTTLED),
    "look-broken": Trouble(LOOK, BROKEN, times=8, gap=FIRST),
    "build-broken": Trouble(BUILD, BROKEN, gap=DISBELIEF),
    "delete-broken": Trouble(DELETE, BROKEN, gap=DISBELIEF),
    "follow-html": Trouble(FOLLOW, HtmlPage(503), times=3, gap=FIRST),
    "build-html": Trouble(BUILD, HtmlPage(503), times=1, gap=DISBELIEF),
    "look-cut": Trouble(LOOK, Reset(), times=4),
    "define-cut-before": Trouble(DEFINE, Reset("before")),
    "define-cut-after": Trouble(DEFINE, Reset("after")),
    "build-cut-before": Trouble(BUILD, Reset("before")),
    "build-cut-after": Trouble(BUILD, Reset("after")),
    "delete-cut-before": Trouble(DELETE, Reset("before")),
    "delete-cut-after": Trouble(DELETE, Reset("after")),
    "look-denied": Trouble(LOOK, DENIED, times=3, gap=FIRST),
    "define-denied": Trouble(DEFINE, DENIED, times=3, gap=FIRST),
    "build-denied": Trouble(BUILD, DENIED, times=3, gap=FIRST),
}


@pytest.fixture(scope="module")
def here(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give one world to the whole module, its operator running."""
    with opened(deployed, tmp_path_factory.mktemp("retried")) as world:
        world.operator.start()
        yield world


@pytest.fixture(scope="module")
def ends(here: World) -> dict[str, Json]:
    """Take all migrations from apply to a deleted image, through their troubles; gives the last statuses."""
    for name, trouble in TROUBLES.items():
        here.azure.cloud.put_image(name, group="legacy")
        if trouble.times:
            fault = Fault(trouble.operation, trouble.does, resource=f"/images/{name}", times=trouble.times)
            here.azure.faults.add(fault)
    apply(here, *TROUBLES)
    wait_for_all(here, "AwaitingVerification")
    verify_all(here)
    wait_for_all(here, "Completed")
    return statuses(here)


@contextmanager
def meanwhile(world: World, fault: Fault) -> Iterator[int]:
    """Let something be wrong inside the block; gives the fault's number."""
    number = world.azure.faults.add(fault)
    try:
        yield number
    finally:
        world.azure.faults.remove(number)


def apply(world: World, *names: str, **changes: Any) -> None:
    """Apply migrations at once."""
    text = "\n---\n".join(manifests.text(manifests.migration(name, **changes)) for name in names)
    world.kubectl("apply", "--filename=-", input=text)


def statuses(world: World) -> dict[str, Json]:
    """Return all statuses by name."""
    items = json.loads(world.kubectl("get", "imig", "--output=json").stdout)["items"]
    return {item["metadata"]["name"]: item.get("status", {}) for item in items}


def wait_for_all(world: World, phase: str) -> None:
    """Wait until all are there; which of them is not, its own test tells."""
    with suppress(AssertionError):
        world.wait(lambda: set(world.phases().values()) == {phase}, what=f"all {phase}", within=40)


def verify_all(world: World) -> None:
    """Verify all that wait for it, each by what its message tells."""
    messages = [conditions(status)["Ready"]["message"] for status in statuses(world).values()]
    patches = [manifests.told(message) for message in messages if "kubectl auth whoami" in message]
    told = ("apply", "--server-side", "--force-conflicts", "--subresource=status", "--filename=-")
    world.kubectl(*told, input="\n---\n".join(patches))


def conditions(status: Json) -> dict[str, Json]:
    """Return the conditions by type."""
    return {each["type"]: each for each in status.get("conditions", [])}


def requests(world: World, name: str, operation: str) -> list[Entry]:
    """Return what was asked for one migration."""
    return world.azure.ledger.entries(operation, resource=f"/images/{name}")


def gaps(entries: list[Entry]) -> list[float]:
    """Return the simulated seconds between one request and the next."""
    return [(later.time - earlier.time).total_seconds() for earlier, later in pairwise(entries)]


def announced(world: World, name: str, operation: str) -> set[str]:
    """Return the ids of all announcements of one kind of mutation, from the API server's audit log."""
    stored = [(entry.response or {}).get("status", {}).get("operation") or {} for entry in world.writes(name)]
    return {each["id"] for each in stored if each.get("action") == ACTIONS[operation]}


@pytest.mark.parametrize("name", TROUBLES)
def test_every_trouble_ends_as_if_there_had_been_none(here: World, ends: dict[str, Json], name: str) -> None:
    """The version is built and complete, the image deleted, and no error is left in the status."""
    status, said = ends[name], conditions(ends[name])

    assert status["phase"] == "Completed"
    assert status["deletion"]["receipt"]["outcome"] == "Deleted"
    assert {said[kind]["status"] for kind in ("Ready", "VersionReady", "Replicated", "SourceDeleted")} == {"True"}
    assert {"Stalled", "Reconciling"}.isdisjoint(said)
    assert not {"error", "operation"} & set(status)
    assert here.azure.cloud.get(manifests.image_id(name)) is None


@pytest.mark.parametrize("name", TROUBLES)
def test_everything_takes_effect_once(here: World, ends: dict[str, Json], name: str) -> None:
    """One definition and one version are created and one image is deleted, whatever the answers were."""
    del ends
    ledger, resource = here.azure.ledger, f"/images/{name}"

    assert [entry.operation for entry in ledger.mutations(resource=resource) if entry.effect != "updated"] == [
        DEFINE,
        BUILD,
        DELETE,
    ]
    assert ledger.count(effect="updated", resource=f"/images/{name}/versions") == 0


@pytest.mark.parametrize("name", TROUBLES)
def test_every_mutation_was_announced(here: World, ends: dict[str, Json], name: str) -> None:
    """No request that changes Azure goes out twice on one announcement."""
    del ends
    for operation in ACTIONS:
        assert len(requests(here, name, operation)) <= len(announced(here, name, operation)), operation


@pytest.mark.parametrize("name", TROUBLES)
def test_it_is_sent_again_only_where_it_failed(here: World, ends: dict[str, Json], name: str) -> None:
    """One attempt more than faults; none where looking showed that the request had done its work."""
    del ends
    trouble = TROUBLES[name]
    for operation in ACTIONS:
        wanted = trouble.attempts if operation == trouble.operation else 1
        assert len(requests(here, name, operation)) == wanted, operation


@pytest.mark.parametrize("name", [name for name, trouble in TROUBLES.items() if trouble.gap])
def test_azure_is_left_alone_between_two_tries(here: World, ends: dict[str, Json], name: str) -> None:
    """As long as Retry-After says, or the back-off, or until an unknown outcome would show."""
    del ends
    trouble = TROUBLES[name]
    tries = requests(here, name, trouble.operation)
    first = next(n for n, entry in enumerate(tries) if entry.status >= 400 and entry.status != 404)

    assert min(gaps(tries[first : first + trouble.times + 1])) > trouble.gap * 0.9


def test_pauses_double_up_to_a_bound(here: World, ends: dict[str, Json]) -> None:
    """Five seconds, ten, and so on, but never more than minutes: eight failures in a row take a quarter of an hour."""
    del ends
    tries = [entry for entry in requests(here, "look-broken", LOOK) if entry.status == 500]
    wanted = [min(FIRST * 2**n, MOST) for n in range(7)]

    assert len(tries) == 8
    assert [gap > least * 0.9 for gap, least in zip(gaps(tries), wanted, strict=True)] == [True] * 7


def test_a_role_that_never_comes_stalls(here: World, ends: dict[str, Json]) -> None:
    """403 is borne for ten minutes, then said with the cure; once the role is there it goes on by itself."""
    del ends
    here.azure.cloud.put_image("forbidden", group="legacy")
    fault = here.azure.faults.add(Fault(BUILD, DENIED, resource="/images/forbidden/"))
    apply(here, "forbidden")

    status = here.until_phase("forbidden", "Stalled")
    said = conditions(status)
    assert (said["Stalled"]["reason"], said["Ready"]["status"]) == ("AuthorizationFailed", "False")
    assert "give the operator's identity the role" in said["Stalled"]["message"]
    assert (status["error"]["code"], status["error"]["kind"]) == ("AuthorizationFailed", "BackOff")
    tries = requests(here, "forbidden", BUILD)
    assert (tries[-1].time - tries[0].time).total_seconds() > 600 * 0.9

    here.azure.faults.remove(fault)
    here.until_phase("forbidden", "AwaitingVerification")
    assert here.azure.ledger.count(BUILD, effect="created", resource="/images/forbidden/") == 1


@dataclass(frozen=True)
class Refused:
    """A mutation that is refused for good, and the simulated seconds between its tries once they are slow."""

    operation: str
    does: Answer
    after: str
    gap: float


UNDER_WAY = 0.8
"""Seconds that Azure takes to answer, as Resource Manager does: the watch is faster than that."""
REFUSED = {
    "define-throttled-slowly": Refused(DEFINE, replace(THROTTLED, headers={"Retry-After": "2"}), "Defining", 2 * SPEED),
    "build-throttled-slowly": Refused(BUILD, replace(THROTTLED, headers={"Retry-After": "2"}), "Creating", 2 * SPEED),
    "build-denied-slowly": Refused(BUILD, DENIED, "Stalled", 300.0),
}


@pytest.fixture(scope="module")
def tries(here: World, ends: dict[str, Json]) -> dict[str, list[Entry]]:
    """Let all be refused, slowly, until each was tried three times at its later pace; gives those tries."""
    del ends
    begun: dict[str, int] = {}
    with ExitStack() as stack:
        for name, refused in REFUSED.items():
            here.azure.cloud.put_image(name, group="legacy")
            for does in (refused.does, Slow(UNDER_WAY)):
                stack.enter_context(meanwhile(here, Fault(refused.operation, does, resource=f"/images/{name}")))
        apply(here, *REFUSED)
        for name, refused in REFUSED.items():
            here.until_phase(name, refused.after)
            begun[name] = len(requests(here, name, refused.operation))
        for name, refused in REFUSED.items():
            seen = partial(requests, here, name, refused.operation)
            here.wait(partial(_more, seen, begun[name] + 3), what=f"three tries of {name}")
    return {name: requests(here, name, refused.operation)[begun[name] :] for name, refused in REFUSED.items()}


def _more(seen: Callable[[], list[Entry]], wanted: int) -> bool:
    return len(seen()) >= wanted


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_mutation_is_not_tried_hotly(tries: dict[str, list[Entry]], name: str) -> None:
    """However slow Azure's refusal and however fast the watch: the pause between two tries is kept."""
    refused = [entry for entry in tries[name] if entry.status >= 400]

    assert min(gaps(refused)) > (UNDER_WAY * SPEED + REFUSED[name].gap) * 0.95


def test_a_stall_lasts_while_it_is_tried_again(here: World, tries: dict[str, list[Entry]]) -> None:
    """A try that is refused as before is no transition: Stalled stays, and no Event is repeated."""
    name = "build-denied-slowly"
    assert len(tries[name]) > 1
    phases = [(entry.response or {})["status"].get("phase") for entry in here.writes(name)]
    stalled = phases[phases.index("Stalled") :]
    until_cured = stalled[: max(n for n, phase in enumerate(stalled) if phase == "Stalled") + 1]

    assert set(until_cured) == {"Stalled"}
    assert [reason for _, reason in events(here, name)].count("AuthorizationFailed") == 1


def events(world: World, name: str) -> list[tuple[str, str]]:
    """Return type and reason of a migration's Events."""
    found = json.loads(world.kubectl("get", "events", f"--field-selector=involvedObject.name={name}", "-o=json").stdout)
    return [(item["type"], item["reason"]) for item in found["items"]]


def test_a_long_outage_of_puts_is_waited_out(here: World, ends: dict[str, Json]) -> None:
    """Azure's own failures use up no budget of builds: nobody has to apply the resource anew after them."""
    del ends
    here.azure.cloud.put_image("outage", group="legacy")
    here.azure.faults.add(Fault(BUILD, HtmlPage(503), resource="/images/outage/", times=4))
    apply(here, "outage")

    status = here.until(
        "outage", lambda status: status.get("phase") in ("AwaitingVerification", "Stalled"), what="its end"
    )
    assert status["phase"] == "AwaitingVerification", conditions(status).get("Stalled")


def test_expired_tokens_are_replaced(here: World, ends: dict[str, Json]) -> None:
    """ARM refuses the token that the operator holds; it asks for another and nobody notices."""
    del ends
    here.azure.cloud.put_image("expired", group="legacy")
    issued = here.azure.tokens.issued
    here.azure.tokens.expire()
    apply(here, "expired")

    status = here.until_phase("expired", "AwaitingVerification")
    assert "error" not in status
    assert issued < here.azure.tokens.issued <= issued + 3
    assert here.azure.ledger.count(BUILD, effect="created", resource="/images/expired/") == 1


TOKEN_TROUBLES: dict[str, Answer | HtmlPage] = {
    "server-error": Answer(500, "server_error", "AADSTS90033: A transient error has occurred."),
    "throttled": Answer(
        429, "temporarily_unavailable", "AADSTS90055: Too many requests.", headers={"Retry-After": "1"}
    ),
    "html": HtmlPage(503),
    "secret-expired": Answer(401, "invalid_client", "AADSTS7000222: The provided client secret keys are expired."),
    "application-unknown": Answer(400, "unauthorized_client", "AADSTS700016: Application was not found."),
}


def said_of_error(status: Json) -> str:
    """Return the message of the error that the status shows; empty when it shows none."""
    return str(status.get("error", {}).get("message", ""))


@pytest.mark.parametrize("kind", TOKEN_TROUBLES)
def test_without_a_token_nothing_is_asked(here: World, ends: dict[str, Json], kind: str) -> None:
    """No token, no call: the status says that the credential is at fault, and it goes on once tokens come again."""
    del ends
    name = f"token-{kind}"
    here.azure.cloud.put_image(name, group="legacy")
    with meanwhile(here, Fault("token", TOKEN_TROUBLES[kind])):
        here.azure.tokens.expire()
        apply(here, name)
        status = here.until(name, lambda status: "token for" in said_of_error(status), what="the error")
        tried = [entry for entry in here.operator.entries("failed") if entry["migration"].endswith(f"/{name}")]

    assert "check the operator's credential settings" in said_of_error(status)
    assert len(tried) < 30
    assert requests(here, name, "*.createOrUpdate") == []
    assert "error" not in here.until_phase(name, "AwaitingVerification")
