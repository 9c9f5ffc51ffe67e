"""What an error does to the status, and when it is tried again: from its class alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from imageferry.api.status import Phase, Status
from imageferry.migration import failures
from imageferry.migration.errors import (
    AskUserError,
    BackOffError,
    DeniedError,
    GiveUpError,
    MigrationError,
    NotVisibleError,
    UnlistedError,
    WaitForStateError,
)
from imageferry.migration.facts import MISSING, Fact, Facts, Found, GalleryVersion
from imageferry.migration.failures import Failure, History
from imageferry.migration.steps import Case
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

FAULT = BackOffError("InternalServerError", "Azure answered 500: oops")
DENIED = DeniedError("AuthorizationFailed", "no right")
REFUSED = GiveUpError("PropertyChangeNotAllowed", "it cannot be changed")
QUOTA = AskUserError("QuotaExceeded", "no quota")
HIDDEN = NotVisibleError("ParentResourceNotFound", "no gallery")
BUSY = WaitForStateError("Conflict", "another operation runs")
RETRY = timedelta(minutes=5)
READY: Json = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "AwaitingVerification"}


def _history(error: MigrationError, *, times: int = 1, over: timedelta = timedelta()) -> History:
    """Return the history after `times` failures, the first of them `over` ago."""
    history = History()
    for n in range(times):
        history = history.plus(error, NOW - over if n == 0 else NOW)
    return history


def _status(error: MigrationError, history: History, status: Json | None = None) -> Status:
    stuck = failures.needs_a_person(error, history, now=NOW, timing=TIMING)
    failure = Failure(error, history, stuck, RETRY)
    return failures.status(build.migration(status=status), failure, now=NOW)


class TestDelay:
    """How long it waits."""

    @pytest.mark.parametrize(
        ("times", "seconds"),
        [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300), (1000, 300)],
    )
    def test_it_doubles_up_to_the_bound(self, times: int, seconds: int) -> None:
        """5, 10, 20 … seconds, at most five minutes, however long it goes on."""
        assert failures.delay(FAULT, History(times), timing=TIMING) == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        ("retry_after", "seconds"),
        [
            pytest.param(42, 42, id="longer-than-ours"),
            pytest.param(1, 5, id="shorter-than-ours"),
            pytest.param(1800, 1800, id="beyond-our-bound"),
        ],
    )
    def test_azure_is_never_asked_sooner_than_it_says(self, retry_after: int, seconds: int) -> None:
        """Retry-After is a lower bound."""
        error = BackOffError("TooManyRequests", "slow down", retry_after=timedelta(seconds=retry_after))

        assert failures.delay(error, History(1), timing=TIMING) == timedelta(seconds=seconds)

    def test_a_busy_resource_is_given_longer_at_first(self) -> None:
        """Something has to finish, which takes longer than a fault to pass."""
        assert failures.delay(BUSY, History(1), timing=TIMING) == timedelta(seconds=15)


class TestStall:
    """Who is needed."""

    @pytest.mark.parametrize(
        ("error", "needed"),
        [
            pytest.param(FAULT, False, id="fault"),
            pytest.param(BUSY, False, id="busy"),
            pytest.param(QUOTA, True, id="quota"),
            pytest.param(REFUSED, True, id="refused"),
        ],
    )
    def test_a_person_is_needed_for_what_time_does_not_cure(self, error: MigrationError, *, needed: bool) -> None:
        """Faults and conflicts pass, however often they come; refusals do not, from the first."""
        history = _history(error, times=50 if not needed else 1, over=timedelta(days=1))

        assert failures.needs_a_person(error, history, now=NOW, timing=TIMING) is needed

    @pytest.mark.parametrize(
        ("minutes", "needed"), [pytest.param(0, False, id="first"), (9, False), (10, True), (60, True)]
    )
    def test_a_missing_right_is_tolerated_for_ten_minutes(self, minutes: int, *, needed: bool) -> None:
        """Role assignments take minutes to spread."""
        history = _history(DENIED, times=2, over=timedelta(minutes=minutes))

        assert failures.needs_a_person(DENIED, history, now=NOW, timing=TIMING) is needed

    @pytest.mark.parametrize(("minutes", "needed"), [pytest.param(0, False, id="first"), (4, False), (5, True)])
    def test_what_may_not_be_visible_yet_is_tolerated_for_five_minutes(self, minutes: int, *, needed: bool) -> None:
        """ARM's caches take minutes; what is missing after that, somebody has to make."""
        history = _history(HIDDEN, times=2, over=timedelta(minutes=minutes))

        assert failures.needs_a_person(HIDDEN, history, now=NOW, timing=TIMING) is needed

    def test_the_patience_for_one_class_does_not_count_for_another(self) -> None:
        """An hour of 403 and then a 404 are not an hour of 404."""
        history = History().plus(DENIED, NOW - timedelta(hours=1)).plus(HIDDEN, NOW)

        assert not failures.needs_a_person(HIDDEN, history, now=NOW, timing=TIMING)

    def test_the_ten_minutes_start_anew_after_another_error(self) -> None:
        """A 403, an hour of faults, and a 403 again are not an hour of 403."""
        history = History().plus(DENIED, NOW - timedelta(hours=1)).plus(FAULT, NOW - timedelta(minutes=1))

        assert not failures.needs_a_person(DENIED, history.plus(DENIED, NOW), now=NOW, timing=TIMING)


