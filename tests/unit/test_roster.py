"""The roster wakes just those that waited for something of the one that is through."""

from typing import Any

import pytest

from imageferry.api.status import ActionName
from imageferry.engine.roster import Roster
from imageferry.migration.claims import Begun
from tests.unit import build
from tests.unit.build import NOW, Json

WAITING: Json = {"phase": "Pending"}
BUILDING: Json = {"phase": "Creating"}
REPLICATED: Json = {"conditions": [{"type": "Replicated", "status": "True"}]}
OTHER_IMAGE: Json = {"source": {"managedImageId": build.OTHER_IMAGE_ID}}
CREATES: Json = {"gallery": {"create": {"location": "westeurope"}}}
APART: Json = {**OTHER_IMAGE, "definition": {"name": "db"}}


def _body(uid: str, spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:
    return build.body(spec, status, uid=uid, name=uid, **metadata)


def _roster(*bodies: Json) -> Roster:
    roster = Roster()
    for body in bodies:
        roster.put(body["metadata"]["uid"], body)
    return roster


@pytest.mark.parametrize(
    ("after", "wakes"),
    [
        pytest.param(None, True, id="deleted"),
        pytest.param(_body("holder", status=REPLICATED), True, id="replicated"),
        pytest.param(_body("holder", {"suspend": True}, BUILDING), True, id="suspended"),
        pytest.param(_body("holder", {"mode": "Plan"}, BUILDING), True, id="planned"),
        pytest.param(_body("holder", status={"phase": "Stalled"}), True, id="stalled"),
        pytest.param(_body("holder", status=WAITING), True, id="waits-itself"),
        pytest.param(_body("holder", {"version": {"name": "one"}}), True, id="not-readable-any-more"),
        pytest.param(_body("holder", status={"phase": "Replicating"}), False, id="goes-on"),
        pytest.param(_body("holder", status=BUILDING), False, id="as-before"),
    ],
)
def test_those_that_wait_are_woken_when_the_holder_is_through(after: Json | None, *, wakes: bool) -> None:
    """However it comes that it is; its progress wakes nobody."""
    roster = _roster(_body("holder", status=BUILDING), _body("waiter", status=WAITING))

    assert roster.put("holder", after) == (frozenset({"waiter"}) if wakes else frozenset())


@pytest.mark.parametrize(
    ("other", "wakes"),
    [
        pytest.param(_body("other", status=WAITING), True, id="all-in-common"),
        pytest.param(_body("other", {"definition": {"name": "db"}}, WAITING), True, id="same-image"),
        pytest.param(_body("other", OTHER_IMAGE, WAITING), True, id="same-version"),
        pytest.param(
            _body("other", {**OTHER_IMAGE, "version": {"name": "2.0.0"}}, WAITING), True, id="same-definition"
        ),
        pytest.param(_body("other", APART, WAITING), False, id="only-the-gallery"),
        pytest.param(_body("other", status=BUILDING), False, id="does-not-wait"),
        pytest.param(_body("other", {"suspend": True}, {"phase": "Suspended"}), False, id="suspended"),
    ],
)
def test_only_those_that_wait_for_something_of_its_are_woken(other: Json, *, wakes: bool) -> None:
    """Nobody else is looked at."""
    roster = _roster(_body("holder", status=BUILDING), other)

    assert roster.put("holder", None) == (frozenset({"other"}) if wakes else frozenset())


def test_a_missing_gallery_is_shared_by_those_that_would_create_it() -> None:
    """They wait for one another; others in the same gallery have nothing to do with it."""
    roster = _roster(_body("holder", CREATES, BUILDING), _body("waiter", {**APART, **CREATES}, WAITING))

    assert roster.put("holder", None) == {"waiter"}


@pytest.mark.parametrize("action", [ActionName.CREATE_GALLERY, ActionName.CREATE_DEFINITION])
def test_what_is_there_for_all_wakes_them_although_its_creator_goes_on(action: ActionName) -> None:
    """They need not wait until its version is replicated."""
    creating = _body("holder", CREATES, build.announced(action))
    roster = _roster(creating, _body("waiter", {**APART, **CREATES}, WAITING))

    assert roster.put("holder", creating) == frozenset()
    assert roster.put("holder", _body("holder", CREATES, build.announced(ActionName.CREATE_VERSION))) == {"waiter"}


def test_one_that_has_decided_to_act_counts_as_building_before_it_is_stored() -> None:
    """Two workers cannot decide on the same while an announcement is on its way."""
    roster = _roster(_body("me"), _body("acting"))
    with roster.acting("acting"):
        assert [peer.begun for peer in roster.peers_of("me")] == [Begun.BUILDING]
    assert [peer.begun for peer in roster.peers_of("me")] == [Begun.NOTHING]


def test_peers_are_those_that_share_something() -> None:
    """A migration knows nothing of others, and nothing of itself."""
    roster = _roster(_body("me"), _body("same-image", {"definition": {"name": "db"}}), _body("apart", APART))

    assert [peer.uid for peer in roster.peers_of("me")] == ["same-image"]
    assert roster.peers_of("unknown") == ()
    roster.put("same-image", None)
    assert roster.peers_of("me") == ()


def test_deletions_are_told_from_their_announcement_and_from_receipts() -> None:
    """An image that was gone already is none of ours."""
    announced = _body("announced", status=build.announced(ActionName.DELETE_IMAGE))
    roster = _roster(
        announced, _body("deleted", status=build.receipt()), _body("gone", status=build.receipt("AlreadyGone"))
    )

    assert roster.deletions() == {"announced": NOW, "deleted": NOW}
