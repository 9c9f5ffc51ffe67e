"""The Azure of a walk: the simulator without its server, and what people other than the operator do in it.

The simulator does not know whether an image of the same name is the same image. Here
every content that was ever captured has a number, and every build remembers the number
of the content that it was made from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from imageferry.simulator.clock import SimClock
from imageferry.simulator.cloud import Cloud
from imageferry.simulator.faults import Fault, Faults, Stale
from imageferry.simulator.gateway import Gateway, Received, Services
from imageferry.simulator.governance import Policy, Role
from imageferry.simulator.ledger import Ledger
from imageferry.simulator.limits import Limits
from imageferry.simulator.tokens import Tokens
from tests.manifests import gallery_id, image_id

Json = dict[str, Any]
BuildKey = tuple[str, str]
"""Case-folded id of a version, and its publishedDate."""

IMAGES: dict[str, Json] = {
    "web": {"location": "westeurope", "os_type": "Linux", "hyper_v_generation": "V2"},
    "db": {"location": "westeurope", "os_type": "Linux", "hyper_v_generation": "V2", "data_disks": (64,)},
    "win": {"location": "northeurope", "os_type": "Windows", "hyper_v_generation": "V1"},
}
REGIONS = ("westeurope", "northeurope", "swedencentral")
CACHE = timedelta(seconds=240)
"""How long ARM may answer from before a change."""
FLAPPING = True
"""Whether a read may be stale after another one has shown the change already."""


EVERYTHING = Role("everything", ("*",))
RIGHTS = {
    "reader": Role("reader", ("*/read",)),
    "blind": Role("blind", ("*",), ("Microsoft.Compute/images/read",)),
    "no delete": Role("no delete", ("*",), ("Microsoft.Compute/images/delete",)),
}
"""What the operator may do where somebody has taken rights away."""
GOVERNING = (
    *("CanNotDelete of image", "CanNotDelete of group", "ReadOnly of gallery", "ReadOnly of image", "policy"),
    *RIGHTS,
)


@dataclass(slots=True)
class Sighting:
    """A version as it truly is."""

    body: Json
    build: BuildKey
    content: int | None
    """The image content that it was built from; None when it came from elsewhere."""

    @property
    def state(self) -> str:
        """Its provisioningState."""
        return str(self.body["properties"]["provisioningState"])

    @property
    def mode(self) -> str:
        """Its replicationMode."""
        return str(self.body["properties"]["publishingProfile"].get("replicationMode", "Full"))

    @property
    def source(self) -> str:
        """Id of its source, case-folded."""
        return str(self.body["properties"]["storageProfile"]["source"].get("id", "")).casefold()

    @property
    def home(self) -> str:
        """Its own region."""
        return short(self.body["location"])

    @property
    def regions(self) -> frozenset[str]:
        """Regions that it is meant to be in."""
        return frozenset(short(each["name"]) for each in self.body["properties"]["publishingProfile"]["targetRegions"])

    @property
    def tags(self) -> Json:
        """Its tags."""
        return dict(self.body.get("tags", {}))

    @property
    def replication(self) -> dict[str, str]:
        """State by region."""
        return replication(self.body)


def replication(body: Json) -> dict[str, str]:
    """Return the replication state by region of a version as ARM shows it."""
    summary = body["properties"].get("replicationStatus", {}).get("summary", [])
    return {short(each["region"]): each["state"] for each in summary}


def short(region: str) -> str:
    """Return the short name of a region."""
    return region.lower().replace(" ", "")


class Estate:
    """Images, a gallery and what is in it."""

    def __init__(self) -> None:
        self.clock = SimClock()
        self.clock.freeze()
        self.cloud = Cloud(self.clock.now)
        self.faults, self.ledger, self.tokens = Faults(), Ledger(), Tokens()
        services = Services(
            clock=self.clock,
            cloud=self.cloud,
            faults=self.faults,
            ledger=self.ledger,
            tokens=self.tokens,
            tenant="tenant",
            page_size=50,
            limits=Limits(self.clock.now),
        )
        self.gateway = Gateway(services)
        self.contents: dict[str, int] = {}
        self.builds: dict[BuildKey, int | None] = {}
        self.stale = 0
        """How many reads may still be answered from before a change."""
        self.changed: dict[str, tuple[str, datetime]] = {}
        """What the operator made or deleted, and when: reads of it may be stale."""
        self.fooled: set[str] = set()
        """What the read that is under way is answered for from an old cache."""
        self._captured = 0
        self._locks = set[str]()
        self.cloud.put_gallery("prod", group="gallery")
        self.cloud.put_group("legacy")
        for name in IMAGES:
            self.capture(name)

    def now(self) -> datetime:
        """Return the true time."""
        return self.clock.now()

    def content(self, resource: str) -> int | None:
        """Return the content of the image of that id; None when there is no image."""
        return self.contents.get(resource.casefold()) if self.cloud.get(resource) else None

    def version(self, resource: str) -> Sighting | None:
        """Return a version as it truly is."""
        body = self.cloud.get(resource)
        if body is None:
            return None
        key = (resource.casefold(), body["properties"]["publishingProfile"]["publishedDate"])
        return Sighting(body, key, self.builds.get(key))

    def versions(self) -> list[str]:
        """Return the ids of all versions."""
        return self.cloud.ids("galleries/images/versions")

    def remember_build(self, resource: str) -> None:
        """Note the content that a version was just built from."""
        if seen := self.version(resource):
            self.builds[seen.build] = self.content(seen.source)

    def capture(self, name: str, *, dated: bool = True) -> str:
        """Capture another machine as the image of that name; without a date it differs in its disks alone."""
        self.clock.advance(1)
        self._captured += 1
        shape = IMAGES[name] | {"size_gb": 30 + self._captured}
        made = self.cloud.put_image(name, group="legacy", created_at=self.now() if dated else None, **shape)
        self.contents[made.casefold()] = self._captured
        self.changed.pop(made.casefold(), None)
        return made

    def drop(self, resource: str) -> None:
        """Let somebody else delete a resource."""
        self.cloud.remove(resource)
        self.changed.pop(resource.casefold(), None)

    def define(self, name: str, *, like: str, fitting: bool = True) -> str:
        """Let a definition exist that others made."""
        shape = IMAGES[like]
        os_type = shape["os_type"] if fitting else {"Linux": "Windows", "Windows": "Linux"}[shape["os_type"]]
        self.changed.pop(f"{gallery_id()}/images/{name}".casefold(), None)
        return self.cloud.put_definition(
            name,
            gallery=gallery_id(),
            os_type=os_type,
            hyper_v_generation=shape["hyper_v_generation"],
            identifier=("platform", name, "default"),
        )

    def publish(self, resource: str, *, image: str, regions: Sequence[str], shallow: bool, tags: Json | None) -> None:
        """Let others build a version from an image, under a number that may be taken."""
        self.clock.advance(1)
        definition = resource.rpartition("/versions/")[0]
        if self.cloud.get(definition) is None:
            self.define(definition.rpartition("/")[2], like=image)
        home = IMAGES[image]["location"]
        names = list(dict.fromkeys((home, *regions)))
        mode = {"replicationMode": "Shallow"} if shallow else {}
        profile = {"targetRegions": [{"name": each} for each in names], **mode}
        properties = {"publishingProfile": profile, "storageProfile": {"source": {"id": image_id(image)}}}
        self.cloud.put(resource, {"location": home, "tags": tags or {}, "properties": properties})
        self.changed.pop(resource.casefold(), None)
        self.remember_build(resource)

    def alter(self, resource: str, change: Callable[[Json], None]) -> None:
        """Let others change a version that is idle; it stays the build that it is."""
        seen = self.version(resource)
        if seen is None or seen.state != "Succeeded" or "Replicating" in seen.replication.values():
            return
        change(seen.body)
        self.cloud.put(resource, seen.body)

    def govern(self, how: str, image: str) -> None:
        """Let those who run the subscription forbid something: by a lock, a policy, or the operator's rights."""
        scopes = {"image": image, "group": image.partition("/providers/")[0], "gallery": gallery_id()}
        kind, _, at = how.partition(" of ")
        if kind in ("CanNotDelete", "ReadOnly"):
            self._locks.add(self.cloud.put_lock(f"{kind}-{at}", scope=scopes[at], level=kind))
        elif kind == "policy":
            self.cloud.put_policy(Policy(name="walk", types=("Microsoft.Compute/galleries/images*",)))
        else:
            self.cloud.revoke("*")
            self.cloud.assign("*", RIGHTS[kind], scope="/")

    def ungovern(self) -> None:
        """Take all that back."""
        for lock in self._locks:
            self.cloud.remove_lock(lock)
        self._locks.clear()
        self.cloud.remove_policy("walk")
        self.cloud.assign("*", EVERYTHING, scope="/")

    def hasten(self, seconds: float | None) -> None:
        """Let versions be built in so many seconds; None for Azure's usual time."""
        usual = type(self.cloud.durations)()
        self.cloud.durations = usual if seconds is None else replace(usual, version_create=seconds)

    def arm_stale(self, request: Received) -> None:
        """Answer a read from an old cache where one may be that old still."""
        change, at = self.changed.get(request.path.casefold(), ("", self.now()))
        if not self.stale or request.method != "GET" or not change or self.now() - at > CACHE:
            return
        self.stale -= 1
        self.fooled.add(request.path.casefold())
        shows: Literal["missing", "deleted"] = "missing" if change == "made" else "deleted"
        self.faults.add(Fault("*.get", Stale(shows), resource=request.path, times=1))

    def showed(self, request: Received, body: Json | None) -> None:
        """Note that a read was answered: what shows a change once shows it from then on."""
        key = request.path.casefold()
        change = self.changed.get(key, ("", None))[0]
        if key in self.fooled:
            self.fooled.discard(key)
        elif not FLAPPING and body is not None and change == ("made" if body else "deleted"):
            del self.changed[key]
