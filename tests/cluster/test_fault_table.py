"""Every answer of section 9, at every call of the main path: where it ends, what is said, how often it is tried.

All meetings run side by side, each with an image, a gallery and a definition of its own, and with a fault that lasts
until all have been seen. Then the faults are lifted, and all go on by themselves. What is expected stands in
`tests/section9.py` and `fault_cases.py`, written from the fact sheet and docs/errors.md. What Azure accepts and
fails later is in `test_failed_operations.py`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from imageferry.simulator import Answer, Entry, Fault
from imageferry.simulator.hooks import Call as Hooked
from tests.cluster import shared
from tests.cluster.fault_cases import (
    CASES,
    DELETE_IMAGE,
    MOST,
    PUT_DEFINITION,
    PUT_GALLERY,
    PUT_VERSION,
    SLOWEST,
    Case,
    tries_wanted,
)
from tests.cluster.shared import conditions
from tests.cluster.test_preflight import set_rules
from tests.cluster.world import World, opened
from tests.controlplane import ControlPlane, until
from tests.manifests import Json
from tests.soak import trials

pytestmark = pytest.mark.timeout(trials(900, 2000))
SPEED = 60.0
"""A stall is looked at again after 5 s, a version is built in 7."""
WITHIN = float(trials(240, 700))
EARLY, LATE = timedelta(seconds=1.5), timedelta(seconds=4)
"""How far the time that is told may lie from the documented one: it has whole seconds, and a pass takes time."""
CALLS_OF_A_TRY = 12
"""The looks that lead to a step, and the step."""
LOOKS_WHILE_UNKNOWN = 24
"""Twelve times within the five minutes at most, at the version and at the image."""
CASE = pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)


@dataclass
class Seen:
    """What was seen of all cases."""

    statuses: dict[str, Json]
    """While the faults lasted."""
    calls: dict[str, list[Entry]]
    """Until they were lifted, by case."""
    real: datetime
    simulated: datetime
    """One instant by both clocks."""
    ends: dict[str, Json] = field(default_factory=dict)
    """After the faults were lifted."""
    effects: dict[str, list[Entry]] = field(default_factory=dict)
    """All that took effect, by case."""

    def tries(self, case: Case) -> list[Entry]:
        """Return the calls that met the fault: before a mutation, a look may find nothing of itself."""
        calls, call = self.calls[case.name], case.call
        begun = min((e.seq for e in calls if e.operation == call.after and e.effect == "created"), default=0)
        met = (call.operation, case.row.status)
        return [e for e in calls if (e.operation, e.status) == met and (e.seq > begun > 0 or not call.after)]

    def real_time(self, entry: Entry) -> datetime:
        """Return when a request was answered by the wall's clock."""
        return self.real + (entry.time - self.simulated) / SPEED


GALLERIES = {case.gallery.casefold(): case.name for case in CASES.values()}


