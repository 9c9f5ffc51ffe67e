"""What a person's verdict writes, and what speaks against writing it."""

from typing import Any

import pytest

from imageferry.plugin import verdict
from imageferry.plugin.verdict import Verdict
from tests.unit import build
from tests.unit.build import NOW, Json

READY = {"type": "Ready", "status": "True", "reason": "AwaitingVerification"}
PROVEN = build.proven(build.version())
DIGEST = PROVEN["proof"]["digest"]
YES = Verdict(verified=True, by="vera", message="ran it", evidence="https://ci/1")
NO = Verdict(verified=False, by="vera", message="no boot")


def _body(*conditions: Json, **status: Any) -> Json:
    return build.body(status=PROVEN | {"conditions": [READY, *conditions]} | status)


def _said(status: str, kind: str = "Verified", **more: str) -> Json:
    return {"type": kind, "status": status, **more}


def _applied(body: Json, operations: list[Json]) -> Json:
    """Apply the operations that a verdict uses, as RFC 6902 tells them."""
    version, said, given = operations
    assert (version["op"], version["path"]) == ("replace", "/metadata/resourceVersion")
    conditions = [*body["status"]["conditions"]]
    *_, place = said["path"].split("/")
    if said["op"] == "replace":
        conditions[int(place)] = said["value"]
    else:
        assert (said["op"], place) == ("add", "-")
        conditions.append(said["value"])
    assert (given["op"], given["path"]) == ("add", "/status/verification")
    status = {**body["status"], "conditions": conditions, "verification": given["value"]}
    return {**body, "status": status, "metadata": {**body["metadata"], "resourceVersion": version["value"]}}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_body(), id="nobody-has-spoken"),
        pytest.param(_body(_said("Unknown", "vErified"), {"type": "Last", "status": "True"}), id="in-between"),
        pytest.param(_body(_said("True"), verification={"digest": "x", "by": "bob", "at": "2026-01-01"}), id="again"),
    ],
)
@pytest.mark.parametrize("said", [YES, NO], ids=["verify", "reject"])
def test_the_patch_changes_the_condition_and_the_verification_of_just_this_version(body: Json, said: Verdict) -> None:
    """Other conditions keep their places; nothing of an earlier verification stays; a dry run shows the same."""
    after = _applied(body, verdict.patch(body, said, NOW))
    assert after == verdict.patched(body, said, NOW)
    others = [each for each in after["status"]["conditions"] if each["type"].casefold() != "verified"]
    assert others == [each for each in body["status"]["conditions"] if each["type"].casefold() != "verified"]
    assert after["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]
    evidence = {"evidence": "https://ci/1"} if said.verified else {}
    assert after["status"]["verification"] == {"digest": DIGEST, "by": "vera", **evidence}


def test_without_any_condition_the_list_is_made() -> None:
    """A status that holds a proof alone."""
    _, said, _ = verdict.patch(build.body(status=PROVEN), YES, NOW)
    assert (said["op"], said["path"]) == ("add", "/status/conditions")
    assert [each["type"] for each in said["value"]] == ["Verified"]


def test_the_time_of_the_transition_stays_while_the_status_does() -> None:
    """As conditions are meant; the type stays as its first author spelled it."""
    earlier = _said("True", "verified", lastTransitionTime="2026-01-01T00:00:00Z")
    again = verdict.condition(_body(earlier), YES, NOW)
    assert (again["type"], again["lastTransitionTime"]) == ("verified", "2026-01-01T00:00:00Z")
    assert verdict.condition(_body(earlier), NO, NOW)["lastTransitionTime"] == "2026-05-01T12:00:00Z"


def test_the_message_of_a_veto_holds_its_author() -> None:
    """The operator keeps `verification` only while it counts."""
    assert verdict.condition(_body(), NO, NOW)["message"] == "rejected by vera: no boot"
    assert verdict.condition(_body(), Verdict(verified=False, by="vera"), NOW)["message"] == "rejected by vera"
    assert verdict.condition(_body(), YES, NOW)["message"] == "ran it"


RECEIPT = {"receipt": {"outcome": "Deleted", "resource": "web", "at": "2026-05-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("body", "wanted", "named", "says"),
    [
        pytest.param(_body(), None, True, None, id="ready"),
        pytest.param(_body(), DIGEST, True, None, id="the-digest-wanted"),
        pytest.param(_body(), "v1:other", True, "and not v1:other", id="another-digest"),
        pytest.param(build.body(), None, True, "there is nothing to verify yet, its phase is Pending", id="no-proof"),
        pytest.param(_body(deletion=RECEIPT), None, True, "its managed image is gone since", id="gone"),
        pytest.param(_body(_said("False", "VERIFIED", message="no")), None, False, "a veto stands (no)", id="veto"),
        pytest.param(_body(_said("False")), None, True, None, id="veto-by-its-name"),
        pytest.param(_body(_said("Unknown")), None, False, None, id="void"),
    ],
)
def test_what_speaks_against_it(body: Json, wanted: str | None, *, named: bool, says: str | None) -> None:
    """A veto is lifted only by who names it."""
    found = verdict.hindrance(body, wanted=wanted, named=named)
    assert (found is None) if says is None else (found is not None and says in found)


@pytest.mark.parametrize(
    ("after", "says"),
    [
        pytest.param(_body(phase="Deleting", lastHandledReconcileAt="now"), None, id="progress"),
        pytest.param(_body(proof=PROVEN["proof"] | {"digest": "v1:other"}), "status.proof", id="proof"),
        pytest.param(_body(_said("False")), "the Verified condition", id="veto"),
        pytest.param(_body(deletion=RECEIPT), "status.deletion.receipt", id="gone"),
        pytest.param(build.body(status=_body()["status"], generation=4), "the spec", id="spec"),
        pytest.param(build.body(status=_body()["status"], uid="other"), "the migration itself", id="made-again"),
    ],
)
def test_what_was_shown_must_be_what_is_written_for(after: Json, says: str | None) -> None:
    """Progress is no difference; proof, spec, a verdict, the end and another resource of the name are."""
    found = verdict.difference(_body(), after)
    assert (found is None) if says is None else (found is not None and found.startswith(says))


@pytest.mark.parametrize(
    ("conditions", "digest", "stands"),
    [
        pytest.param([_said("True")], DIGEST, True, id="for-this-proof"),
        pytest.param([_said("True")], "v1:other", False, id="for-another"),
        pytest.param([_said("True")], None, False, id="not-bound-yet"),
        pytest.param([_said("False")], DIGEST, False, id="veto"),
        pytest.param([], DIGEST, False, id="nobody"),
    ],
)
def test_it_stands_when_somebody_verified_this_proof(
    conditions: list[Json], digest: str | None, *, stands: bool
) -> None:
    """Only then is there nothing to write."""
    given = {"verification": {"digest": digest}} if digest else {}
    assert verdict.stands(_body(*conditions, **given)) is stands
