"""A verification counts for just the proof that its author saw (design, section 6)."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imageferry.api.resource import ImageMigration
from imageferry.api.status import GuardStatus, Proof, Status
from imageferry.migration import identity, verification
from tests import manifests
from tests.unit import build
from tests.unit.build import NOW, Json

VERSION = build.version()
REBUILT = build.version(published_date=build.REPUBLISHED)
FINGERPRINT = identity.fingerprint(build.image())
PROOF = identity.proof(FINGERPRINT, VERSION)
NEW_PROOF = identity.proof(FINGERPRINT, REBUILT)
LATER = NOW + timedelta(minutes=1)


def _status(
    said: str | None = "True", *, bound: str | None = None, stored: Proof | None = PROOF, kind: str = "Verified"
) -> Status:
    body: Json = {}
    if said:
        body["conditions"] = [{"type": kind, "status": said}]
    if bound:
        body["verification"] = {"digest": bound}
    if stored:
        body["proof"] = stored.wire()
    return Status.model_validate(body)


COUNTS = [
    pytest.param(_status(bound=PROOF.digest), PROOF, True, id="digest-given"),
    pytest.param(_status(), PROOF, True, id="stored-proof"),
    pytest.param(_status(bound=PROOF.digest, stored=None), PROOF, True, id="digest-given-without-stored-proof"),
    pytest.param(_status(bound=PROOF.digest, stored=NEW_PROOF), PROOF, True, id="given-digest-outranks-stored-proof"),
    pytest.param(_status(bound=PROOF.digest), NEW_PROOF, False, id="proof-changed"),
    pytest.param(_status(), NEW_PROOF, False, id="stored-proof-changed"),
    pytest.param(_status(bound=NEW_PROOF.digest), PROOF, False, id="digest-of-another-proof"),
    pytest.param(_status(stored=None), PROOF, False, id="said-before-any-proof"),
    pytest.param(_status("False", bound=PROOF.digest), PROOF, False, id="veto"),
    pytest.param(_status("Unknown", bound=PROOF.digest), PROOF, False, id="unknown"),
    pytest.param(_status(None), PROOF, False, id="nobody-spoke"),
    pytest.param(_status(None, bound=PROOF.digest), PROOF, False, id="digest-without-condition"),
]


@pytest.mark.parametrize(("status", "proof", "counts"), COUNTS)
def test_it_is_bound_to_the_digest_that_its_author_saw(status: Status, proof: Proof, *, counts: bool) -> None:
    """The digest that was given, else the proof stored in the same body; never one computed afterwards."""
    assert verification.judge(status, proof, now=NOW).current is counts


@pytest.mark.parametrize("kind", ["Verified", "verified", "VERIFIED", "vErIfIeD"])
def test_any_letter_case_is_heard(kind: str) -> None:
    """A word counts however its author spelled the condition."""
    assert verification.judge(_status(kind=kind), PROOF, now=NOW).current


@pytest.mark.parametrize("kind", ["verified", "VERIFIED"])
def test_an_odd_spelling_does_not_become_a_second_condition(kind: str) -> None:
    """The API server allows one Verified condition, letter case aside."""
    status = _step(_migration(_status(kind=kind))).status

    assert [each.type for each in status.conditions if each.type.casefold() == "verified"] == ["Verified"]


def _migration(status: Status) -> ImageMigration:
    return build.migration(status=status.wire())


def _step(subject: ImageMigration, version: Any = VERSION, now: datetime = NOW) -> Any:
    return build.wait(subject, build.facts(version=version), build.context(now))


class TestVoid:
    """A changed proof takes the verification back in the very write that stores the new proof."""

    def test_the_condition_becomes_unknown(self) -> None:
        """Unknown, with the reason ProofChanged and the cure."""
        status = _step(_migration(_status(bound=PROOF.digest)), REBUILT).status

        assert build.states(status)["Verified"] == "Unknown"
        assert build.reason(status, "Verified") == "ProofChanged"
        assert "set the condition again" in build.message(status, "Verified")

    def test_the_same_status_holds_the_new_proof_and_no_binding(self) -> None:
        """A status with the new proof and the old word never exists."""
        status = _step(_migration(_status(bound=PROOF.digest)), REBUILT).status

        assert status.proof == NEW_PROOF
        assert status.verification is None

    def test_a_word_said_before_any_proof_does_not_bind_to_the_first_one(self) -> None:
        """Nobody can have seen a proof that was not there."""
        status = _step(_migration(_status(stored=None))).status

        assert build.states(status)["Verified"] == "Unknown"
        assert status.proof == PROOF

    def test_a_word_said_while_it_replicates_is_void_at_once(self) -> None:
        """There is nothing to vouch for yet."""
        status = _step(_migration(_status(stored=None)), build.replicating()).status

        assert build.states(status)["Verified"] == "Unknown"

    def test_more_regions_for_the_same_build_keep_it(self) -> None:
        """A version that only gets one more region is the version that was verified."""
        spec = build.in_regions("westeurope", "uksouth")
        subject = build.migration(spec, build.verified(VERSION))
        lagging = build.replicating("westeurope", "uksouth", lagging="uksouth", provisioning_state="Updating")
        status = _step(subject, lagging).status

        assert build.states(status)["Verified"] == "True"
        assert status.verification == subject.status.verification

    def test_a_rebuild_that_replicates_voids_it(self) -> None:
        """Another publishedDate is another build."""
        lagging = build.replicating(published_date=build.REPUBLISHED)
        status = _step(_migration(_status(bound=PROOF.digest)), lagging).status

        assert build.states(status)["Verified"] == "Unknown"
        assert status.proof is None

    def test_a_changed_image_voids_it(self) -> None:
        """The proof names the source too."""
        seen = build.facts(image=build.image(data_disks=()))
        status = build.wait(build.migration(status=build.verified(VERSION)), seen).status

        assert build.states(status)["Verified"] == "Unknown"

    def test_it_does_not_come_back_when_the_old_proof_does(self) -> None:
        """What was taken back has to be said again."""
        voided = build.stored(
            _migration(_status(bound=PROOF.digest)), _step(_migration(_status(bound=PROOF.digest)), REBUILT)
        )

        assert build.states(_step(voided).status)["Verified"] == "Unknown"

    def test_saying_it_again_sets_it_anew(self) -> None:
        """True over our Unknown, with the reason and message still ours, counts for the proof that stands there."""
        voided = _step(_migration(_status(bound=PROOF.digest)), REBUILT).status.wire()
        verified = next(each for each in voided["conditions"] if each["type"] == "Verified")
        verified["status"] = "True"
        status = _step(build.migration(status=voided), REBUILT, LATER).status

        assert build.states(status)["Verified"] == "True"
        assert build.reason(status, "Verified") == "Condition"
        assert build.message(status, "Verified") == ""
        assert status.verification is not None
        assert (status.verification.digest, status.verification.at) == (NEW_PROOF.digest, LATER)


class TestWord:
    """What others say is kept as they said it."""

    def test_a_veto_stays(self) -> None:
        """False is a person's, and only a person lifts it; also when the proof changes."""
        status = _step(_migration(_status("False")), REBUILT).status

        assert build.states(status)["Verified"] == "False"

    def test_nothing_is_said_for_others(self) -> None:
        """The operator writes no Verified entry until somebody has spoken."""
        assert "Verified" not in build.states(_step(build.migration()).status)

    def test_the_reason_of_its_author_is_kept(self) -> None:
        """Another controller's reason, message and extra fields are not ours to change."""
        said = {"type": "Verified", "status": "True", "reason": "SmokeTest", "message": "12 of 12", "runId": "r-1"}
        status = _status()
        body = status.wire() | {"conditions": [said]}
        kept = build.condition(_step(build.migration(status=body)).status, "Verified")

        assert kept is not None
        assert {key: kept.wire()[key] for key in said} == said

    def test_the_binding_is_written_down_when_it_is_first_seen(self) -> None:
        """Digest, time and method, so that the word stays bound from then on."""
        given = _step(_migration(_status())).status.verification

        assert given is not None
        assert (given.digest, given.at, given.method) == (PROOF.digest, NOW, "Condition")

    def test_a_time_ahead_of_our_clock_is_left_as_it_stands(self) -> None:
        """An earlier leader's clock was ahead: to write it anew would cost every migration a write at a restart."""
        ahead = build.verified(VERSION, at=NOW + timedelta(hours=2))
        given = _step(build.migration(status=ahead)).status.verification

        assert given is not None
        assert given.at == NOW + timedelta(hours=2)

    def test_author_and_evidence_are_kept(self) -> None:
        """Who verified, and why, is theirs to say."""
        status = _status().wire() | {"verification": {"by": "ann", "evidence": "CHG-1"}}
        given = _step(build.migration(status=status)).status.verification

        assert given is not None
        assert (given.by, given.evidence) == ("ann", "CHG-1")