def by_case(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Sort requests by the case that they are about."""
    sorted_ = defaultdict[str, list[Entry]](list)
    for entry in entries:
        resource = entry.resource_id.casefold()
        sorted_[GALLERIES.get(resource) or resource.partition("/images/")[2].partition("/")[0]].append(entry)
    return sorted_


@pytest.fixture(scope="module")
def chosen(request: pytest.FixtureRequest) -> list[Case]:
    """Give the cases whose tests were chosen: `-k conflict` runs no others."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    met = [item.callspec.params["case"] for item in items if item.path == request.path]
    names = {case.name for case in met if isinstance(case, Case)}
    return [case for case in CASES.values() if case.name in names]


@pytest.fixture(scope="module")
def here(chosen: list[Case], deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world with all that the cases need, every fault armed, the operator running."""
    with opened(deployed, tmp_path_factory.mktemp("faults"), speed=SPEED, deletion_max_per_hour=1000) as world:
        set_rules(world, quotas={"Gallery": len(CASES) + 10})
        for case in chosen:
            set_up(world, case)
        world.azure.hooks.append(lambda call: arm_later(world, call))
        world.operator.start()
        yield world


def set_up(world: World, case: Case) -> None:
    """Let image and gallery exist, and the fault that comes first of its kind."""
    cloud = world.azure.cloud
    cloud.put_image(case.name, group="legacy", subscription=case.subscription)
    cloud.put_group("gallery", subscription=case.subscription)
    if "create" not in case.manifest["spec"]["gallery"]:
        cloud.put_gallery(case.gallery.rpartition("/")[2], group="gallery", subscription=case.subscription)
    if not case.call.after:
        arm(world, case)


def arm(world: World, case: Case) -> None:
    """Let the call of a case meet its answer from now on."""
    row = case.row
    code, headers = ("" if row.code == "Http429" else row.code), {}
    if row.retry_after:
        headers["Retry-After"] = str(row.retry_after)
    answer = Answer(row.status, code, row.text, headers=headers, provider=row.status == 429 and row.code[0] in "TO")
    world.azure.faults.add(Fault(case.call.operation, answer, resource=case.resource))


def arm_later(world: World, call: Hooked) -> None:
    """Let a call that comes after a mutation meet its answer, once the mutation has taken effect."""
    name = call.resource_id.partition("/images/")[2].partition("/")[0]
    case = CASES.get(name)
    if call.when == "after" and call.effect == "created" and case and case.call.after == call.operation:
        arm(world, case)


@pytest.fixture(scope="module")
def seen(chosen: list[Case], here: World) -> Seen:
    """Take all cases into their faults, look, lift the faults, and take all to their end."""
    found = Seen({}, {}, datetime.now(UTC), here.azure.clock.now())
    shared.apply_all(here, [case.manifest for case in chosen])
    late: dict[str, str] = {}

    def all_tried() -> bool:
        here.verify_what_waits()
        found.statuses, found.calls = shared.statuses(here), by_case(here.azure.ledger.entries())
        late.clear()
        late.update({case.name: lack for case in chosen if (lack := lacks(case, found))})
        return not late

    wait(all_tried, late, what="every fault met as often as tells its pace")
    here.azure.hooks.clear()
    here.azure.faults.clear()

    def all_through() -> bool:
        here.verify_what_waits()
        found.ends = shared.statuses(here)
        late.clear()
        late.update({name: end.get("phase", "") for name, end in found.ends.items() if not is_through(end)})
        return not late

    wait(all_through, late, what="all through")
    found.effects = by_case(here.azure.ledger.mutations())
    return found


def wait(look: Callable[[], bool], late: dict[str, str], *, what: str) -> None:
    """Wait; what fails to come fails in the tests of its own case."""
    try:
        until(look, what=what, within=WITHIN, every=3.0)
    except TimeoutError:
        print(f"{what}: {len(late)} late: {late}")  # noqa: T201 - shown with the tests that fail


def lacks(case: Case, watched: Seen) -> str:
    """Return what has not come to pass yet of what tells the class of a case."""
    tries, status = watched.tries(case), watched.statuses[case.name]
    if len(tries) < tries_wanted(case):
        return f"{len(tries)} tries"
    if not status.get("error"):
        return "no error"
    return "" if not case.stalls or is_stuck(status) else "not stuck"


def is_stuck(status: Json) -> bool:
    """Say whether a person is asked: by Stalled, or by the deletion's being blocked once it was Ready."""
    said = conditions(status)
    return "Stalled" in said or said.get("SourceDeleted", {}).get("reason") == "DeletionBlocked"


def is_through(status: Json) -> bool:
    """Say whether a migration is at its end."""
    return status.get("phase") == "Completed" and "error" not in status


@CASE
def test_it_ends_in_the_documented_phase_condition_and_reason(seen: Seen, case: Case) -> None:
    """Stalled where a person is needed, else Reconciling in the phase of the step; the reason is Azure's code."""
    status = seen.statuses[case.name]
    said, reason = conditions(status), case.row.code
    if case.deletes:
        blocked = case.stalls
        assert status["phase"] == ("DeletionBlocked" if blocked else "Deleting")
        assert (said["Ready"]["status"], {"Stalled", "Reconciling"} & set(said)) == ("True", set())
        assert said["SourceDeleted"]["reason"] == ("DeletionBlocked" if blocked else "Deleting")
        return
    assert said["Ready"]["status"] == "False"
    standing, other = ("Stalled", "Reconciling") if case.stalls else ("Reconciling", "Stalled")
    assert other not in said
    assert said[standing]["status"] == "True"
    assert status["phase"] in (("Stalled",) if case.stalls else case.call.phases)
    if not case.outcome_unknown:
        assert {said["Ready"]["reason"], said[standing]["reason"]} == {reason}, status
    claims = ("Replicated",) if "Replicating" in case.call.phases else ("VersionReady", "Replicated")
    assert {said.get(kind, {}).get("status") for kind in claims} <= {"False", None}


@CASE
def test_it_is_told_with_code_cure_correlation_and_the_time_of_the_next_try(seen: Seen, case: Case) -> None:
    """`status.error` has Azure's code and text, the cure, whom to ask, and when it is tried again."""
    row, tries, error = case.row, seen.tries(case), seen.statuses[case.name]["error"]
    assert (error["code"], error["kind"]) == (row.code, row.follows.kind)
    assert f"Azure answered {row.status}: {row.text}" in error["message"]
    assert row.cure in error["message"]
    if row.follows.kind != "BackOff":
        assert error["message"].startswith(f"{case.call.field}: ")
    assert error["correlationId"] in {entry.correlation_id for entry in tries}
    told = datetime.fromisoformat(error["retryTime"])
    assert any(EARLY > due - told > -LATE for due in documented_times(seen, case)), f"{told}: {case}"


def documented_times(seen: Seen, case: Case) -> Iterator[datetime]:
    """Yield when each next try may be due: after the pause of its class, or of a stall where it is borne for a time."""
    tries = seen.tries(case)
    waits = [(case.row.follows.first, SLOWEST if case.row.follows.patience == 0 else MOST)]
    if case.row.follows.patience:
        waits.append((300.0, SLOWEST))
    for n, entry in enumerate(tries):
        for first, most in waits:
            for k in range(n + 1) if first == 300.0 and case.row.follows.patience else (n,):
                pause = max(min(first * 2**k, most) / SPEED, case.row.retry_after or 0)
                yield seen.real_time(entry) + timedelta(seconds=pause)


@CASE
def test_it_is_tried_no_more_often_than_its_class_allows(seen: Seen, case: Case) -> None:
    """The pauses between tries double as documented, and a try takes a handful of calls."""
    tries = seen.tries(case)
    gaps = [(later.time - earlier.time).total_seconds() for earlier, later in pairwise(tries)]
    least = case.pauses(len(gaps), speed=SPEED)

    assert [gap >= pause * 0.9 for gap, pause in zip(gaps, least, strict=True)] == [True] * len(gaps), (gaps, least)
    calls = [entry for entry in seen.calls[case.name] if entry.seq >= tries[0].seq]
    assert len(calls) <= CALLS_OF_A_TRY * len(tries) + LOOKS_WHILE_UNKNOWN * len(tries) * case.outcome_unknown


@CASE
def test_it_goes_on_once_the_fault_is_lifted_with_one_effect_of_each(here: World, seen: Seen, case: Case) -> None:
    """Nobody pokes it; one gallery, definition and version are created, one image deleted, and nothing updated."""
    end = seen.ends[case.name]
    assert is_through(end), f"{end.get('phase')}: {end.get('error')}"
    assert {"Stalled", "Reconciling"}.isdisjoint(conditions(end))
    made = [entry.operation for entry in seen.effects[case.name]]
    wanted = [PUT_DEFINITION, PUT_VERSION]
    if case.call.operation == PUT_GALLERY:
        wanted.insert(0, PUT_GALLERY)
    assert made == wanted + [DELETE_IMAGE] * case.deletes
    assert (here.azure.cloud.get(case.image) is None) is case.deletes