class TestStatus:
    """What a reader sees."""

    @pytest.mark.parametrize(("times", "shown"), [(1, False), (2, False), (3, True), (4, True)])
    def test_a_fault_is_shown_from_the_third_in_a_row(self, times: int, *, shown: bool) -> None:
        """One 500 is not news."""
        assert (_status(FAULT, History(times)).error is not None) is shown

    @pytest.mark.parametrize(
        "error", [pytest.param(DENIED, id="denied"), pytest.param(BUSY, id="busy"), pytest.param(QUOTA, id="quota")]
    )
    def test_what_a_reader_can_act_on_is_shown_at_once(self, error: MigrationError) -> None:
        """Code, message and kind, from the first."""
        shown = _status(error, _history(error)).error

        assert shown is not None
        assert (shown.code, shown.message, shown.kind) == (error.code, error.message, error.kind)

    @pytest.mark.parametrize("error", [pytest.param(QUOTA, id="quota"), pytest.param(REFUSED, id="refused")])
    def test_what_needs_a_person_stalls(self, error: MigrationError) -> None:
        """Ready False and Stalled True, with Azure's code as reason."""
        status = _status(error, _history(error))

        assert status.phase is Phase.STALLED
        assert build.states(status) == {"Ready": "False", "Stalled": "True"}
        assert build.reason(status, "Stalled") == error.code

    @pytest.mark.parametrize("error", [pytest.param(BUSY, id="busy"), pytest.param(DENIED, id="denied")])
    @pytest.mark.parametrize("phase", [None, "Checking", "Creating", "Replicating", "Deleting"])
    def test_what_it_waits_for_is_said_while_it_is_under_way(self, error: MigrationError, phase: str | None) -> None:
        """Ready and Reconciling have the code and the text, in the phase of the step; never nothing at all."""
        status = _status(error, _history(error), {"phase": phase} if phase else None)

        assert status.phase == (phase or "Checking")
        assert build.states(status) == {"Ready": "False", "Reconciling": "True"}
        assert {(c.reason, c.message) for c in status.conditions} == {(error.code, error.message)}

    @pytest.mark.parametrize(
        "said",
        [
            pytest.param({"phase": "AwaitingVerification"}, id="the-command-that-verifies"),
            pytest.param({"phase": "Planned"}, id="a-plan"),
            pytest.param({"phase": "Stalled", "conditions": [{"type": "Stalled", "status": "True"}]}, id="a-stall"),
        ],
    )
    def test_what_a_person_is_told_is_not_overwritten(self, said: Json) -> None:
        """Only the error is shown beside it."""
        status = _status(BUSY, _history(BUSY), said)

        assert status.model_copy(update={"error": None}) == build.migration(status=said).status
        assert status.error is not None

    def test_a_deletion_that_needs_a_person_is_blocked(self) -> None:
        """The phase says so too."""
        said: Json = {"phase": "Deleting", "conditions": READY["conditions"]}

        assert _status(QUOTA, _history(QUOTA), said).phase is Phase.DELETION_BLOCKED

    def test_a_passing_error_changes_no_condition(self) -> None:
        """Only the error is shown; what Azure showed before stands."""
        status = _status(FAULT, History(3), READY)

        assert status.model_copy(update={"error": None}) == build.migration(status=READY).status

    def test_what_was_ready_stays_ready(self) -> None:
        """After readyWhen was reached a refusal blocks the deletion and nothing else."""
        status = _status(QUOTA, _history(QUOTA), READY)

        assert build.states(status) == {"Ready": "True", "SourceDeleted": "False"}
        assert build.reason(status, "SourceDeleted") == "DeletionBlocked"

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("QuotaExceeded", "QuotaExceeded"),
            ("Quota.Exceeded-2", "QuotaExceeded2"),
            ("404", "AzureError"),
            ("", "AzureError"),
        ],
    )
    def test_a_code_becomes_a_valid_reason(self, code: str, reason: str) -> None:
        """The reason of a condition is one word that starts with a letter."""
        error = AskUserError(code, "text")

        assert build.reason(_status(error, _history(error)), "Stalled") == reason

    def test_long_texts_are_cut(self) -> None:
        """The schema bounds both fields."""
        error = AskUserError("c" * 500, "m" * 9000)
        shown = _status(error, _history(error)).error

        assert shown is not None
        assert (len(shown.code), len(shown.message)) == (128, 4096)

    @pytest.mark.parametrize("error", [pytest.param(QUOTA, id="ask"), pytest.param(REFUSED, id="give-up")])
    def test_a_deleted_source_stays_deleted(self, error: MigrationError) -> None:
        """Behind a receipt no error says that the deletion is blocked (section 3: complete is final)."""
        done = build.stored(build.migration(), build.wait(build.migration(status=build.receipt()), build.facts()))

        assert build.states(_status(error, _history(error), done.status.wire()))["SourceDeleted"] == "True"


