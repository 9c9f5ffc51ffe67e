"""Every guard of the deletion holds back the image on its own.

Two tests stand on one table: `decide` does not delete in any of its scenarios, and in
each of them just one guard says no, so that none is superfluous or covered by another.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imageferry.api.resource import ImageMigration
from imageferry.api.status import ActionName, Verification
from imageferry.migration import claims, consumers, guards, identity, verification
from imageferry.migration.claims import Peer
from imageferry.migration.facts import (
    Completion,
    Consumer,
    Consumers,
    Facts,
    Found,
    GalleryVersion,
    ManagedImage,
    Sibling,
    What,
)
from imageferry.migration.guards import DEFERRED, DEFERRED_GUARDS, IMMEDIATE, DeletionCase, Evaluation
from imageferry.migration.scopes import Scopes
from imageferry.migration.steps import Act, Brake, Context, Wait
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

SIBLING = Sibling("other/web", retains=False, finished=False, replicated=True, verified=True)
UNVERIFIED = verification.Verdict(None, Verification(at=NOW), current=False, message="said of another version")
RETAIN: Json = {"sourceDeletion": {"policy": "Retain"}}
HOUR_OF_GRACE: Json = {"sourceDeletion": {"graceSeconds": 3600}}


@dataclass(frozen=True)
class World:
    """A migration that is about to delete its image, unless something is said otherwise."""

    spec: Json = field(default_factory=dict)
    image: ManagedImage = field(default_factory=build.image)
    version: GalleryVersion = field(default_factory=build.version)
    siblings: tuple[Sibling, ...] = ()
    consumers: Consumers = Consumers()  # noqa: RUF009 - as below
    peers: tuple[Peer, ...] = ()
    verified_at: datetime | None = NOW
    since: datetime | None = NOW - TIMING.settle
    image_before: ManagedImage | None = None
    """The image as it was when the version was first seen complete."""
    verdict: verification.Verdict | None = None
    """In place of the verdict that follows from the status."""
    brake: Brake = Brake()  # noqa: RUF009 - a frozen value
    scopes: Scopes = build.SCOPES
    now: datetime = NOW

    @property
    def migration(self) -> ImageMigration:
        """The resource."""
        if self.verified_at is None:
            return build.migration(self.spec, build.proven(self.version, source=self.image))
        return build.migration(self.spec, build.verified(self.version, source=self.image, at=self.verified_at))

    @property
    def facts(self) -> Facts:
        """What Azure shows."""
        return build.facts(image=self.image, version=self.version, siblings=self.siblings, consumers=self.consumers)

    @property
    def completion(self) -> Completion | None:
        """What the process remembers."""
        if self.since is None:
            return None
        return build.completed(self.version, source=self.image_before or self.image, since=self.since)

    @property
    def context(self) -> Context:
        """What a decision needs besides."""
        return replace(build.context(self.now, self.completion), brake=self.brake, scopes=self.scopes, peers=self.peers)

    @property
    def case(self) -> DeletionCase:
        """What the guards are asked."""
        fingerprint = identity.fingerprint(self.image)
        proof = identity.proof(fingerprint, self.version)
        first_sight = Completion(self.version.id.casefold(), self.version.published_date, fingerprint, self.now)
        return DeletionCase(
            spec=self.migration.spec,
            image=self.image,
            version=self.version,
            proof=proof,
            verified=self.verdict or verification.judge(self.migration.status, proof, now=self.now),
            completion=self.completion or first_sight,
            siblings=Found(self.siblings),
            consumers=Found(self.consumers),
            builds=consumers.builds(self.migration, self.peers),
            timing=TIMING,
            brake=self.brake,
            now=self.now,
            refusal=self.scopes.refusal(self.migration),
        )


def _tagged(fingerprint: str | None, **changes: Any) -> GalleryVersion:
    version = build.version(**changes)
    tags = {name: value for name, value in version.tags.items() if name != identity.FINGERPRINT_TAG}
    return replace(version, tags=tags | ({identity.FINGERPRINT_TAG: fingerprint} if fingerprint else {}))


OTHER = build.image(data_disks=())
YOUNGER = build.image(created_at="2026-05-01T09:00:00Z")
UNDATED = build.image(created_at=None)

FLEET = Consumer(
    f"{build.GROUPS}/legacy/providers/Microsoft.Compute/virtualMachineScaleSets/fleet", "VirtualMachineScaleSet"
)
DENIED = Consumers(missing_rights=("Microsoft.Compute/virtualMachines/read",))
BUILDER = claims.of(
    build.migration(
        {"version": {"name": "2.0.0"}}, {"phase": "Creating"}, uid="other", deletionTimestamp=NOW.isoformat()
    )
)
WAIVED: Json = {
    "sourceDeletion": {
        "waivers": [{"guard": "NoConsumers", "reason": "CHG-1234"}, {"guard": "Settled", "reason": "urgent"}]
    }
}

LATELY = Brake(most=2, deletions=(NOW - timedelta(minutes=59), NOW - timedelta(minutes=1)))

SCENARIOS = [
    pytest.param("DeletionEnabled", World(brake=Brake(enabled=False)), id="DeletionEnabled"),
    pytest.param("ScopeAllowed", World(scopes=Scopes("imageferry-system")), id="ScopeAllowed-no-entry"),
    pytest.param("DeletionEnabled", World(brake=Brake(reaps=False)), id="DeletionEnabled-no-identity"),
    pytest.param("WithinRate", World(brake=LATELY), id="WithinRate-as-many-as-allowed"),
    pytest.param("WithinRate", World(brake=Brake(most=0)), id="WithinRate-none-allowed"),
    pytest.param("PolicyAllows", World(spec=RETAIN), id="PolicyAllows"),
    pytest.param("VersionBuiltFromSource", World(image=OTHER), id="VersionBuiltFromSource-another-fingerprint"),
    pytest.param(
        "VersionBuiltFromSource", World(image=YOUNGER, version=_tagged(None)), id="VersionBuiltFromSource-image-younger"
    ),
    pytest.param(
        "VersionBuiltFromSource", World(image=UNDATED, version=_tagged(None)), id="VersionBuiltFromSource-age-unknown"
    ),
    pytest.param(
        "VersionBuiltFromSource", World(version=_tagged("v1:sha256:0")), id="VersionBuiltFromSource-tag-outranks-age"
    ),
    pytest.param("SourceUnchanged", World(image_before=OTHER), id="SourceUnchanged-made-anew"),
    pytest.param("SourceUnchanged", World(image=build.image(provisioning_state="Updating")), id="SourceUnchanged-busy"),
    pytest.param("AllRegionsCompleted", World(version=build.replicating()), id="AllRegionsCompleted-lagging"),
    pytest.param("AllRegionsCompleted", World(version=build.version(replication={})), id="AllRegionsCompleted-unknown"),
    pytest.param(
        "AllRegionsCompleted",
        World(version=build.version(provisioning_state="Updating")),
        id="AllRegionsCompleted-version-busy",
    ),
    pytest.param(
        "AllRegionsCompleted", World(spec=build.in_regions("uksouth")), id="AllRegionsCompleted-wanted-and-absent"
    ),
    pytest.param(
        "FullReplication", World(version=build.version(replication_mode="Shallow")), id="FullReplication-as-found"
    ),
    pytest.param("VerificationCurrent", World(verdict=UNVERIFIED), id="VerificationCurrent"),
    pytest.param("GraceElapsed", World(spec=HOUR_OF_GRACE), id="GraceElapsed-verified-just-now"),
    pytest.param(
        "GraceElapsed",
        World(
            spec=HOUR_OF_GRACE,
            version=build.version(published_date=build.REPUBLISHED),
            verified_at=NOW - timedelta(days=1),
        ),
        id="GraceElapsed-published-after-the-verification",
    ),
    pytest.param(
        "GraceElapsed",
        World(
            spec=HOUR_OF_GRACE,
            version=build.version(published_date="2027-01-01T00:00:00Z"),
            verified_at=NOW - timedelta(days=1),
        ),
        id="GraceElapsed-clocks-differ",
    ),
    pytest.param("GraceElapsed", World(version=build.version(published_date="")), id="GraceElapsed-no-published-date"),
    pytest.param("Settled", World(since=None), id="Settled-first-sight"),
    pytest.param("Settled", World(since=NOW - TIMING.settle + timedelta(seconds=1)), id="Settled-a-second-short"),
    pytest.param("NotShared", World(siblings=(replace(SIBLING, retains=True),)), id="NotShared-retained"),
    pytest.param("NotShared", World(siblings=(replace(SIBLING, replicated=False),)), id="NotShared-not-replicated"),
    pytest.param("NotShared", World(siblings=(SIBLING, replace(SIBLING, verified=False))), id="NotShared-not-verified"),
    pytest.param("NoConsumers", World(consumers=Consumers((FLEET,))), id="NoConsumers-scale-set"),
    pytest.param("NoConsumers", World(consumers=DENIED), id="NoConsumers-not-to-be-seen"),
    pytest.param("NoConsumers", World(peers=(BUILDER,)), id="NoConsumers-a-build-of-a-deleted-resource"),
]


@pytest.mark.parametrize(("guard", "world"), SCENARIOS)
def test_one_guard_alone_keeps_the_image(guard: str, world: World) -> None:
    """Whichever guard fails, the image is not deleted."""
    unverified = replace(world, verified_at=None) if guard == "VerificationCurrent" else world
    step, _ = build.settle(unverified.migration, unverified.facts, unverified.context)

    assert not (isinstance(step, Act) and step.action.name is ActionName.DELETE_IMAGE)


@pytest.mark.parametrize(("guard", "world"), SCENARIOS)
def test_a_guard_that_fails_between_two_passes_keeps_the_image(guard: str, world: World) -> None:
    """All held in the pass before and the regions were settling; what was written then counts for nothing now."""
    before = World(since=NOW - TIMING.settle + timedelta(seconds=1), now=NOW - timedelta(seconds=1))
    first = build.wait(before.migration, before.facts, before.context)
    assert first.status.deletion is not None
    assert [each.name for each in first.status.deletion.guards if not each.passed] == ["Settled"]

    stored = build.stored(before.migration, first).status.model_dump()
    unverified = replace(world, verified_at=None) if guard == "VerificationCurrent" else world
    status = type(first.status).model_validate(stored | unverified.migration.status.model_dump(include={"conditions"}))
    proven = unverified.migration.status
    status = status.model_copy(update={"proof": proven.proof, "verification": proven.verification})
    step, _ = build.settle(unverified.migration.model_copy(update={"status": status}), world.facts, world.context)

    assert not (isinstance(step, Act) and step.action.name is ActionName.DELETE_IMAGE)


@pytest.mark.parametrize(("guard", "world"), SCENARIOS)
def test_each_guard_is_needed(guard: str, world: World) -> None:
    """In its scenario no other guard says no: without it, the image would go."""
    assert _refusing(guards.evaluate(world.case)) == [guard]


def test_every_guard_has_a_scenario() -> None:
    """A guard that is added is added to the table."""
    assert {str(each.values[0]) for each in SCENARIOS} == set(IMMEDIATE) | set(DEFERRED_GUARDS)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(World(), id="plain"),
        pytest.param(World(version=_tagged(None)), id="adopted-image-older"),
        pytest.param(World(spec=HOUR_OF_GRACE, verified_at=NOW - timedelta(hours=1)), id="grace-over"),
        pytest.param(World(siblings=(SIBLING,)), id="sibling-replicated-and-verified"),
        pytest.param(World(siblings=(replace(SIBLING, finished=True, retains=True),)), id="sibling-finished"),
        pytest.param(World(version=build.version("westeurope", "uksouth")), id="extra-region"),
        pytest.param(World(spec=WAIVED, consumers=Consumers((FLEET,)), since=None), id="waived"),
        pytest.param(
            World(version=build.version(published_date=(NOW + timedelta(seconds=30)).isoformat())),
            id="no-grace-and-clocks-differ",
        ),
    ],
)
def test_the_image_is_deleted_when_every_guard_holds(world: World) -> None:
    """The deletion comes in the same pass in which all of them held."""
    step = build.act(world.migration, world.facts, world.context)

    assert step.action.name is ActionName.DELETE_IMAGE
    assert not guards.evaluate(world.case).blocking


def test_the_answers_stand_in_the_status() -> None:
    """Every guard is listed with its answer and a sentence."""
    world = World(spec=RETAIN)
    deletion = build.wait(world.migration, world.facts, world.context).status.deletion

    assert deletion is not None
    assert {each.name: each.passed for each in deletion.guards} == {
        name: name not in ("PolicyAllows", *DEFERRED_GUARDS) for name in (*IMMEDIATE, *DEFERRED_GUARDS)
    }
    assert all(each.message for each in deletion.guards)


@pytest.mark.parametrize(("guard", "world"), [each for each in SCENARIOS if each.values[0] in IMMEDIATE])
def test_deferred_guards_wait_for_all_others(guard: str, world: World) -> None:
    """What costs a LIST or a wait is asked only once nothing else is in the way."""
    answers = guards.evaluate(world.case).answers

    assert guard in IMMEDIATE
    assert all(answers[name] is DEFERRED for name in DEFERRED_GUARDS)


def test_siblings_are_listed_in_the_very_pass_that_deletes() -> None:
    """Whatever a pass before it saw of them."""
    world = World()
    step, looked = build.settle(world.migration, world.facts, world.context)

    assert isinstance(step, Act)
    assert What.SIBLINGS in looked


def test_no_grace_is_over_whatever_the_clock_of_an_earlier_leader_wrote() -> None:
    """`at` lies ahead of this process's clock: nobody waits for hours that were never asked for."""
    world = World(verified_at=NOW + timedelta(hours=2))

    assert isinstance(build.settle(world.migration, world.facts, world.context)[0], Act)


