"""The promises of the design, section 1, judged by what truly is and not by what the operator thinks.

Nothing here calls `imageferry.migration`, so that no mistake is shared. What must hold for
an image to go is listed once, in `Oracle.azure_wrongs` and `Oracle.word_wrongs`. In one
pass the operator looks at several things in turn, and others may act between its looks:
what was right at any of those moments counts as right for that pass.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from imageferry.simulator.gateway import Received, Sent
from imageferry.simulator.ledger import EFFECTIVE, Effect, Entry
from tests.walks.apiserver import ApiServer
from tests.walks.estate import CACHE, BuildKey, Estate, Sighting, replication, short

Json = dict[str, Any]

ACTIONS: dict[str, frozenset[str]] = {
    "galleries.createOrUpdate": frozenset({"CreateGallery"}),
    "galleryImages.createOrUpdate": frozenset({"CreateDefinition", "UpdateDefinition"}),
    "galleryImageVersions.createOrUpdate": frozenset({"CreateVersion", "AddRegions", "UpdateVersion", "RemoveRegions"}),
    "galleryImageVersions.delete": frozenset({"DeleteVersion"}),
    "images.delete": frozenset({"DeleteImage"}),
}
"""Every mutation that there may be, with the announcements that allow it."""
MIGRATION_TAG, CLUSTER_TAG = "imageferry-migration", "imageferry-cluster"
CLUSTER = "cluster-a"
FOREIGN_TAGS = ("team", "others")
SETTLE = timedelta(minutes=10)
BUILDS = 3
GONE = frozenset({"ResourceNotFound", "ParentResourceNotFound", "NotFound", "ResourceGroupNotFound"})
HOURLY = 60
"""So many mutations may be sent for one migration in an hour; more is a hot loop."""


@dataclass(slots=True)
class Vouch:
    """Somebody's word for a build."""

    build: BuildKey | None
    at: datetime
    least_skew: timedelta | None = None
    """The slowest clock of all processes that may have seen it first."""


@dataclass(slots=True)
class Announcement:
    """What an operator wrote before it acted, and what was wrong with it by the word of people."""

    id: str
    action: str
    resource: str
    wrongs: frozenset[str]
    sent: bool = False


@dataclass(slots=True)
class Pass:
    """What happened in one pass of one process."""

    uid: str
    skew: timedelta
    wrongs: frozenset[str] | None = None
    """What was wrong in Azure at all moments so far; None before the first is judged."""
    siblings: set[str] | None = None
    """What other migrations had against it at all moments since they were listed: no write is fenced against theirs."""
    builds: set[BuildKey] = field(default_factory=set)
    """The builds that were there at those moments."""
    raced: bool = False
    edited: bool = False
    clean: bool = True
    announced: Announcement | None = None
    version: Json | None = None
    """The version's body as it was shown last."""
    looked: bool = False
    image_missing: bool = False


@dataclass(slots=True)
class Sight:
    """Since when one process sees a build complete."""

    build: BuildKey
    since: datetime