class TestInvalid:
    """A resource that the models refuse is marked, once."""

    TEXT = "spec.version.name: must be three numbers"

    def test_it_is_stalled_with_the_field_and_the_cure(self) -> None:
        """Ready False and Stalled True, reason InvalidSpec."""
        patch = failures.invalid_patch(build.body(), self.TEXT, now=NOW)

        assert {each["type"]: each["status"] for each in patch["conditions"]} == {"Ready": "False", "Stalled": "True"}
        assert {each["reason"] for each in patch["conditions"]} == {"InvalidSpec"}
        assert {each["message"] for each in patch["conditions"]} == {f"{self.TEXT}; correct the field"}
        assert patch["observedGeneration"] == 3

    def test_it_is_marked_once(self) -> None:
        """The same finding for the same generation is no write."""
        patch = failures.invalid_patch(build.body(), self.TEXT, now=NOW)
        marked = build.body(status=patch)

        assert failures.invalid_patch(marked, self.TEXT, now=NOW + timedelta(hours=1)) == {}

    def test_the_conditions_of_others_are_kept(self) -> None:
        """Only the overall conditions are replaced."""
        said = [{"type": "Verified", "status": "True"}, {"type": "Reconciling", "status": "True"}]
        patch = failures.invalid_patch(build.body(status={"conditions": said}), self.TEXT, now=NOW)

        assert [each["type"] for each in patch["conditions"]] == ["Verified", "Ready", "Stalled"]

    def test_the_mark_is_a_status_that_the_models_read(self) -> None:
        """So that the corrected resource can be taken up from it."""
        patch = failures.invalid_patch(build.body(), self.TEXT, now=NOW)

        assert build.states(Status.model_validate(patch)) == {"Ready": "False", "Stalled": "True"}

    def test_another_finding_does_not_move_the_transition_time(self) -> None:
        """It was stalled before and is stalled still."""
        marked = build.body(status=failures.invalid_patch(build.body(), self.TEXT, now=NOW))
        patch = failures.invalid_patch(marked, "spec.gallery.id: wrong", now=NOW + timedelta(hours=1))

        assert {each["lastTransitionTime"] for each in patch["conditions"]} == {"2026-05-01T12:00:00Z"}


ANOTHERS = build.version(source_id=f"{build.IMAGE_ID}-2")
LAGGING = replace(build.version(), provisioning_state="Updating")