@pytest.mark.parametrize(
    ("world", "wanted"),
    [
        pytest.param(World(brake=LATELY), set(), id="no-room"),
        pytest.param(World(consumers=Consumers((FLEET,))), {What.CONSUMERS}, id="consumed"),
        pytest.param(World(), {What.CONSUMERS, What.SIBLINGS}, id="nothing-blocks"),
        pytest.param(World(spec=WAIVED), {What.SIBLINGS}, id="waived"),
    ],
)
def test_what_costs_calls_is_looked_at_once_what_comes_before_it_holds(world: World, wanted: set[What]) -> None:
    """One after the other: the brake, consumers, siblings."""
    _, looked = build.settle(world.migration, world.facts, world.context)

    assert set(looked) & {What.CONSUMERS, What.SIBLINGS} == wanted


OTHERWISE = ("VerificationCurrent", "SourceUnchanged", "AllRegionsCompleted")
"""Guards whose scenarios do not come about by a status and looks, or lead to an update first."""
BLOCKED_BEFORE_SETTLED = [each for each in SCENARIOS if each.values[0] not in OTHERWISE]


@pytest.mark.parametrize(("guard", "world"), BLOCKED_BEFORE_SETTLED)
def test_a_restart_while_a_guard_blocks_changes_nothing(guard: str, world: World) -> None:
    """A fresh process, which has not seen the regions settle, says the very same: promise 5."""
    del guard
    before = build.wait(world.migration, world.facts, world.context)
    stored = build.stored(world.migration, before)
    again = build.wait(stored, world.facts, replace(world.context, completion=None))

    assert again.status == stored.status