@dataclass(slots=True)
class Oracle:
    """Judges; `broken` says which promises were broken and how."""

    estate: Estate
    server: ApiServer
    broken: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    """How often interesting things happened."""
    trace: list[str] = field(default_factory=list)
    forged: set[str] = field(default_factory=set)
    vouches: dict[str, Vouch] = field(default_factory=dict)
    earlier: dict[str, Vouch] = field(default_factory=dict)
    proofs: dict[str, BuildKey] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    """For which migration a resource was changed last, by its case-folded id."""
    created: Counter[str] = field(default_factory=Counter)
    sent: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    announcements: set[str] = field(default_factory=set)
    served: dict[BuildKey, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Regions of a build that an operator was ever shown as Completed."""
    leaving: set[tuple[str, int | None]] = field(default_factory=set)
    """Case-folded ids, with the content at the time, of images whose deletion was ever announced."""

    def breaks(self, promise: int, what: str) -> None:
        """Note that a promise was broken."""
        self.broken.append(f"promise {promise}: {what}")
        self.say(f"BROKEN {promise}: {what}")

    def say(self, what: str) -> None:
        """Note what happened."""
        self.trace.append(f"{self.estate.now():%d %H:%M:%S} {what}")

    # what must hold before an image goes

    def azure_wrongs(self, spec: Json) -> frozenset[str]:
        """Return what stands against deleting the image of a spec, as Azure truly is."""
        image, seen = image_of(spec), self.estate.version(version_of(spec))
        content = self.estate.content(image)
        if seen is None:
            return frozenset({"there is no version"})
        lagging = [name for name in wanted(spec, seen) if seen.replication.get(name) != "Completed"]
        checks = {
            "the image is not there": content is None,
            "the version was built from another content": content is None or seen.content != content,
            "the version names another source": seen.source != image.casefold(),
            f"the version is {seen.state}": seen.state != "Succeeded",
            f"the version is {seen.mode}": seen.mode != "Full",
            f"not Completed: {lagging}": bool(lagging),
        }
        return frozenset(text for text, wrong in checks.items() if wrong)

    def word_wrongs(self, body: Json, current: Pass, sight: Sight | None) -> frozenset[str]:
        """Return what stands against it by the spec, the verification, the clocks and other migrations."""
        spec, uid = body["spec"], body["metadata"]["uid"]
        vouch, now = self.vouches.get(uid), self.estate.now()
        wrongs = self._standing(body)
        if policy_of(spec) != "Delete":
            wrongs.add("the policy is Retain")
        if verified(body["status"]) != "True" or vouch is None:
            wrongs.add("nobody vouches for it")
        elif vouch.build not in current.builds:
            wrongs.add(f"somebody vouched for {vouch.build}, there was {current.builds}")
        elif grace := timedelta(seconds=spec.get("sourceDeletion", {}).get("graceSeconds", 0)):
            first = vouch.at + (current.skew if vouch.least_skew is None else vouch.least_skew)
            published = datetime.fromisoformat(vouch.build[1]) if vouch.build else now
            if now + current.skew - max(first, published) < grace:
                wrongs.add("the grace has not passed")
        if sight is None or sight.build not in current.builds or now - sight.since < SETTLE:
            wrongs.add("this process has not seen it complete for long enough")
        siblings = self._siblings(body)
        return frozenset(wrongs | (siblings if current.siblings is None else siblings & current.siblings))

    def _standing(self, body: Json) -> set[str]:
        stored = self.server.by_uid(body["metadata"]["uid"])
        wrongs = set()
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            wrongs.add("the resource is deleted")
        if body["spec"].get("suspend"):
            wrongs.add("it is suspended")
        if body["spec"].get("mode") == "Plan":
            wrongs.add("it only plans")
        return wrongs

    def _siblings(self, body: Json) -> set[str]:
        wrongs = set()
        for other in self.server.all():
            metadata, status = other["metadata"], other["status"]
            same = image_of(other["spec"]).casefold() == image_of(body["spec"]).casefold()
            if not same or metadata["uid"] == body["metadata"]["uid"] or "deletionTimestamp" in metadata:
                continue
            if status.get("deletion", {}).get("receipt"):
                continue
            if policy_of(other["spec"]) == "Retain":
                wrongs.add(f"{metadata['name']} retains the image")
            if condition(status, "Replicated") != "True" or verified(status) != "True":
                wrongs.add(f"{metadata['name']} needs the image")
        return wrongs

    # what people say

    def spoke(self, body: Json) -> None:
        """Take note of the Verified condition after somebody other than the operator wrote a status."""
        uid, status = body["metadata"]["uid"], body["status"]
        if verified(status) != "True":
            self._silenced(uid)
            return
        digest = (status.get("verification") or {}).get("digest") or (status.get("proof") or {}).get("digest")
        build = self.proofs.get(digest) if digest else None
        known = self.vouches.get(uid) or self.earlier.get(uid)
        kept = known is not None and known.build == build and (status.get("verification") or {}).get("at")
        self.vouches[uid] = known if known and kept else Vouch(build, self.estate.now())

    def _silenced(self, uid: str) -> None:
        if gone := self.vouches.pop(uid, None):
            self.earlier[uid] = gone

    # one pass

    def began(self, uid: str, skew: timedelta) -> Pass:
        """Begin to judge a pass."""
        current = Pass(uid, skew)
        if vouch := self.vouches.get(uid):
            vouch.least_skew = skew if vouch.least_skew is None else min(skew, vouch.least_skew)
        self.moment(current)
        return current

    def moment(self, current: Pass) -> None:
        """Judge Azure at this moment, before somebody else acts."""
        if (stored := self.server.by_uid(current.uid)) is not None:
            seen, wrongs = self.estate.version(version_of(stored["spec"])), self.azure_wrongs(stored["spec"])
            current.builds |= {seen.build} if seen else set()
            current.wrongs = wrongs if current.wrongs is None else current.wrongs & wrongs
            siblings = self._siblings(stored)
            current.siblings = siblings if current.siblings is None else current.siblings & siblings

    def listed(self, current: Pass) -> None:
        """Judge the other migrations by what they say as they are listed, and since."""
        if (stored := self.server.by_uid(current.uid)) is not None:
            current.siblings = self._siblings(stored)

    def written(self, current: Pass, before: Json, after: Json, sight: Sight | None) -> None:
        """Judge a status write of an operator."""
        status, old = after["status"], before.get("status", {})
        changed = sorted(key for key in status.keys() | old.keys() if status.get(key) != old.get(key))
        told = f"{status.get('phase')} {_reason(status)} ({', '.join(changed)})"
        self.say(f"status of {after['metadata']['name']}: {told}")
        self._form(after)
        if status.get("proof") and status.get("proof") != old.get("proof"):
            proof = status["proof"]
            self.proofs.setdefault(proof["digest"], (proof["versionId"].casefold(), proof["publishedDate"]))
        if verified(status) != "True":
            self._silenced(after["metadata"]["uid"])
        if verified(status) == "True" and verified(old) != "True":
            self.breaks(3, "the operator itself set Verified to True")
        if (status.get("deletion") or {}).get("receipt") and not (old.get("deletion") or {}).get("receipt"):
            self.seen["receipt"] += 1
            if not current.image_missing:
                self.breaks(3, "a receipt, though Azure did not show that the image is gone")
        operation = status.get("operation")
        if operation and operation["id"] != (old.get("operation") or {}).get("id"):
            self._announced(current, operation, after, sight)
        # a pass that met an error says less, and leaves a forged status as it stands
        if current.looked and (current.clean or current.uid not in self.forged):
            self._truthful(current, after)

    def _announced(self, current: Pass, operation: Json, body: Json, sight: Sight | None) -> None:
        if operation["id"] in self.announcements:
            self.breaks(2, f"announcement {operation['id']} is not new")
        self.announcements.add(operation["id"])
        is_delete = operation["action"] == "DeleteImage"
        image = image_of(body["spec"])
        self.leaving |= {(image.casefold(), self.estate.content(image))} if is_delete else set()
        wrongs = self.word_wrongs(body, current, sight) if is_delete else frozenset(self._standing(body))
        current.announced = Announcement(operation["id"], operation["action"], operation["resource"], wrongs)
        self.say(f"announced {operation['action']}")

    def _form(self, body: Json) -> None:
        status = body["status"]
        if condition(status, "Reconciling") == "True" and condition(status, "Stalled") == "True":
            self.breaks(3, "Reconciling and Stalled are both True")
        forged = body["metadata"]["uid"] in self.forged
        if condition(status, "Stalled") == "True" and condition(status, "Ready") == "True" and not forged:
            self.breaks(3, "Stalled and Ready are both True")
        if status.get("observedGeneration", 0) > body["metadata"]["generation"]:
            self.breaks(3, "observedGeneration is of the future")
        kinds = [each["type"].casefold() for each in status.get("conditions", [])]
        if len(set(kinds)) != len(kinds):
            self.breaks(3, f"a condition is there twice: {kinds}")

    def _truthful(self, current: Pass, body: Json) -> None:
        """Compare what a status says with what Azure showed in this pass."""
        status, shown = body["status"], current.version
        states = replication(shown) if shown else {}
        for region in (status.get("replication") or {}).get("regions", []):
            if region["state"] == "Completed" and states.get(region["name"]) != "Completed":
                self.breaks(3, f"region {region['name']} is said to be Completed, Azure showed {states}")
        if condition(status, "VersionReady") == "True" and _state(shown) != "Succeeded":
            self.breaks(3, f"VersionReady, though Azure showed {_state(shown)}")
        if condition(status, "Replicated") == "True" and not complete(body["spec"], shown):
            self.breaks(3, f"Replicated, though Azure showed {_state(shown)} {states}")

    def ended(self, current: Pass, error: BaseException | None) -> None:
        """Judge the end of a pass."""
        if error is not None:
            self.breaks(7, f"a pass raised {error!r}")
        stored = self.server.by_uid(current.uid)
        acted = current.announced is not None
        if stored is None or stored["status"].get("observedGeneration") != stored["metadata"]["generation"]:
            return  # it speaks of an older spec, and says so
        if current.looked and current.clean and not (current.edited or current.raced or acted):
            self._truthful(current, stored)

    # Azure

    def answered(self, current: Pass, request: Received, sent: Sent | None) -> None:
        """Take note of what Azure showed."""
        stored = self.server.by_uid(current.uid)
        if request.method != "GET" or stored is None:
            return
        spec, path, answer = stored["spec"], request.path.casefold(), shown(sent)
        current.clean = current.clean and answer is not None
        if path == version_of(spec).casefold() and answer is not None:
            current.looked, current.version = True, answer or None
            if answer:
                self.served[_build(answer)] |= _serving(answer)
        if path == image_of(spec).casefold():
            current.image_missing = answer == {}

    def mutated(self, current: Pass, entry: Entry, *, before: Json | None) -> None:
        """Judge a mutation; `before` is its resource right before, if there was one."""
        self.say(f"{entry.operation} {entry.resource_id.rsplit('/', 1)[-1]} -> {entry.status} {entry.effect}")
        self._allowed(current, entry)
        self._rate(current)
        effective = entry.effect in EFFECTIVE
        if effective:
            self.seen[f"{entry.operation} {entry.effect}"] += 1
        if entry.operation == "images.delete":
            self._deleted(current, entry, existed=before is not None)
        elif entry.operation == "galleryImageVersions.delete":
            self._unbuilt(current, entry, before)
        elif before and not current.raced and not self._misled(current, entry):
            self._changed(current, entry, before)
        elif effective and entry.operation == "galleryImageVersions.createOrUpdate":
            self._built(current)
        if effective:
            self.makers[entry.resource_id.casefold()] = current.uid

    def _allowed(self, current: Pass, entry: Entry) -> None:
        announced = current.announced
        if announced is None or announced.sent:
            self.breaks(2, f"{entry.operation} without an announcement of its own")
            return
        announced.sent = True
        if announced.action not in ACTIONS.get(entry.operation, ()):
            self.breaks(1, f"{entry.operation} after {announced.action} was announced")
        if announced.resource.casefold() != entry.resource_id.casefold():
            self.breaks(2, f"{entry.operation} of {entry.resource_id}, announced was {announced.resource}")
        for wrong, promise in {"the resource is deleted": 4, "it is suspended": 6, "it only plans": 6}.items():
            if wrong in announced.wrongs:
                self.breaks(promise, f"{entry.operation} though {wrong}")

    def _rate(self, current: Pass) -> None:
        now, times = self.estate.now(), self.sent[current.uid]
        times[:] = [each for each in times if now - each < timedelta(hours=1)] + [now]
        if len(times) > HOURLY:
            self.breaks(7, f"{len(times)} mutations in an hour")

    def _deleted(self, current: Pass, entry: Entry, *, existed: bool) -> None:
        if not existed and not current.raced and not self._misled(current, entry):
            self.breaks(2, "a delete of an image that is gone already")
        if entry.effect is not Effect.ACCEPTED:
            return
        announced = current.announced.wrongs if current.announced else frozenset()
        if wrongs := (current.wrongs or frozenset()) | announced:
            self.breaks(1, f"an image was deleted though {sorted(wrongs)}")

    def _unbuilt(self, current: Pass, entry: Entry, before: Json | None) -> None:
        """Judge the deletion of a version: one that serves nowhere and never did, ours, with its image at hand."""
        if entry.effect not in EFFECTIVE or before is None:
            return
        self.seen["a failed build deleted"] += 1
        seen = Sighting(before, _build(before), self.estate.builds.get(_build(before)))
        tags, forged = seen.tags, current.uid in self.forged
        if _serving(before):
            self.breaks(1, f"a version was deleted that serves in {sorted(_serving(before))}")
        if self.served[seen.build] and not forged:
            self.breaks(1, f"a version was deleted that served in {sorted(self.served[seen.build])}")
        if (tags.get(MIGRATION_TAG), tags.get(CLUSTER_TAG)) != (current.uid, CLUSTER):
            self.breaks(1, "a version of others was deleted")
        if (seen.source, seen.content) in self.leaving and not forged:
            self.breaks(1, "a version was deleted though the deletion of its image was announced")
        if not current.raced and (seen.content is None or self.estate.content(seen.source) != seen.content):
            self.breaks(1, "a version was deleted that cannot be built again from the same content")

    def _misled(self, current: Pass, entry: Entry) -> bool:
        """Whether nobody could know that Azure still denies what was made: the announcement is gone, or was forged."""
        key = entry.resource_id.casefold()
        _, at = self.estate.changed.get(key, ("", None))
        lost = current.uid in self.forged or self.server.by_uid(self.makers.get(key, "")) is None
        return lost and at is not None and self.estate.now() - at <= CACHE

    def _changed(self, current: Pass, entry: Entry, before: Json) -> None:
        """Judge a PUT to something that was there."""
        action = current.announced.action if current.announced else ""
        tags = before.get("tags") or {}
        ours = tags.get(MIGRATION_TAG) == current.uid
        if not action.startswith(("Update", "Add", "Remove")):
            self.breaks(2, f"{action} of what is there already")
            return
        after = self.estate.cloud.get(entry.resource_id)
        if entry.effect not in EFFECTIVE or after is None:
            return
        if tags.get(CLUSTER_TAG, CLUSTER) != CLUSTER:
            self.breaks(2, f"{action} of what belongs to another cluster")
        if lost := {
            name: tags[name] for name in FOREIGN_TAGS if name in tags and after["tags"].get(name) != tags[name]
        }:
            self.breaks(2, f"{action} lost tags of others: {lost}")
        if "/versions/" in entry.resource_id:
            repaired = self._repairable(current, before) if action == "RemoveRegions" and ours else set()
            self._regions_stay(action, _targets(before), _targets(after), ours=ours, but=repaired)
        elif not ours:
            self.breaks(2, f"{action} of what others made")

    def _repairable(self, current: Pass, before: Json) -> set[str]:
        """Return the regions that may be removed: Failed, not the version's own, and Completed never before."""
        self.seen["failed regions removed"] += 1
        served = set() if current.uid in self.forged else self.served[_build(before)]
        failed = {name for name, state in replication(before).items() if state == "Failed"}
        return failed - served - {short(before["location"])}

    def _regions_stay(self, action: str, before: Json, after: Json, *, ours: bool, but: set[str]) -> None:
        if lost := before.keys() - after.keys() - but:
            self.breaks(1, f"{action} removed regions: {sorted(lost)}")
        changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
        if changed and not ours:
            self.breaks(2, f"{action} changed regions that others made: {sorted(changed)}")

    def _built(self, current: Pass) -> None:
        self.created[current.uid] += 1
        if self.created[current.uid] > BUILDS and current.uid not in self.forged:
            self.breaks(2, f"{self.created[current.uid]} builds of one version")


def shown(sent: Sent | None) -> Json | None:
    """Return the resource that an answer shows, an empty one when it says that there is none, None for all else."""
    if sent is None or sent.status not in (200, 404):
        return None
    body: Json = json.loads(sent.content)
    if sent.status == 200:
        return body
    return {} if body.get("error", {}).get("code") in GONE else None


def _build(body: Json) -> BuildKey:
    return body["id"].casefold(), body["properties"]["publishingProfile"]["publishedDate"]


def _serving(body: Json) -> set[str]:
    return {name for name, state in replication(body).items() if state == "Completed"}


def complete(spec: Json, shown: Json | None) -> bool:
    """Whether a version as ARM showed it has all that a spec wants."""
    if shown is None:
        return False
    seen = Sighting(shown, ("", ""), None)
    lagging = [name for name in wanted(spec, seen) if seen.replication.get(name) != "Completed"]
    return not lagging and seen.state == "Succeeded" and seen.source == image_of(spec).casefold()


def wanted(spec: Json, seen: Sighting) -> set[str]:
    """Return the regions that a spec wants of a version."""
    return {short(each["name"]) for each in spec["version"].get("targetRegions") or []} | {seen.home}


def image_of(spec: Mapping[str, Any]) -> str:
    """Return the id of a spec's image."""
    return str(spec["source"]["managedImageId"])


def version_of(spec: Mapping[str, Any]) -> str:
    """Return the id of a spec's version."""
    return f"{spec['gallery']['id']}/images/{spec['definition']['name']}/versions/{spec['version']['name']}"


def policy_of(spec: Mapping[str, Any]) -> str:
    """Return what shall become of the image."""
    return str((spec.get("sourceDeletion") or {}).get("policy", "Delete"))


def condition(status: Mapping[str, Any], kind: str) -> str | None:
    """Return the status of a condition."""
    return next((c["status"] for c in status.get("conditions") or [] if c["type"].casefold() == kind.casefold()), None)


def verified(status: Mapping[str, Any]) -> str | None:
    """Return the status of the Verified condition."""
    return condition(status, "Verified")


def _targets(version: Json) -> Json:
    return {short(each["name"]): each for each in version["properties"]["publishingProfile"]["targetRegions"]}


def _state(shown: Json | None) -> str:
    return "nothing" if shown is None else str(shown["properties"]["provisioningState"])


def _reason(status: Json) -> str:
    return " ".join(str(c.get("reason")) for c in status.get("conditions") or [] if c["type"] == "Ready")
