"""What migrations know of each other, without asking anybody: an index over the newest bodies.

A migration that waits for another costs no polling: when the other one is through, the
roster names those that waited for something of its.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from imageferry.engine.ports import Body
from imageferry.migration import claims
from imageferry.migration.claims import Begun, Claim, Peer


class Roster:
    """Peers by uid, and by what they claim."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._sharing: defaultdict[tuple[Claim, str], set[str]] = defaultdict(set)
        self._acting: set[str] = set()

    def put(self, uid: str, body: Body | None) -> frozenset[str]:
        """Keep what a body says, or forget it (None); return the uids that waited for it and may now go on."""
        before, now = self._peers.pop(uid, None), claims.read(body) if body is not None else None
        for key in before.ids.items() if before else ():
            self._sharing[key].discard(uid)
            if not self._sharing[key]:
                del self._sharing[key]
        if now:
            self._peers[uid] = now
            for key in now.ids.items():
                self._sharing[key].add(uid)
        if before is None or not before.lets_go(now):
            return frozenset()
        return frozenset(each.uid for each in self._others(before) if each.waits)

    def peers_of(self, uid: str) -> tuple[Peer, ...]:
        """Return the others that share something with a migration; one that is about to act counts as building."""
        me = self._peers.get(uid)
        others = self._others(me) if me else []
        return tuple(replace(each, begun=Begun.BUILDING) if each.uid in self._acting else each for each in others)

    @contextmanager
    def acting(self, uid: str) -> Iterator[None]:
        """Let others know of a decision to act before the announcement is stored."""
        self._acting.add(uid)
        try:
            yield
        finally:
            self._acting.discard(uid)

    def deletions(self) -> dict[str, datetime]:
        """Return when images were deleted, by the uid of their migration, as far as resources tell of it."""
        return {peer.uid: peer.deleted_at for peer in self._peers.values() if peer.deleted_at}

    def _others(self, me: Peer) -> list[Peer]:
        keys = [key for key in me.ids.items() if key[0] is not Claim.GALLERY or me.creates_gallery]
        uids = set[str]().union(*(self._sharing.get(key, ()) for key in keys)) - {me.uid}
        return [self._peers[uid] for uid in uids]
