"""Which changes are worth an Event."""

import pytest

from imageferry.api.status import ActionName, Status
from imageferry.migration.transitions import Notice, notices
from tests.unit import build
from tests.unit.build import NOW, Json


def _said(kind: str, status: str, reason: str = "R", message: str = "m") -> Json:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


REPLICATED = _said("Replicated", "True") | {"replication": {"summary": "2/2"}}
VERIFIED: Json = {"verification": {"digest": "d", "at": NOW}}
BLOCKED = _said("SourceDeleted", "False", "DeletionBlocked", "somebody uses it")
DONE = _said("SourceDeleted", "True", "Deleted", "the managed image was deleted") | {"phase": "Completed"}
STALLED = _said("Stalled", "True", "SourceMissing", "there is no image")
VOID = _said("Verified", "Unknown", "ProofChanged", "say it again")

TRANSITIONS = [
    pytest.param({}, STALLED, Notice("Warning", "SourceMissing", "there is no image"), id="stalled"),
    pytest.param(
        _said("Stalled", "True", "Other"),
        STALLED,
        Notice("Warning", "SourceMissing", "there is no image"),
        id="stalled-for-another-reason",
    ),
    pytest.param(
        _said("Replicated", "False"),
        REPLICATED,
        Notice("Normal", "Replicated", "every wanted region is Completed (2/2)"),
        id="replicated",
    ),
    pytest.param({}, VERIFIED, Notice("Normal", "Verified", "verified for d"), id="verified"),
    pytest.param(_said("Verified", "True"), VOID, Notice("Warning", "ProofChanged", "say it again"), id="void"),
    pytest.param(
        _said("verified", "True"), VOID, Notice("Warning", "ProofChanged", "say it again"), id="void-any-case"
    ),
    pytest.param(
        _said("Verified", "True"),
        _said("Verified", "Unknown", "Expired", "say it again"),
        Notice("Warning", "Expired", "say it again"),
        id="expired",
    ),
    pytest.param({}, BLOCKED, Notice("Warning", "DeletionBlocked", "somebody uses it"), id="deletion-blocked"),
    pytest.param({}, DONE, Notice("Normal", "Completed", "the managed image was deleted"), id="completed"),
    pytest.param(
        {"phase": "Creating"},
        {"phase": "Suspended"},
        Notice("Normal", "Suspended", "spec.suspend changed"),
        id="suspended",
    ),
    pytest.param(
        {"phase": "Suspended"}, {"phase": "Creating"}, Notice("Normal", "Resumed", "spec.suspend changed"), id="resumed"
    ),
]


@pytest.mark.parametrize(("before", "after", "notice"), TRANSITIONS)
def test_a_transition_is_told(before: Json, after: Json, notice: Notice) -> None:
    """One Event each, with type, reason and message."""
    assert notices(Status.model_validate(before), Status.model_validate(after)) == [notice]


@pytest.mark.parametrize(("before", "after", "notice"), TRANSITIONS)
def test_what_stays_as_it_is_is_not_told_again(before: Json, after: Json, notice: Notice) -> None:
    """A status that lasts is no Event, however often it is written."""
    lasting = Status.model_validate(after)

    assert before != after
    assert notice not in notices(lasting, lasting)


@pytest.mark.parametrize("action", list(ActionName))
def test_every_mutation_is_told(action: ActionName) -> None:
    """Each announcement is an Event that names the resource."""
    after = Status.model_validate(build.announced(action))
    (notice,) = notices(Status(), after)

    assert notice.type == "Normal"
    assert after.operation is not None
    assert after.operation.resource in notice.message


def test_a_repeated_mutation_is_told_again() -> None:
    """A new announcement has an id of its own."""
    before = Status.model_validate(build.announced(ActionName.DELETE_IMAGE))
    assert before.operation is not None
    after = before.model_copy(update={"operation": before.operation.model_copy(update={"id": "second"})})

    assert [each.reason for each in notices(before, after)] == ["SourceDeletionRequested"]


def test_progress_is_no_event() -> None:
    """More percent is not worth one."""
    before = Status.model_validate({"replication": {"summary": "0/1", "progress": 10}})
    after = Status.model_validate({"replication": {"summary": "0/1", "progress": 60}})

    assert not notices(before, after)


def _guard(*, passed: bool, message: str = "why", name: str = "NoConsumers") -> Json:
    return {"deletion": {"guards": [{"name": name, "passed": passed, "message": message}]}}


NOT_ASKED = _guard(passed=False, message="looked at once all others hold")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(_guard(passed=True), _guard(passed=False), ["GuardBlocks"], id="stops-holding"),
        pytest.param(_guard(passed=False), _guard(passed=True), ["GuardHolds"], id="starts-to-hold"),
        pytest.param(NOT_ASKED, _guard(passed=False), ["GuardBlocks"], id="asked-and-does-not-hold"),
        pytest.param(NOT_ASKED, _guard(passed=True), [], id="asked-and-holds"),
        pytest.param(_guard(passed=True), NOT_ASKED, [], id="not-asked-any-more"),
        pytest.param(_guard(passed=False), NOT_ASKED, [], id="blocked-and-not-asked-any-more"),
        pytest.param(_guard(passed=False), _guard(passed=False, message="still"), [], id="blocks-for-another-reason"),
        pytest.param({}, _guard(passed=False), [], id="the-first-list"),
    ],
)
def test_a_guard_tells_when_it_starts_or_stops_holding(before: Json, after: Json, told: list[str]) -> None:
    """Once, with its sentence; the first list of guards is no news."""
    found = notices(Status.model_validate(before), Status.model_validate(after))

    assert [each.reason for each in found] == told
    assert all(each.message == "NoConsumers: why" for each in found)