VALID: Json = {"verification": {"validForSeconds": 3600}}
HOUR = timedelta(hours=1)


class TestExpiry:
    """A verification counts for so long; then the condition is taken back, as when the proof changes."""

    @pytest.mark.parametrize(
        ("age", "stands"),
        [
            pytest.param(HOUR - timedelta(seconds=1), True, id="a-second-before"),
            pytest.param(HOUR, False, id="on-time"),
            pytest.param(timedelta(days=9), False, id="long-after"),
        ],
    )
    def test_it_counts_from_when_it_was_first_seen(self, age: timedelta, *, stands: bool) -> None:
        """To the second."""
        status = _step(build.migration(VALID, build.verified(VERSION, at=NOW - age))).status

        assert build.states(status)["Verified"] == ("True" if stands else "Unknown")

    def test_the_condition_says_that_it_expired(self) -> None:
        """Unknown, reason Expired, with the cure; the binding goes with it."""
        status = _step(build.migration(VALID, build.verified(VERSION, at=NOW - HOUR))).status

        assert build.reason(status, "Verified") == "Expired"
        assert "valid for 3600 seconds, until 2026-05-01T12:00:00Z" in build.message(status, "Verified")
        assert status.verification is None
        assert status.proof == PROOF

    def test_nothing_is_said_where_nobody_has_spoken(self) -> None:
        """The operator writes no Verified entry of its own accord."""
        assert "Verified" not in build.states(_step(build.migration(VALID)).status)

    def test_saying_it_again_starts_anew(self) -> None:
        """True over our Unknown counts for another hour, and no longer says Expired."""
        over = _step(build.migration(VALID, build.verified(VERSION, at=NOW - HOUR))).status.wire()
        next(each for each in over["conditions"] if each["type"] == "Verified")["status"] = "True"
        status = _step(build.migration(VALID, over), VERSION, LATER).status

        assert (build.states(status)["Verified"], build.reason(status, "Verified")) == ("True", "Condition")
        assert status.verification is not None
        assert status.verification.at == LATER

    def test_it_is_looked_at_when_it_expires(self) -> None:
        """Not ten minutes later."""
        said = build.verified(VERSION, at=NOW - HOUR + timedelta(seconds=90))
        step = _step(build.migration({**VALID, "sourceDeletion": {"policy": "Retain"}}, said))

        assert step.after == timedelta(seconds=90)

    def test_without_the_field_it_holds(self) -> None:
        """A year later it still counts."""
        status = _step(build.migration(status=build.verified(VERSION, at=NOW - timedelta(days=365)))).status

        assert build.states(status)["Verified"] == "True"


