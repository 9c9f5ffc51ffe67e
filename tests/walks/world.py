"""A whole world in one thread: Azure, an API server, operator processes, and the oracle that watches all calls."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from imageferry.api.resource import parse
from imageferry.azure import Azure
from imageferry.migration.steps import Brake
from imageferry.simulator.gateway import Received, Sent
from imageferry.simulator.ledger import Effect
from tests.walks.apiserver import ApiServer, Connection, Event
from tests.walks.estate import Estate
from tests.walks.line import CrashError, Line
from tests.walks.oracle import Oracle, Sight, complete, shown, version_of
from tests.walks.process import ANYWHERE, AT_ONCE, CLOUD, TIMING, Process
from tests.walks.transport import InProcessTransport

Json = dict[str, Any]
HOUR = 3600
READS = frozenset({"GET", "HEAD"})


class World:
    """Everything; `leader` is the process that works."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.estate = Estate()
        self.server = ApiServer(parse, lambda: f"{self.estate.now():%Y-%m-%dT%H:%M:%SZ}", [self._tell])
        self.oracle = Oracle(self.estate, self.server)
        self.skew = timedelta()
        """How far the wall's clock is ahead of the true time; a process reads it once, at its start."""
        self.brake, self.scopes = Brake(), ANYWHERE
        """The settings of a process that starts."""
        self.writes = 0
        self._before: tuple[Json | None, int] = (None, 0)
        self.leader = self.start()
        self.others: list[Process] = []
        self.compared = self.estate.now()

    def close(self) -> None:
        """End."""
        self.loop.close()

    # processes

    def start(self) -> Process:
        """Start an operator process."""
        line = Line()
        kubernetes = Connection(
            self.server,
            line,
            lambda before, after: self._written(process, before, after),
            lambda: self._listed(process),
        )
        transport = InProcessTransport(
            self.estate.gateway,
            self.estate.tokens,
            line,
            before=self._arriving,
            after=lambda received, sent: self._answered(process, received, sent),
        )
        azure = Azure(CLOUD, may_write=lambda: True, transport=transport, clock=lambda: self.estate.now().timestamp())
        self.loop.run_until_complete(azure.__aenter__())
        process = Process(line, kubernetes, azure, now=self.estate.now, brake=self.brake, scopes=self.scopes)
        process.skew = self.skew
        process.engine.began = lambda uid: self._began(process, uid)
        process.engine.ended = lambda _, error: self._ended(process, error)
        self.loop.run_until_complete(process.engine.list_all())
        return process

    def restart(self) -> None:
        """Kill the process that works, and start another one."""
        self.leader.line.cut()
        self.leader = self.start()
        self.oracle.say("restarted")

    def fail_over(self) -> None:
        """Let another process work, one with a memory of its own, perhaps an old one."""
        successor = self.others.pop(0) if self.others else self.start()
        self.others.append(self.leader)
        self.leader = successor
        self.oracle.say("failed over")

    def work(self, *, deliver: bool = True) -> None:
        """Let the process that works do what is due now; one that dies is started anew."""
        if deliver:
            self.leader.deliver()
        try:
            counts = self.loop.run_until_complete(self.leader.engine.work())
        except CrashError:
            self.restart()
            return
        if hot := [uid for uid, count in counts.items() if count > AT_ONCE]:
            self.oracle.breaks(7, f"a hot loop of passes: {hot}")

    def pass_all(self) -> None:
        """Want a pass of everything now, and work."""
        self.leader.engine.want_all()
        self.work()

    def run_for(self, seconds: float, *, most: int = 40) -> None:
        """Let time pass, from one thing that is due to the next; after so many of them the rest passes at once."""
        end = self.estate.now() + timedelta(seconds=seconds)
        for _ in range(most):
            self.work()
            due = self.leader.due_at()
            if due is None or due > end:
                break
            self.advance(max((due - self.estate.now()).total_seconds(), 0.001))
        self.advance((end - self.estate.now()).total_seconds())
        self.work()

    def advance(self, seconds: float) -> None:
        """Let true time pass; a full LIST is compared when it is time."""
        if seconds <= 0:
            return
        self.estate.clock.advance(seconds)
        if self.estate.now() - self.compared >= TIMING.compare and not self.leader.kubernetes.cuts:
            self.compare()

    def compare(self) -> None:
        """Let the process that works compare what it knows with a full LIST."""
        self.compared = self.estate.now()
        self.loop.run_until_complete(self.leader.engine.compare_now())

    def during_pass(self, ticks: int, deed: Callable[[], None], *, azure: bool) -> None:
        """Let something happen in the middle of a pass: after so many ticks, or (0) right before an announcement."""
        line = self.leader.line

        def happen() -> None:
            current = self.leader.current
            if current is not None:
                self.oracle.moment(current)
                current.raced, current.edited = current.raced or azure, True
            deed()

        line.plan(ticks, happen)
        self.pass_all()
        if not ticks:
            self.run_for(HOUR)
        line.clear()

    # what is seen of the processes

    def _tell(self, event: Event) -> None:
        for process in (self.leader, *self.others):
            process.hear(event)

    def _began(self, process: Process, uid: str) -> None:
        process.kubernetes.refused = False
        process.current = self.oracle.began(uid, process.skew)

    def _ended(self, process: Process, error: BaseException | None) -> None:
        current, process.current = process.current, None
        if current is not None and not isinstance(error, CrashError):
            current.clean = current.clean and not process.kubernetes.refused
            stored = self.server.by_uid(current.uid)
            current.edited = current.edited or stored is None or not process.engine.knows(stored)
            self.oracle.ended(current, error)

    def _listed(self, process: Process) -> None:
        if process.current is not None:
            self.oracle.listed(process.current)

    def _written(self, process: Process, before: Json, after: Json) -> None:
        if after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
            return
        self.writes += 1
        if process.current is not None:
            self.oracle.written(process.current, before, after, process.sights.get(after["metadata"]["uid"]))

    def _arriving(self, request: Received) -> None:
        self.estate.arm_stale(request)
        if request.method not in READS:
            self._before = (self.estate.cloud.get(request.path), self.estate.ledger.mark())

    def _answered(self, process: Process, request: Received, sent: Sent | None) -> None:
        current = process.current
        if current is None:
            self.oracle.breaks(2, f"{request.method} outside of a pass")
            return
        if request.method in READS:
            self.estate.showed(request, shown(sent))
            self.oracle.answered(current, request, sent)
            self._see(process, request, sent)
            return
        before, mark = self._before
        for entry in self.estate.ledger.entries(since=mark):
            if entry.effect is Effect.CREATED:
                self.estate.changed[request.path.casefold()] = ("made", self.estate.now())
                if "/versions/" in request.path:
                    self.estate.remember_build(request.path)
            elif entry.effect is Effect.ACCEPTED:
                self.estate.changed[request.path.casefold()] = ("deleted", self.estate.now())
            self.oracle.mutated(current, entry, before=before)
            if entry.operation == "images.delete" and entry.effect is Effect.ACCEPTED:
                self._braked(process)

    def _braked(self, process: Process) -> None:
        """Judge a deletion by the settings of the process that sent it."""
        now, most = self.estate.now(), process.brake.most
        process.deletions = [each for each in process.deletions if now - each < TIMING.rate_window]
        if not process.brake.enabled or (most is not None and len(process.deletions) >= most):
            self.oracle.breaks(1, f"an image was deleted though the settings say {process.brake}")
        process.deletions.append(now)

    def _see(self, process: Process, request: Received, sent: Sent | None) -> None:
        """Remember since when a process sees a version complete."""
        uid = process.current.uid if process.current else ""
        stored = self.server.by_uid(uid)
        if stored is None or request.path.casefold() != version_of(stored["spec"]).casefold():
            return
        body = shown(sent)
        if body is None:
            return
        if not complete(stored["spec"], body or None):
            process.sights.pop(uid, None)
            return
        build = (request.path.casefold(), body["properties"]["publishingProfile"]["publishedDate"])
        if uid not in process.sights or process.sights[uid].build != build:
            process.sights[uid] = Sight(build, self.estate.now())

    def said(self, name: str) -> set[str]:
        """Return the types of the conditions of a resource that are True."""
        found = self.server.find(name) or {"status": {}}
        return {each["type"] for each in found["status"].get("conditions", []) if each["status"] == "True"}
