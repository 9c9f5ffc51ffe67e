"""The walk: what users, other people in Azure, faults and fate may do, one step after the other."""

from datetime import timedelta
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imageferry.migration.steps import Brake
from imageferry.simulator import Answer, FailOperation, FailRegion, Fault, HtmlPage, Reset
from tests.walks.deeds import Deeds
from tests.walks.estate import GOVERNING, IMAGES, REGIONS
from tests.walks.forgeries import FORGERIES
from tests.walks.world import HOUR, World

Json = dict[str, Any]

MINUTE, DAY = 60, 86_400
FAULTS = (
    Answer(500, "InternalServerError"),
    Answer(429, "TooManyRequests", headers={"Retry-After": "17"}),
    Answer(403, "AuthorizationFailed"),
    Answer(401, "ExpiredAuthenticationToken"),
    Answer(404, "SubscriptionNotFound"),
    Answer(409, "Conflict", provider=True),
    Answer(409, "ScopeLocked"),
    Answer(400, "InvalidParameter", provider=True),
    Answer(408, "RequestTimeout"),
    Answer(409, "SourceBusy", provider=True),
    Answer(409, "QuotaExceeded", provider=True),
    Answer(409, "GalleryImageVersionBeingCreated", provider=True),
    Answer(403, "LinkedAuthorizationFailed"),
    Answer(412, "PreconditionFailed", provider=True),
    Answer(504, "GatewayTimeout"),
    HtmlPage(),
    HtmlPage(502),
    Reset("before"),
    Reset("after"),
)
CALLS = (
    *("images.get", "galleryImages.get", "galleryImageVersions.get", "galleries.get", "*.get"),
    *("images.delete", "galleryImages.createOrUpdate", "galleryImageVersions.createOrUpdate"),
)
BUILD_FAULTS = (
    FailOperation("InternalExecutionError", "no"),
    FailOperation("Conflict", "the generations differ", after=1),
    FailOperation("AllocationFailed", "no room", after=400),
    FailRegion("northeurope"),
    FailRegion("swedencentral", code="ReplicationFailed"),
    FailRegion("westeurope"),
)

index = st.integers(0, 11)
ticks = st.one_of(st.just(0), st.integers(1, 16))
"""When in a pass: right before an announcement, or after so many calls begun and ended."""
pairs = st.sampled_from(
    [("web", "web"), ("web", "web"), ("web", "shared"), ("db", "db"), ("db", "shared"), ("win", "win")]
)
"""Image and definition; more often those that meet others."""
region_lists = st.lists(st.sampled_from(REGIONS), unique=True, max_size=3)
policies = st.sampled_from(["Delete", "Delete", "Retain"])
graces = st.sampled_from([0, 0, 0, 30 * MINUTE, DAY])
lengths = st.sampled_from([5, MINUTE, 4 * MINUTE, 12 * MINUTE, HOUR, HOUR, 3 * HOUR, DAY])
changes = st.one_of(
    st.builds(
        lambda names, count: {"version": {"targetRegions": [{"name": each} for each in names], "replicaCount": count}},
        region_lists,
        st.integers(1, 3),
    ),
    policies.map(lambda policy: {"sourceDeletion": {"policy": policy}}),
    graces.map(lambda grace: {"sourceDeletion": {"graceSeconds": grace}}),
    st.booleans().map(lambda suspend: {"suspend": suspend}),
    st.sampled_from(["Migrate", "Plan"]).map(lambda mode: {"mode": mode}),
    st.sampled_from(["Replicated", "Verified", "Complete"]).map(lambda when: {"readyWhen": when}),
    st.sampled_from(["Join", "JoinWhenVerified", "Exclude"]).map(lambda latest: {"version": {"latest": latest}}),
    st.sampled_from([{"tier": "gold"}, None]).map(lambda tags: {"version": {"tags": tags}}),
    st.sampled_from(["one", "two"]).map(lambda text: {"definition": {"description": text}}),
)


