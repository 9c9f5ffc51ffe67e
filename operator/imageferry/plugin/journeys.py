"""The way of a migration as a report tells it: four milestones, and what each step took.

Milestones come from what the status keeps: when the resource was created, since when every region
is Completed, when the operator saw the verification, and the receipt. One that an edit made later than
the next one (a region that was added after the end) is left out, as it says nothing of the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from imageferry.plugin import draw
from imageferry.plugin.draw import Body

COMPLETED = "Completed"
TROUBLES = ("Stalled", "DeletionBlocked")
WAITS = "AwaitingVerification"
RESTS = ("Planned", "Suspended")


class Step(StrEnum):
    """A step of the way, by what it waits for."""

    REPLICATION = "replication"
    VERIFICATION = "verification"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True)
class Span:
    """A step with its bounds; an open one ends where it was looked at."""

    step: Step
    begin: datetime
    end: datetime
    open: bool = False

    @property
    def took(self) -> timedelta:
        """How long."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Journey:
    """One migration."""

    namespace: str
    name: str
    source: str
    version: str
    phase: str
    regions: str
    size_gb: int | None
    created: datetime | None
    replicated: datetime | None
    verified: datetime | None
    verified_by: str
    evidence: str
    deleted: datetime | None
    outcome: str
    rejected: bool
    says: str

    @property
    def troubled(self) -> bool:
        """Whether somebody has to look at it."""
        return self.rejected or self.phase in TROUBLES

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase == COMPLETED

    def spans(self, now: datetime) -> Sequence[Span]:
        """Return the steps so far; the last is open while the migration is not finished."""
        ends = {Step.REPLICATION: self.replicated, Step.VERIFICATION: self.verified, Step.DELETION: self.deleted}
        begin, found = self.created, list[Span]()
        for step, end in ends.items():
            if begin is None:
                break
            if end is None:
                later = next((other for other in (self.verified, self.deleted) if other and other > begin), None)
                if later is None and not self.finished and now > begin:
                    found.append(Span(step, begin, now, open=True))
                if later is None:
                    break
                continue  # it has no end of its own: the next step takes its time
            if end < begin:  # a status that came along with a copy of the resource is older than it
                continue
            found.append(Span(step, begin, end))
            begin = end
        return found

    def took(self, step: Step) -> timedelta | None:
        """Return how long a step took; None while it is not over, or where its bounds are not known."""
        bounds = {
            Step.REPLICATION: (self.created, self.replicated),
            Step.VERIFICATION: (self.replicated, self.verified),
            Step.DELETION: (self.verified, self.deleted),
        }
        begin, end = bounds[step]
        return end - begin if begin and end and end >= begin else None


def journey(body: Body) -> Journey:
    """Read one; every field may be absent."""
    status, spec, metadata = draw.status_of(body), body["spec"], body["metadata"]
    receipt = (status.get("deletion") or {}).get("receipt") or {}
    verification = receipt.get("verification") or status.get("verification") or {}
    source = status.get("source") or receipt.get("source") or {}
    said, ready = draw.condition(body, "Verified"), draw.condition(body, "Ready")
    milestones = _milestones(body, verification, receipt)
    return Journey(
        namespace=metadata["namespace"],
        name=metadata["name"],
        source=spec["source"]["managedImageId"],
        version=f"{spec['definition']['name']} {spec['version']['name']}",
        phase=draw.phase(body).plain,
        regions=(status.get("replication") or {}).get("summary", ""),
        size_gb=source.get("sizeGB"),
        created=milestones[0],
        replicated=milestones[1],
        verified=milestones[2],
        verified_by=verification.get("by", ""),
        evidence=verification.get("evidence", ""),
        deleted=milestones[3],
        outcome=receipt.get("outcome", ""),
        rejected=said.get("status") == "False",
        says=_says(said, ready),
    )


def _milestones(body: Body, verification: Body, receipt: Body) -> Sequence[datetime | None]:
    replicated = draw.condition(body, "Replicated")
    texts = (
        body["metadata"].get("creationTimestamp"),
        replicated.get("lastTransitionTime") if replicated.get("status") == "True" else None,
        verification.get("at"),
        receipt.get("at"),
    )
    known = [draw.time(text) for text in texts]
    times = [each and each.replace(microsecond=0) for each in known]  # Kubernetes writes most of them in whole seconds
    for place, each in enumerate(times):
        if place and each and any(later and later < each for later in times[place + 1 :]):
            times[place] = None
    return times


def _says(said: Body, ready: Body) -> str:
    if said.get("status") == "False":
        message = said.get("message") or "rejected, and no reason was given"
        return message if message.startswith("rejected") else f"rejected: {message}"
    return ": ".join(filter(None, (ready.get("reason"), ready.get("message"))))


def duration(took: timedelta | None) -> str:
    """Write a duration with its two largest units; empty when there is none."""
    if took is None:
        return ""
    seconds = max(0, int(took.total_seconds()))
    parts = [("d", seconds // 86_400), ("h", seconds // 3600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60)]
    first = next((place for place, (_, count) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for unit, count in parts[first : first + 2] if count) or "0 s"


def median(journeys: Sequence[Journey], step: Step) -> timedelta | None:
    """Return the median of a step over those that have it."""
    known = sorted(took for each in journeys if (took := each.took(step)) is not None)
    return known[len(known) // 2] if known else None


class Standing(StrEnum):
    """How a migration stands, in the four words that matter to those who plan, and one for those that rest."""

    COMPLETED = "completed"
    WAITING = "waiting"
    MOVING = "moving"
    RESTING = "resting"
    TROUBLED = "troubled"


def standing(each: Journey) -> Standing:
    """Return which it is."""
    if each.finished:
        return Standing.COMPLETED
    if each.troubled:
        return Standing.TROUBLED
    if each.phase in RESTS:
        return Standing.RESTING
    return Standing.WAITING if each.phase == WAITS else Standing.MOVING
