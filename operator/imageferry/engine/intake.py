"""The newest known body of every migration by uid, and what they know of each other.

Bodies come from the first LIST, from the watch and from our own writes, in any order;
the one with the highest resourceVersion wins (they are comparable numbers since
Kubernetes 1.35), so that a late echo never overwrites the answer to our own write.
"""

from imageferry.engine.ports import Body
from imageferry.engine.roster import Roster


class Intake:
    """Bodies by uid."""

    def __init__(self) -> None:
        self.roster = Roster()
        self._bodies: dict[str, Body] = {}
        self._woken: set[str] = set()

    def offer(self, body: Body) -> bool:
        """Keep the body when it is newer than what is known; return whether it was."""
        uid = uid_of(body)
        known = self._bodies.get(uid)
        if known is not None and version_of(body) <= version_of(known):
            return False
        metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
        self._bodies[uid] = {**body, "metadata": metadata}  # who manages which field is a third of a body, unread
        self._woken |= self.roster.put(uid, body)
        return True

    def get(self, uid: str) -> Body | None:
        """Return the newest known body."""
        return self._bodies.get(uid)

    def forget(self, uid: str) -> None:
        """Drop what is gone."""
        self._bodies.pop(uid, None)
        self._woken |= self.roster.put(uid, None)

    def take_woken(self) -> frozenset[str]:
        """Return, once, the migrations that waited for another one and may now go on."""
        woken = frozenset(self._woken) & self._bodies.keys()
        self._woken.clear()
        return woken

    @property
    def uids(self) -> frozenset[str]:
        """All that are known."""
        return frozenset(self._bodies)


def uid_of(body: Body) -> str:
    """Return the uid."""
    return str(body["metadata"]["uid"])


def version_of(body: Body) -> int:
    """Return the resourceVersion as a number."""
    return int(body["metadata"]["resourceVersion"])