class Walk(RuleBasedStateMachine):
    """One walk."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.deeds = Deeds(self.world)

    def teardown(self) -> None:
        """Tell what happened, where it went wrong."""
        self.world.close()
        if self.world.oracle.broken:
            note("\n".join(self.world.oracle.trace))

    @invariant()
    def promises_hold(self) -> None:
        """Nothing of the design's section 1 was broken so far."""
        assert not self.world.oracle.broken, "\n".join(self.world.oracle.broken)

    # users

    @initialize(pair=pairs, regions=region_lists, policy=policies, grace=graces, fast=st.booleans())
    def begin(self, pair: tuple[str, str], regions: list[str], policy: str, grace: int, *, fast: bool) -> None:
        """Start with one migration, in an Azure that is as slow as usual, or quick."""
        self.world.estate.hasten(30 if fast else None)
        self.deeds.create(*pair, regions=regions, policy=policy, grace=grace)

    @rule(
        pair=pairs,
        version=st.sampled_from(["1.0.0", "1.0.0", "2.0.0"]),
        regions=region_lists,
        policy=policies,
        grace=graces,
        finalizer=st.booleans(),
        gallery=st.sampled_from(["prod", "prod", "prod", "new"]),
    )
    def create(self, pair: tuple[str, str], **wants: Any) -> None:
        """Apply a migration: of an image that others migrate too, or into a version that others want too."""
        self.deeds.create(*pair, **wants)

    @rule(pair=pairs, policy=policies, grace=graces)
    def company(self, pair: tuple[str, str], policy: str, grace: int) -> None:
        """Let another migration come, and all go well."""
        self.deeds.create(*pair, policy=policy, grace=grace)
        self.deeds.prosper()

    @rule(of=index, some=st.lists(changes, min_size=1, max_size=3), then=st.booleans())
    def edit(self, of: int, some: list[Json], *, then: bool) -> None:
        """Edit a spec as the API server allows it."""
        for change in some:
            self.deeds.edit(of, change)
        if then:
            self.world.run_for(HOUR)

    @rule(of=index)
    def resume(self, of: int) -> None:
        """Resume, and let the image go: walks must not end in suspension."""
        self.deeds.edit(of, {"suspend": False, "mode": "Migrate", "sourceDeletion": {"policy": "Delete"}})

    @rule(of=index, again=st.booleans())
    def delete(self, of: int, *, again: bool) -> None:
        """Delete a resource, perhaps to apply it again."""
        self.deeds.delete(of, again=again)

    @rule(of=index)
    def release(self, of: int) -> None:
        """Let go what a finalizer holds."""
        self.deeds.release(of)

    @rule(
        of=index,
        how=st.sampled_from(["shown", "shown", "shown", "stale", "plain"]),
        dated=st.booleans(),
        then=st.sampled_from([0, 0, HOUR]),
    )
    def verify(self, of: int, how: str, then: int, *, dated: bool) -> None:
        """Set Verified."""
        self.deeds.verify(of, how, dated=dated)
        if then:
            self.world.run_for(then)

    @rule(of=index, word=st.sampled_from(["False", "Unknown", "removed"]))
    def take_back(self, of: int, word: str) -> None:
        """Veto, or remove the condition."""
        self.deeds.take_back(of, word)

    @rule(of=index, what=st.sampled_from(sorted(FORGERIES)))
    def forge(self, of: int, what: str) -> None:
        """Write into a status what is not true."""
        self.deeds.forge(of, what)

    # other people in Azure

    @rule(of=index, dated=st.booleans(), then=st.booleans())
    def capture(self, of: int, *, dated: bool, then: bool) -> None:
        """Put another image in the place of one that is migrated."""
        self.deeds.capture(of, dated=dated)
        if then:
            self.deeds.prosper()

    @rule(of=index)
    def drop_image(self, of: int) -> None:
        """Delete an image; a walk that begins so would end there."""
        if self.deeds.made > 1:
            self.deeds.drop_image(of)

    @rule(
        of=index,
        image=st.sampled_from([None, None, None, *IMAGES]),
        regions=region_lists,
        kind=st.sampled_from(["bare", "shallow", "elsewhere"]),
        then=st.booleans(),
    )
    def publish(self, of: int, image: str | None, regions: list[str], kind: str, *, then: bool) -> None:
        """Build a version by other means under a number that a migration wants."""
        self.deeds.publish(of, image, regions=regions, kind=kind)
        if then:
            self.deeds.prosper()

    @rule(
        of=index,
        what=st.sampled_from(["drop", "fail", "complete", "add", "remove", "tag", "untag"]),
        region=st.sampled_from(REGIONS),
    )
    def meddle(self, of: int, what: str, region: str) -> None:
        """Change a version from outside."""
        self.deeds.meddle(of, what, region)

    @rule(
        name=st.sampled_from(["web", "db", "win", "shared"]),
        like=st.sampled_from(sorted(IMAGES)),
        fitting=st.booleans(),
    )
    def define(self, name: str, like: str, *, fitting: bool) -> None:
        """Make a definition, or take one away."""
        self.deeds.define(name, like=like, fitting=fitting)

    # faults

    @rule(operation=st.sampled_from(CALLS), does=st.sampled_from(FAULTS), times=st.sampled_from([1, 2, 4, 40]))
    def fault(self, operation: str, does: Any, times: int) -> None:
        """Let the next calls of a kind fail."""
        self.world.estate.faults.add(Fault(operation, does, times=times))
        self.deeds.say(f"{times} times {operation}: {does}")

    @rule(of=index, how=st.sampled_from(GOVERNING))
    def govern(self, of: int, how: str) -> None:
        """Let a lock, a policy or missing rights stand in the way until all is calm."""
        self.deeds.govern(of, how)

    @rule(does=st.sampled_from(FAULTS), chance=st.sampled_from([0.1, 0.4, 0.8]))
    def flaky(self, does: Any, chance: float) -> None:
        """Let any call fail by chance until all is calm."""
        self.world.estate.faults.add(Fault("*", does, probability=chance))
        self.deeds.say(f"by chance of {chance}: {does}")

    @rule(does=st.sampled_from(BUILD_FAULTS))
    def build_fault(self, does: Any) -> None:
        """Let the next build fail after it was accepted."""
        self.world.estate.faults.add(Fault("galleryImageVersions.createOrUpdate", does, times=1))
        self.deeds.say(f"the next build: {does}")

    @rule()
    def deletion_fault(self) -> None:
        """Let the next deletion fail after it was accepted."""
        self.world.estate.faults.add(Fault("images.delete", FailOperation("InternalExecutionError", "no"), times=1))

    @rule(times=st.integers(1, 3))
    def stale(self, times: int) -> None:
        """Let Azure's caches answer what was before the operator's last change."""
        self.world.estate.stale = times

    @rule()
    def calm(self) -> None:
        """End all faults."""
        self.deeds.calm()

    @rule(cuts=st.lists(st.sampled_from(["before", "after"]), min_size=1, max_size=3))
    def cut_kubernetes(self, cuts: list[Any]) -> None:
        """Let the next calls to the API server be cut, before or after their effect."""
        self.world.leader.kubernetes.cuts = cuts

    @rule(how=st.sampled_from(["lost", "deaf", "twice", "one"]))
    def events(self, how: str) -> None:
        """Lose what the watch tells, or tell it twice, or only the first of it."""
        leader = self.world.leader
        if how in ("lost", "deaf"):
            leader.events, leader.deaf = [], how == "deaf"
        elif how == "twice":
            leader.events += leader.events
        else:
            leader.deliver(1)
        self.deeds.say(f"events: {how}")

    @rule(
        jump=st.sampled_from([0, 0, 0, -DAY, -HOUR, HOUR, 40 * DAY]),
        brake=st.sampled_from([Brake(), Brake(), Brake(), Brake(most=1), Brake(most=0), Brake(enabled=False)]),
    )
    def crash(self, jump: int, brake: Brake) -> None:
        """Kill the operator between passes; the next one may start under another wall clock, with other settings."""
        self.world.skew += timedelta(seconds=jump)
        self.world.brake = brake
        self.world.restart()

    @rule(after=ticks)
    def crash_in_pass(self, after: int) -> None:
        """Kill the operator in the middle of a pass."""
        self.world.during_pass(after, self.world.leader.line.cut, azure=False)

    @rule(
        after=ticks,
        of=index,
        deed=st.sampled_from(["suspend", "plan", "retain", "veto", "forget", "delete", "again", "regions"]),
    )
    def user_in_pass(self, after: int, of: int, deed: str) -> None:
        """Let a user act in the middle of a pass."""
        everywhere = [{"name": each} for each in REGIONS]
        deeds = {
            "suspend": lambda: self.deeds.edit(of, {"suspend": True}),
            "plan": lambda: self.deeds.edit(of, {"mode": "Plan"}),
            "retain": lambda: self.deeds.edit(of, {"sourceDeletion": {"policy": "Retain"}}),
            "veto": lambda: self.deeds.take_back(of, "False"),
            "forget": lambda: self.deeds.take_back(of, "removed"),
            "delete": lambda: self.deeds.delete(of),
            "again": lambda: self.deeds.delete(of, again=True),
            "regions": lambda: self.deeds.edit(of, {"version": {"targetRegions": everywhere}}),
        }
        self.world.during_pass(after, deeds[deed], azure=False)

    @rule(after=ticks, of=index, deed=st.sampled_from(["capture", "drop", "fail"]))
    def azure_in_pass(self, after: int, of: int, deed: str) -> None:
        """Let somebody change Azure in the middle of a pass."""
        deeds = {
            "capture": lambda: self.deeds.capture(of),
            "drop": lambda: self.deeds.meddle(of, "drop"),
            "fail": lambda: self.deeds.meddle(of, "fail", REGIONS[of % 3]),
        }
        self.world.during_pass(after, deeds[deed], azure=True)

    @rule(back=st.booleans())
    def fail_over(self, *, back: bool) -> None:
        """Let another operator process take over, one that may remember an older world."""
        if len(self.world.others) < 2 or back:
            self.world.fail_over()
        self.world.work()

    # time

    @rule(length=lengths)
    def wait(self, length: int) -> None:
        """Let time pass while the operator works."""
        self.world.run_for(length)

    @rule(length=lengths)
    def sleep(self, length: int) -> None:
        """Let time pass while the operator does not come to work."""
        self.world.advance(length)

    @rule()
    def work(self) -> None:
        """Let the operator do what is due."""
        self.world.work()

    @rule()
    def pass_all(self) -> None:
        """Run a pass of everything."""
        self.world.pass_all()

    @rule()
    def prosper(self) -> None:
        """Let all go well for a while."""
        self.deeds.prosper()

    @rule()
    def restart_costs_nothing(self) -> None:
        """Kill the operator when all is settled: the next one writes nothing."""
        world = self.world
        self.deeds.calm()
        if not self.deeds.settled():
            return
        writes, mark = world.writes, world.estate.ledger.mark()
        world.oracle.seen["restart"] += 1
        world.brake, world.skew = world.leader.brake, world.leader.skew  # other settings or clocks are a change
        world.restart()
        world.work()
        if world.writes != writes:
            world.oracle.breaks(5, "a restart cost a write to Kubernetes")
        if world.estate.ledger.mutations(since=mark):
            world.oracle.breaks(5, "a restart cost a write to Azure")
