"""Two operators, one of them stopped, cut off or with a wrong clock: nothing happens twice.

A trial is one migration and one moment: a mutation in Azure, just before or after its effect, or a
status write that the API server is holding. At it the leader is stopped (SIGSTOP), until the other
leads or even has come to the end, and is then woken in the midst of what it was doing; or it loses
the API server. Whoever ends is started anew, as a kubelet would, and is the other's standby.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from imageferry.kube.election import LOST
from imageferry.simulator import Call
from tests import lease, manifests, shifted
from tests.chaos.admission import StatusWrites
from tests.cluster.world import World
from tests.controlplane.audit import OPERATOR_USER
from tests.operator_process import OperatorProcess
from tests.proxy import TcpProxy
from tests.soak import trials

LEASE_SECONDS = 3
SKEWS = (-3600.0, 3600.0)
MUTATIONS = ("galleryImages.createOrUpdate", "galleryImageVersions.createOrUpdate", "images.delete")
ACTIONS = ("CreateDefinition", "CreateVersion", "DeleteImage")
WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When the leader is struck, and how; `late` wakes it after the end, else it is woken when the other leads."""

    at: str
    when: str
    cut: bool = False
    late: bool = False


DEFINITION, VERSION, DELETE = MUTATIONS
AROUND = [Moment(at, when) for at in MUTATIONS for when in ("before", "after")]
ANNOUNCED = [Moment(action, "announced", late=True) for action in ACTIONS]
CUTS = [Moment(at, when, cut=True) for at in MUTATIONS for when in ("before", "after")]
ALL = [replace(each, late=late) for each in (*AROUND, *ANNOUNCED, *CUTS) for late in (False, True)]
CHOSEN = [Moment(DEFINITION, "before"), *AROUND[2:], *ANNOUNCED, Moment(VERSION, "before", cut=True, late=True)]
CHOSEN_FOR_CLOCKS = [Moment("CreateVersion", "announced", late=True), Moment(DELETE, "after", late=True)]


class Fleet:
    """Two operators, each with its own way to the API server."""

    def __init__(self, world: World, folder: Path, stack: ExitStack) -> None:
        self.world = world
        self.proxies = [stack.enter_context(TcpProxy("127.0.0.1", world.plane.port)) for _ in range(2)]
        self.operators = [self._make(number, folder) for number in range(2)]
        self.trial: Trial | None = None
        world.azure.hooks.append(self._see)
        writes = StatusWrites(world.plane, namespace=world.namespace, user=OPERATOR_USER, decide=self._decide)
        stack.enter_context(writes)

    def _make(self, number: int, folder: Path) -> OperatorProcess:
        server = f"https://127.0.0.1:{self.proxies[number].url_port}"
        operator = self.world.make_operator(folder / f"operator-{number}.log", server=server)
        operator.settings = replace(operator.settings, lease_seconds=LEASE_SECONDS)
        return operator

    def leader(self) -> int | None:
        """Return which of them holds the Lease; a stopped one may hold it too."""
        holder = lease.holder(self.world.plane)
        return next((number for number, each in enumerate(self.operators) if each.identity == holder), None)

    def tend(self) -> None:
        """Start what has ended, once the other leads: nobody hands the Lease over who may still be thought to live."""
        ended = [number for number, each in enumerate(self.operators) if not each.running]
        for number in ended:
            if len(ended) == len(self.operators) or self.leader() == 1 - number:
                self.operators[number].start(wait=False)

    def _see(self, call: Call) -> None:
        if self.trial:
            self.trial.see(call)

    def _decide(self, request: dict[str, Any]) -> bool:
        if self.trial:
            self.trial.hold(request)
        return True


