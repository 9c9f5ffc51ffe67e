"""What users, other people in Azure and fate do in a world; `of` is the place of a migration in the list."""

from collections.abc import Callable
from typing import Any

from tests import manifests
from tests.manifests import gallery_id, image_id
from tests.walks.estate import short
from tests.walks.forgeries import FORGERIES
from tests.walks.oracle import image_of, version_of
from tests.walks.world import HOUR, World

Json = dict[str, Any]

MANY = 4


class Deeds:
    """Deeds in one world; a deed that has nothing to work on does nothing."""

    def __init__(self, world: World) -> None:
        self.world, self.estate, self.server, self.oracle = world, world.estate, world.server, world.oracle
        self.made = 0

    def say(self, what: str) -> None:
        """Note a deed."""
        self.oracle.say(f"* {what}")

    def body(self, of: int) -> Json | None:
        """Return a resource."""
        names = self.server.names()
        return self.server.find(names[of % len(names)]) if names else None

    def source(self, of: int) -> str:
        """Return the name of a migration's image."""
        body = self.body(of)
        return image_of(body["spec"]).rpartition("/")[2] if body else "web"

    # users

    def create(
        self,
        image: str,
        definition: str,
        *,
        version: str = "1.0.0",
        regions: list[str] | None = None,
        policy: str = "Delete",
        grace: int = 0,
        gallery: str = "prod",
        finalizer: bool = False,
    ) -> None:
        """Apply a migration, unless there are plenty; a gallery other than the one that is there may be created."""
        if len(self.server.names()) >= MANY:
            return
        self.made += 1
        creation = {} if gallery == "prod" else {"create": {"location": "westeurope"}}
        body = manifests.migration(
            f"m{self.made}",
            image=image_id(image),
            regions=regions,
            gallery={"id": gallery_id(gallery), **creation},
            definition={"name": definition},
            version={"name": version},
            sourceDeletion={"policy": policy, "graceSeconds": grace},
        )
        self.server.create(body, finalizer=finalizer)
        self.say(f"created m{self.made}: {image} as {definition} {version} in {regions}, {policy}, {grace}, {gallery}")

    def edit(self, of: int, change: Json) -> None:
        """Edit a spec."""
        if body := self.body(of):
            self.server.edit(body["metadata"]["name"], change)
            self.say(f"edited {body['metadata']['name']}: {change}")

    def delete(self, of: int, *, again: bool = False) -> None:
        """Delete a resource; perhaps apply the same once more: its status is empty then."""
        if body := self.body(of):
            name = body["metadata"]["name"]
            self.server.delete(name)
            self.say(f"deleted {name}")
            if again and self.server.find(name) is None:
                self.server.create({**body, "metadata": {"name": name}})
                self.say(f"created {name} again")

    def release(self, of: int) -> None:
        """Let go what a finalizer of others holds."""
        if body := self.body(of):
            self.server.release(body["metadata"]["name"])

    def verify(self, of: int, how: str = "shown", *, dated: bool = False) -> None:
        """Set Verified for the proof that is `shown`, for a `stale` one, or `plain`: for none in particular."""
        body = self.body(of)
        if body is None:
            return
        status = body["status"]
        shown = (status.get("proof") or {}).get("digest")
        stale = next((each for each in self.oracle.proofs if each != shown), f"v1:sha256:{'0' * 64}")
        digest = {"shown": shown, "stale": stale, "plain": None}[how]
        if how == "shown" and digest is None:
            return
        if digest:
            status["verification"] = {**(status.get("verification") or {}), "digest": digest}
        self._speak(body, "True", dated=dated)
        self.say(f"verified {body['metadata']['name']}: {how}")

    def take_back(self, of: int, word: str) -> None:
        """Veto, or remove the Verified condition."""
        if body := self.body(of):
            self._speak(body, word, dated=False)
            self.say(f"Verified of {body['metadata']['name']}: {word}")

    def _speak(self, body: Json, word: str, *, dated: bool) -> None:
        status = body["status"]
        before = status.get("conditions", [])
        kind = next((each["type"] for each in before if each["type"].casefold() == "verified"), None)
        said = {"type": kind or ("verified" if dated else "Verified"), "status": word}
        if dated:
            said |= {"lastTransitionTime": self._now(), "reason": "Tried"}
        kept = [each for each in before if each["type"] != kind]
        status["conditions"] = kept if word == "removed" else [*kept, said]
        self.oracle.spoke(self.server.set_status(body["metadata"]["name"], status))

    def forge(self, of: int, what: str) -> None:
        """Write into a status what is not true."""
        if body := self.body(of):
            FORGERIES[what](body["status"], spec=body["spec"], now=self._now())
            self.oracle.forged.add(body["metadata"]["uid"])
            self.server.set_status(body["metadata"]["name"], body["status"])
            self.say(f"forged {what} of {body['metadata']['name']}")

    def _now(self) -> str:
        return f"{self.estate.now():%Y-%m-%dT%H:%M:%SZ}"

    # other people in Azure

    def capture(self, of: int, *, dated: bool = True) -> None:
        """Put another image in the place of a migration's."""
        self.estate.capture(self.source(of), dated=dated)
        self.say(f"captured {self.source(of)} anew")

    def drop_image(self, of: int) -> None:
        """Delete a migration's image."""
        self.estate.drop(image_id(self.source(of)))
        self.say(f"dropped image {self.source(of)}")

    def publish(self, of: int, image: str | None, *, regions: list[str], kind: str) -> None:
        """Build a version by other means under a migration's number, from its image or another one."""
        body = self.body(of)
        if body is None or self.estate.cloud.get(body["spec"]["gallery"]["id"]) is None:
            return
        tags = {"team": "blue"} | ({"imageferry-cluster": "cluster-b"} if kind == "elsewhere" else {})
        shallow, resource, source = kind == "shallow", version_of(body["spec"]), image or self.source(of)
        self.estate.publish(resource, image=source, regions=[] if shallow else regions, shallow=shallow, tags=tags)
        self.say(f"published {source} as {_short_id(resource)} in {regions}: {kind}")

    def meddle(self, of: int, what: str, region: str = "westeurope") -> None:
        """Change a version from outside."""
        versions = self.estate.versions()
        if not versions:
            return
        resource = versions[of % len(versions)]
        seen = self.estate.version(resource)
        if what == "drop":
            self.estate.drop(resource)
        elif what in ALTERATIONS:
            self.estate.alter(resource, lambda body: ALTERATIONS[what](body, region))
        elif seen and region in seen.replication:
            cloud = self.estate.cloud
            {"fail": cloud.fail_region, "complete": cloud.complete_region}[what](resource, region)
        self.say(f"{what} {region} of {_short_id(resource)}")

    def define(self, name: str, *, like: str, fitting: bool) -> None:
        """Let others make a definition, or take one away that holds no version."""
        resource = f"{gallery_id()}/images/{name}"
        if any(each.startswith(f"{resource}/") for each in self.estate.versions()):
            return
        if self.estate.cloud.get(resource):
            self.estate.drop(resource)
        else:
            self.estate.define(name, like=like, fitting=fitting)
        self.say(f"definition {name}: {fitting}")

    def govern(self, of: int, how: str) -> None:
        """Let those who run the subscription forbid something."""
        self.estate.govern(how, image_id(self.source(of)))
        self.say(f"governance: {how}")

    # fate

    def calm(self) -> None:
        """End all faults."""
        self.estate.faults.clear()
        self.estate.ungovern()
        self.estate.stale = 0
        self.world.leader.kubernetes.cuts = []
        self.world.leader.deaf = False

    def prosper(self) -> None:
        """Let all go well for a while: time, somebody verifies whatever there is to verify, time."""
        self.calm()
        self.world.run_for(HOUR)
        for of in range(len(self.server.names())):
            self.verify(of)
        self.world.run_for(HOUR)

    def settled(self) -> bool:
        """Run passes until one round writes nothing; whether that came."""
        self.world.compare()
        for _ in range(6):
            writes, mark = self.world.writes, self.estate.ledger.mark()
            self.world.pass_all()
            if self.world.writes == writes and not self.estate.ledger.mutations(since=mark):
                return True
        return False


def _short_id(resource: str) -> str:
    return resource.rpartition("/galleries/")[2]


def _add(body: Json, region: str) -> None:
    profile = body["properties"]["publishingProfile"]
    there = {short(each["name"]) for each in profile["targetRegions"]}
    if profile.get("replicationMode") != "Shallow" and region not in there:
        added = {"name": region, "regionalReplicaCount": 1, "storageAccountType": "Standard_LRS"}
        profile["targetRegions"].append(added)


def _remove(body: Json, region: str) -> None:
    profile, home = body["properties"]["publishingProfile"], short(body["location"])
    profile["targetRegions"] = [
        each for each in profile["targetRegions"] if short(each["name"]) == home or short(each["name"]) != region
    ]


def _tag(body: Json, region: str) -> None:
    body["tags"] = {**(body.get("tags") or {}), "others": region}


def _untag(body: Json, _: str) -> None:
    body["tags"] = {}


ALTERATIONS: dict[str, Callable[[Json, str], None]] = {"add": _add, "remove": _remove, "tag": _tag, "untag": _untag}