def _approving(digest: str = PROOF.digest, status: Json | None = None, **terms: int) -> ImageMigration:
    return build.migration({"verification": {"approvedDigest": digest, **terms}}, status)


class TestApproval:
    """The spec names the digest: approval by pull request."""

    def _stands(self, subject: ImageMigration, seen: Any = VERSION, now: datetime = NOW) -> bool:
        step, _ = build.settle(subject, build.facts(version=seen), build.context(now, build.completed(seen)))
        deletion = step.status.deletion
        assert deletion is not None
        return {each.name: each.passed for each in deletion.guards}["VerificationCurrent"]

    def test_the_digest_of_the_proof_verifies(self) -> None:
        """Without any condition, and none is written; who approved is in Git."""
        step = _step(_approving())

        assert self._stands(_approving())
        assert "Verified" not in build.states(step.status)
        assert step.status.verification is not None
        assert step.status.verification.wire() == {
            "digest": PROOF.digest,
            "at": NOW.isoformat().replace("+00:00", "Z"),
            "method": "ApprovedDigest",
        }

    def test_another_digest_does_not(self) -> None:
        """A rebuild needs another approval; the message tells both."""
        subject = _approving(NEW_PROOF.digest)

        assert not self._stands(subject)
        assert PROOF.digest in build.message(_step(subject).status, "SourceDeleted")
        assert NEW_PROOF.digest in build.message(_step(subject).status, "SourceDeleted")
        assert not self._stands(_approving(), REBUILT)

    def test_a_veto_beats_it(self) -> None:
        """And stays until a person lifts it."""
        vetoed: Json = {"conditions": [{"type": "verified", "status": "False"}], "proof": PROOF.wire()}
        subject = _approving(status=vetoed)

        assert not self._stands(subject)
        assert build.states(_step(subject).status)["Verified"] == "False"
        assert "only a person lifts" in build.message(_step(subject).status, "SourceDeleted")

    def test_it_does_not_expire(self) -> None:
        """Also where the condition does."""
        subject = _approving(status=build.verified(VERSION, at=NOW - 2 * HOUR), validForSeconds=3600)
        status = _step(subject).status

        assert self._stands(subject)
        assert (build.states(status)["Verified"], build.reason(status, "Verified")) == ("Unknown", "Expired")

    def test_a_word_for_another_proof_does_not_spoil_it(self) -> None:
        """What was said for the old build is void, what is approved for the new one counts."""
        subject = _approving(NEW_PROOF.digest, build.verified(VERSION))

        assert self._stands(subject, REBUILT)

    def test_the_grace_counts_from_when_it_was_first_seen(self) -> None:
        """And not anew in every pass."""
        first = build.stored(_approving(), _step(_approving()))
        again = _step(first, VERSION, LATER).status

        assert again.verification is not None
        assert again.verification.at == NOW

    def test_a_person_who_said_it_too_is_named(self) -> None:
        """The condition's author is worth more in the status than a digest."""
        said = build.verified(VERSION)
        said["verification"]["by"] = "ann"
        kept = _step(_approving(status=said)).status.verification

        assert kept is not None
        assert (kept.by, kept.method) == ("ann", "Condition")


