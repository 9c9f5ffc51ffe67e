"""Who goes first: one rule, the same for everybody, and nobody waits in a circle."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageferry.api.status import ActionName
from imageferry.migration import claims
from imageferry.migration.claims import Begun, Claim, Peer
from tests.unit import build
from tests.unit.build import NOW, Json

OLDER, YOUNGER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
ANNOUNCED = build.announced(ActionName.CREATE_VERSION)
REPLICATED: Json = {"conditions": [{"type": "Replicated", "status": "True"}]}


def peer(spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Peer:
    """Return another migration of the same image, gallery, definition and version, older than ours."""
    known = {"name": "other", "uid": "other", "creationTimestamp": OLDER.isoformat()}
    return claims.of(build.migration(spec, status, **(known | metadata)))


def holder(other: Peer, claim: Claim = Claim.SOURCE, **ours: Any) -> bool:
    """Whether the other one comes before a fresh migration of ours."""
    me = build.migration(ours.get("spec"), ours.get("status"), creationTimestamp=NOW.isoformat())
    return claims.holder(claim, me, [other]) is not None


@pytest.mark.parametrize(
    ("other", "first"),
    [
        pytest.param(peer(), True, id="older"),
        pytest.param(peer(creationTimestamp=YOUNGER.isoformat()), False, id="younger"),
        pytest.param(peer(status=ANNOUNCED, creationTimestamp=YOUNGER.isoformat()), True, id="younger-and-acting"),
        pytest.param(
            peer(status={"phase": "Creating"}, creationTimestamp=YOUNGER.isoformat()), True, id="younger-and-building"
        ),
        pytest.param(peer(creationTimestamp=NOW.isoformat(), uid="0"), True, id="same-time-smaller-uid"),
        pytest.param(peer(creationTimestamp=NOW.isoformat(), uid="9"), False, id="same-time-larger-uid"),
        pytest.param(peer(creationTimestamp=NOW.isoformat(), uid=build.UID), False, id="itself"),
        pytest.param(peer({"suspend": True}, ANNOUNCED), False, id="suspended"),
        pytest.param(peer({"mode": "Plan"}, ANNOUNCED), False, id="planned"),
        pytest.param(peer(status={"phase": "Stalled"}), False, id="stalled"),
        pytest.param(peer(status={"error": {"code": "x", "message": "y", "kind": "BackOff"}}), False, id="failing"),
        pytest.param(peer(status=build.receipt()), False, id="finished"),
        pytest.param(peer(deletionTimestamp=NOW.isoformat()), False, id="being-deleted"),
        pytest.param(peer(status=REPLICATED), False, id="replicated"),
        pytest.param(
            peer(status=REPLICATED | build.announced(ActionName.UPDATE_VERSION)), True, id="replicated-and-updating"
        ),
        pytest.param(
            peer(status=REPLICATED | build.announced(ActionName.DELETE_IMAGE)), False, id="replicated-and-deleting"
        ),
        pytest.param(
            peer({"source": {"managedImageId": build.IMAGE_ID.upper()}}), True, id="same-image-in-another-casing"
        ),
        pytest.param(peer({"source": {"managedImageId": build.OTHER_IMAGE_ID}}), False, id="another-image"),
    ],
)
def test_who_comes_before_a_fresh_migration(other: Peer, *, first: bool) -> None:
    """One that has begun, then the older, then the smaller uid; one that does not move never."""
    assert holder(other) is first


def test_one_that_only_defines_does_not_come_before_one_that_builds() -> None:
    """Though it is the older one: a second build of the same image would be refused."""
    defining = peer(status=build.announced(ActionName.CREATE_DEFINITION))
    status = {"phase": "Creating"}

    assert not holder(defining, status=status)
    assert holder(peer(status=ANNOUNCED), status=status)


@pytest.mark.parametrize(
    ("claim", "difference", "first"),
    [
        (Claim.SOURCE, {"gallery": {"id": build.GALLERY_ID + "2"}}, True),
        (Claim.VERSION, {"gallery": {"id": build.GALLERY_ID + "2"}}, False),
        (Claim.VERSION, {"version": {"name": "1.0.1"}}, False),
        (Claim.VERSION, {"source": {"managedImageId": build.OTHER_IMAGE_ID}}, True),
        (Claim.DEFINITION, {"version": {"name": "1.0.1"}}, True),
        (Claim.DEFINITION, {"definition": {"name": "WEB"}}, True),
        (Claim.DEFINITION, {"definition": {"name": "db"}}, False),
        (Claim.GALLERY, {"definition": {"name": "db"}}, False),
        (Claim.GALLERY, {"gallery": {"create": {"location": "westeurope"}}}, True),
    ],
)
def test_a_claim_is_on_one_thing(claim: Claim, difference: Json, *, first: bool) -> None:
    """By case-folded id; a gallery only where the other one would create it."""
    assert holder(peer(difference), claim) is first


def test_what_cannot_be_read_does_not_move() -> None:
    """It writes nothing, so nobody has to wait for it."""
    assert claims.read(build.body({"version": {"name": "one"}})) is None


STATUSES: dict[Begun, Json] = {
    Begun.BUILDING: {"phase": "Creating"},
    Begun.CREATING: build.announced(ActionName.CREATE_DEFINITION),
    Begun.NOTHING: {},
}
TIMES = st.sampled_from([OLDER, NOW, YOUNGER])
PEERS = st.lists(
    st.builds(
        lambda uid, created, moves, begun, gallery: replace(
            peer(), uid=uid, created=created, moves=moves, begun=begun, creates_gallery=gallery
        ),
        st.sampled_from("abcdef"),
        TIMES,
        st.booleans(),
        st.sampled_from(Begun),
        st.booleans(),
    ),
    unique_by=lambda each: each.uid,
    max_size=6,
)


def _waits_for(me: Peer, all_peers: list[Peer], claim: Claim) -> str | None:
    subject = build.migration(status=STATUSES[me.begun], uid=me.uid, creationTimestamp=me.created.isoformat())
    found = claims.holder(claim, subject, all_peers)
    return found.uid if found else None


@given(peers=PEERS)
def test_nobody_waits_in_a_circle(peers: list[Peer]) -> None:
    """Over all claims together: whoever is waited for ranks before whoever waits."""
    ranks = {each.uid: each.rank for each in peers}
    for claim in Claim:
        for each in peers:
            if first := _waits_for(each, peers, claim):
                assert ranks[first] < ranks[each.uid]


@given(peers=PEERS)
def test_one_of_those_that_move_waits_for_nobody(peers: list[Peer]) -> None:
    """So there is always progress; all others name just that one."""
    moving = [each for each in peers if each.moves]
    for claim in (Claim.SOURCE, Claim.DEFINITION, Claim.VERSION):
        waited_for = {each.uid: _waits_for(each, peers, claim) for each in moving}
        free = [uid for uid, first in waited_for.items() if first is None]
        assert len(free) == min(len(moving), 1)
        assert {first for first in waited_for.values() if first} <= set(free)


@given(peers=PEERS)
def test_ranks_are_a_total_order(peers: list[Peer]) -> None:
    """No two are equal, so everybody sorts alike."""
    assert len({each.rank for each in peers}) == len(peers)