class Trial:
    """One migration, and the leader struck at one moment of it."""

    def __init__(self, fleet: Fleet, name: str, moment: Moment) -> None:
        self._fleet = fleet
        self._world = fleet.world
        self._name = name
        self._moment = moment
        self._lock = threading.Lock()
        self._struck: int | None = None
        self._woken = False

    def see(self, call: Call) -> None:
        """Look at a call on its way."""
        if (call.operation, call.when) == (self._moment.at, self._moment.when) and self._name in call.resource_id:
            self._strike()

    def hold(self, request: dict[str, Any]) -> None:
        """Look at a status write while the API server holds it; it takes effect afterwards."""
        if self._moment.when != "announced" or request["name"] != self._name:
            return
        new, old = (request[key].get("status", {}).get("operation", {}) for key in ("object", "oldObject"))
        if new.get("action") == self._moment.at and new.get("id") != old.get("id"):
            self._strike()

    def run(self) -> None:
        """From apply to the end, over the loss of the leader."""
        self._world.azure.cloud.put_image(self._name, group="legacy")
        self._world.apply(manifests.migration(self._name))
        self._fleet.trial = self
        self._world.wait(self._step, what=f"{self._name} completed over {self._moment}", within=WITHIN)
        self._fleet.trial = None
        assert self._struck is not None, f"{self._moment} never came"
        mark = self._world.azure.ledger.mark()
        self._wake(self._struck)
        self._world.wait(self._loser_ended, what=f"the end of the one that was struck at {self._moment}")
        sent = self._world.azure.ledger.entries(resource=self._name, since=mark)
        assert [each for each in sent if each.method in ("PUT", "DELETE")] == [], "sent after all was done"

    def _strike(self) -> None:
        with self._lock:
            if self._struck is not None:
                return
            self._struck = self._fleet.leader()
        assert self._struck is not None
        if self._moment.cut:
            self._fleet.proxies[self._struck].cut()
        else:
            self._fleet.operators[self._struck].pause()

    def _step(self) -> bool:
        if self._struck is not None and not self._moment.late and self._fleet.leader() == 1 - self._struck:
            self._wake(self._struck)
        self._fleet.tend()
        return self._world.verify_what_waits()[self._name] == "Completed"

    def _wake(self, number: int) -> None:
        if not self._woken:
            self._fleet.operators[number].resume()
            self._fleet.proxies[number].restore()
        self._woken = True

    def _loser_ended(self) -> bool:
        self._fleet.tend()
        assert self._struck is not None
        return bool(self._fleet.operators[self._struck].entries("lease lost"))


@pytest.fixture
def fleet(world: World, tmp_path: Path) -> Iterator[Fleet]:
    """Give two operators, not started yet."""
    with ExitStack() as stack:
        yield Fleet(world, tmp_path, stack)
        world.close()


@pytest.mark.timeout(trials(600, 7200))
def test_nothing_happens_twice_when_the_leader_stands_still_or_is_cut_off(fleet: Fleet) -> None:
    """One effective definition, version and delete for each migration, whoever did them."""
    _run(fleet, _moments(CHOSEN, 200))


@pytest.mark.timeout(trials(600, 7200))
def test_nothing_happens_twice_under_wrong_clocks(fleet: Fleet) -> None:
    """Their clocks differ by two hours, and neither takes it from the other for that."""
    for operator, skew in zip(fleet.operators, SKEWS, strict=True):
        operator.settings = replace(operator.settings, launcher=shifted.command(skew))
    _run(fleet, _moments(CHOSEN_FOR_CLOCKS, 50))


def _moments(chosen: Sequence[Moment], soak: int) -> Sequence[Moment]:
    """Return the chosen ones, and in a soak as many more as it takes, by chance."""
    chance = random.Random(len(chosen))  # noqa: S311 - repeatable trials, not a secret
    return [*chosen, *chance.choices(ALL, k=trials(len(chosen), soak) - len(chosen))]


def _run(fleet: Fleet, moments: Sequence[Moment]) -> None:
    fleet.operators[0].start()
    fleet.operators[1].start(wait=False)
    names = [f"trial-{number:03}" for number in range(len(moments))]
    for name, moment in zip(names, moments, strict=True):
        Trial(fleet, name, moment).run()
    entries = fleet.world.azure.ledger.mutations()
    effects = Counter((entry.operation, entry.resource_id.casefold()) for entry in entries)
    once = {(operation, _resource(operation, name)): 1 for operation in MUTATIONS for name in names}
    assert effects == once
    assert all(each.exit_code in (None, LOST) for each in fleet.operators)


def _resource(operation: str, name: str) -> str:
    definition = f"{manifests.gallery_id()}/images/{name}"
    ids = (definition, f"{definition}/versions/1.0.0", manifests.image_id(name))
    return ids[MUTATIONS.index(operation)].casefold()