class TestCommand:
    """While a person is awaited, Ready says the very command that verifies."""

    def test_it_is_in_the_message_of_ready(self) -> None:
        """With name, namespace and digest, in the name of who runs it, ready to be pasted."""
        text = build.message(_step(build.migration()).status, "Ready")
        manifest = json.loads(manifests.told(text, by="ann"))

        assert manifest["metadata"] == {"name": "web-2019", "namespace": "platform"}
        assert manifest["status"]["verification"] == {"by": "ann", "digest": PROOF.digest}
        assert manifest["status"]["conditions"] == [{"type": "Verified", "status": "True"}]

    def test_what_it_applies_verifies(self) -> None:
        """The status that the command leads to is current."""
        status = _step(build.migration()).status
        text = build.message(status, "Ready")
        applied = json.loads(manifests.told(text))["status"]
        after = status.wire() | {"conditions": [*status.wire()["conditions"], *applied["conditions"]]}
        after["verification"] = applied["verification"]

        assert verification.judge(Status.model_validate(after), PROOF, now=LATER).current

    def test_it_names_the_new_digest_after_a_rebuild(self) -> None:
        """An old command, pasted again, would not verify what its author did not see."""
        text = build.message(_step(_migration(_status(bound=PROOF.digest)), REBUILT).status, "Ready")

        assert NEW_PROOF.digest in text
        assert PROOF.digest not in text


def _guard(status: Status) -> GuardStatus:
    guards = status.deletion.guards if status.deletion else []
    return next(guard for guard in guards if guard.name == "VerificationCurrent")


class TestUnauthenticated:
    """Where the API server does not see to it who verifies, the status says so with what it says of verification."""

    GAP = "there is no policy"

    def _status(self, subject: ImageMigration, gap: str | None = GAP) -> Status:
        context = replace(build.context(), gap=gap)
        status: Status = build.wait(subject, build.facts(version=VERSION), context).status
        return status

    def test_the_message_of_ready_tells_while_a_person_is_awaited(self) -> None:
        """Before the command, which stays the end of it."""
        open_, closed = (build.message(self._status(build.migration(), gap), "Ready") for gap in (self.GAP, None))

        assert verification.unauthenticated(self.GAP) in open_
        assert open_.replace(f" {verification.unauthenticated(self.GAP)}.", "") == closed

    def test_the_guard_tells_afterwards(self) -> None:
        """A verification counts all the same; whose it is, is not sure."""
        status = self._status(_migration(_status(bound=PROOF.digest)))
        guard = _guard(status)

        assert guard.passed
        assert guard.message == f"verified for {PROOF.digest}. {verification.unauthenticated(self.GAP)}"

    def test_nothing_is_said_where_nobody_has_verified(self) -> None:
        """The guard tells what it waits for."""
        assert "unauthenticated" not in str(_guard(self._status(build.migration())).message)