def test_waivers_stand_in_the_status() -> None:
    """The guard is not asked, passes, and says why; so it is told after the deletion too."""
    world = World(spec=WAIVED, consumers=Consumers((FLEET,)), since=None)
    step = build.act(world.migration, world.facts, world.context)
    assert step.status.deletion is not None
    told = {each.name: each for each in step.status.deletion.guards}

    assert (told["NoConsumers"].passed, told["NoConsumers"].waived) == (True, "CHG-1234")
    assert (told["Settled"].passed, told["Settled"].message) == (True, "waived: urgent")
    assert [name for name, each in told.items() if each.waived] == ["NoConsumers", "Settled"]


def test_consumers_are_named() -> None:
    """The first of them in the sentence and the status, their number, and what cannot be seen."""
    many = tuple(replace(FLEET, id=f"{FLEET.id}-{n:02}") for n in range(40))
    world = World(consumers=Consumers(many))
    status = build.wait(world.migration, world.facts, world.context).status
    assert status.deletion is not None
    assert status.deletion.consumers is not None
    said = build.message(status, "SourceDeleted")

    assert "40 still need the image" in said
    assert f"{FLEET.id}-00, {FLEET.id}-01, {FLEET.id}-02 and 37 more" in said
    assert "Batch pools, Image Builder and deployment templates cannot be seen" in said
    assert [each.id for each in status.deletion.consumers] == [each.id for each in many[:32]]