@pytest.mark.parametrize(
    "seen", [MISSING, Found(ANOTHERS), Found(LAGGING)], ids=["missing", "built from another image", "updating"]
)
def test_what_was_seen_gone_before_the_error_is_not_claimed(seen: Fact[GalleryVersion]) -> None:
    """A version that the same pass saw missing is neither ready nor replicated, nor is the migration (promise 3)."""
    kinds = ("Ready", "VersionReady", "Replicated", "DefinitionReady")
    said: Json = {
        "conditions": [{"type": kind, "status": "True"} for kind in kinds],
        "replication": {"summary": "1/1", "progress": 100},
    }
    subject = failures.corrected(Case(build.migration(status=said), Facts(version=seen), build.context()))
    failure = Failure(QUOTA, _history(QUOTA), stuck=True, after=RETRY)
    status = failures.status(subject, failure, now=NOW)

    told = {"Ready": "False", "VersionReady": "False", "Replicated": "False", "DefinitionReady": "True"}
    assert build.states(status) == {**told, "Stalled": "True"}
    assert (status.replication is None) is (seen != Found(LAGGING))


@pytest.mark.parametrize(("region", "kept"), [("westeurope", True), ("uksouth", False)])
def test_regions_that_a_failed_pass_did_not_see_completed_are_not_claimed(region: str, *, kept: bool) -> None:
    """Somebody built another version under the number: a region of the old one is told no more (promise 3)."""
    told: Json = {"summary": "1/1", "regions": [{"name": region, "state": "Completed"}]}
    subject = build.migration(status={"replication": told})
    status = failures.corrected(Case(subject, Facts(version=Found(build.version())), build.context())).status

    assert (status.replication is not None) is kept


def test_a_mutation_that_is_tried_again_leaves_the_refusal_and_tells_the_rest() -> None:
    """Stalled does not flap at each try, and a region that was lost meanwhile is told (promise 3)."""
    refused: Json = {
        "phase": "Stalled",
        "conditions": [{"type": kind, "status": "True"} for kind in ("Replicated", "Stalled")],
        "error": {"code": "ScopeLocked", "message": "locked", "kind": "AskUser"},
    }
    before = build.migration(status=refused).status
    found = build.act(build.migration(build.in_regions("uksouth"), refused), build.facts()).status
    told = failures.still_held_up(before, found)

    assert build.states(told) == {"VersionReady": "True", "Replicated": "False", "Stalled": "True"}
    assert (told.phase, told.error) == (before.phase, before.error)


class TestShown:
    """What `status.error` says besides code and message."""

    ERROR = AskUserError("QuotaExceeded", "no quota", correlation_id="first")

    def _stored(self, **changes: str) -> Json:
        told = {"code": "QuotaExceeded", "message": "no quota", "kind": "AskUser", "correlationId": "first"}
        return {"error": told | changes}

    def test_it_has_the_correlation_id_and_the_time_of_the_next_try(self) -> None:
        """Azure's support asks for the one, a reader for the other."""
        error = _status(self.ERROR, _history(self.ERROR)).error

        assert error is not None
        assert (error.correlation_id, error.retry_time) == ("first", NOW + RETRY)

    def test_the_same_error_again_is_no_news(self) -> None:
        """A restart meets it again before its time, and writes nothing."""
        later = AskUserError("QuotaExceeded", "no quota", correlation_id="second")
        ahead = (NOW + timedelta(minutes=1)).isoformat()
        error = _status(later, _history(later), self._stored(retryTime=ahead)).error

        assert error is not None
        assert (error.correlation_id, error.retry_time) == ("first", NOW + timedelta(minutes=1))

    def test_a_time_that_has_passed_is_told_anew(self) -> None:
        """It was tried at that time, and is tried again."""
        past = (NOW - timedelta(minutes=1)).isoformat()
        error = _status(self.ERROR, _history(self.ERROR), self._stored(retryTime=past)).error

        assert error is not None
        assert error.retry_time == NOW + RETRY

    def test_an_unlisted_code_is_shown_at_once(self) -> None:
        """Nobody knows what it means, so a reader has to see it."""
        unlisted = UnlistedError("NeverSeen", "Azure answered 400: what?")

        assert _status(unlisted, _history(unlisted)).error is not None