def test_a_right_that_is_missing_is_named() -> None:
    """What cannot be looked at may be there; the cure is a right, or a waiver."""
    world = World(consumers=DENIED)
    said = build.message(build.wait(world.migration, world.facts, world.context).status, "SourceDeleted")

    assert "lacks Microsoft.Compute/virtualMachines/read" in said
    assert "waive NoConsumers" in said


@pytest.mark.parametrize(
    ("world", "seconds"),
    [
        pytest.param(World(since=NOW - TIMING.settle + timedelta(seconds=90)), 90, id="settling"),
        pytest.param(World(spec=HOUR_OF_GRACE, verified_at=NOW - timedelta(minutes=57), now=NOW), 180, id="grace"),
        pytest.param(World(spec=HOUR_OF_GRACE), 600, id="long-grace-is-looked-at-meanwhile"),
    ],
)
def test_where_time_alone_is_missing_it_is_looked_at_when_that_is_over(world: World, seconds: int) -> None:
    """The next pass comes when the guard may hold, and no later."""
    step = build.wait(world.migration, world.facts, world.context)

    assert step.after == timedelta(seconds=seconds)
    assert build.reason(step.status, "SourceDeleted") == "DeletionWaits"


def test_a_guard_that_time_does_not_help_blocks() -> None:
    """What is awaited of a person or of Azure is told as blocked."""
    world = World(siblings=(replace(SIBLING, retains=True),))
    step = build.wait(world.migration, world.facts, world.context)

    assert build.reason(step.status, "SourceDeleted") == "DeletionBlocked"
    assert SIBLING.key in build.message(step.status, "SourceDeleted")


def test_a_completion_counts_only_for_the_same_build() -> None:
    """A version built anew settles anew."""
    world = World()
    before = build.completed(replace(world.version, published_date=build.REPUBLISHED))
    step = build.wait(world.migration, world.facts, build.context(completion=before))

    assert step.completion is not None
    assert step.completion.since == NOW


def test_grace_counts_from_when_the_operator_first_saw_the_verification() -> None:
    """`at` is the operator's: a time that came with the condition, which nobody had seen before, does not count."""
    version = build.version()
    status = build.verified(version, at=NOW - timedelta(days=3))
    del status["conditions"][0]["lastTransitionTime"], status["conditions"][0]["reason"]
    step, _ = build.settle(
        build.migration(HOUR_OF_GRACE, status), build.facts(), build.context(completion=build.completed(version))
    )

    assert not isinstance(step, Act)


def test_a_verification_cannot_be_older_than_its_absence() -> None:
    """Seen unverified by this very process and then set with a past time, in every detail as we would write it."""
    version = build.version()
    seen = replace(build.completed(version), seen_unverified=True)
    status = build.verified(version, at=NOW - timedelta(days=3))
    step, _ = build.settle(build.migration(HOUR_OF_GRACE, status), build.facts(), build.context(completion=seen))

    assert isinstance(step, Wait)
    assert step.status.verification is not None
    assert step.status.verification.at == NOW
    assert step.completion is not None
    assert step.completion.verified_since == NOW


def _refusing(evaluation: Evaluation) -> list[str]:
    return [name for name, answer in evaluation.blocking.items() if answer is not DEFERRED]


@pytest.mark.parametrize(
    ("ages", "due"),
    [
        pytest.param((1, 59), 1, id="the-older-leaves-the-window-first"),
        pytest.param((1, 2, 59), 58, id="one-too-many-already"),
    ],
)
def test_a_full_hour_tells_when_there_is_room(ages: tuple[int, ...], due: int) -> None:
    """The deletion is due when so many have left the window that one more fits."""
    brake = Brake(most=2, deletions=tuple(NOW - timedelta(minutes=age) for age in ages))
    evaluation = guards.evaluate(World(brake=brake).case)

    assert evaluation.due == NOW + timedelta(minutes=due)


def test_deletions_before_the_window_do_not_count() -> None:
    """An hour later there is room again."""
    old = Brake(most=1, deletions=(NOW - TIMING.rate_window,))

    assert _refusing(guards.evaluate(World(brake=old).case)) == []
