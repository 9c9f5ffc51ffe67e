"""Other migrations of the same managed image."""

from datetime import timedelta
from typing import Any

import pytest

from imageferry.migration import siblings
from imageferry.migration.facts import Sibling
from tests.unit import build
from tests.unit.build import NOW, Json

OTHER_UID = "22222222-2222-2222-2222-222222222222"
DONE: Json = {"conditions": [{"type": "Replicated", "status": "True"}]}


def _of(spec: Json | None = None, status: Json | None = None, **metadata: Any) -> tuple[Sibling, ...]:
    other = build.body(spec, status, **({"name": "other", "uid": OTHER_UID} | metadata))
    return siblings.of(build.migration(), [build.body(), other], now=NOW)


@pytest.mark.parametrize(
    ("spec", "metadata", "counts"),
    [
        pytest.param({}, {}, True, id="same-image"),
        pytest.param({"source": {"managedImageId": build.IMAGE_ID.upper()}}, {}, True, id="same-image-other-casing"),
        pytest.param({"suspend": True}, {}, True, id="suspended"),
        pytest.param({}, {"namespace": "other"}, True, id="other-namespace"),
        pytest.param({"source": {"managedImageId": build.OTHER_IMAGE_ID}}, {}, False, id="other-image"),
        pytest.param({}, {"uid": build.UID}, False, id="itself"),
        pytest.param({}, {"deletionTimestamp": NOW.isoformat()}, False, id="being-deleted"),
    ],
)
def test_a_sibling_is_another_living_migration_of_the_same_image(spec: Json, metadata: Json, *, counts: bool) -> None:
    """By uid and by the image's id, letter case aside, in any namespace."""
    assert bool(_of(spec, **metadata)) is counts


def test_a_fresh_sibling_needs_the_image() -> None:
    """Nothing is replicated or verified until it says so."""
    assert _of() == (Sibling("platform/other", retains=False, finished=False, replicated=False, verified=False),)


@pytest.mark.parametrize(
    ("status", "verified"),
    [
        pytest.param(build.verified(build.version()), True, id="bound-to-its-proof"),
        pytest.param(build.proven(build.version()), False, id="nobody-spoke"),
        pytest.param(
            build.verified(build.version()) | {"conditions": [{"type": "VERIFIED", "status": "True"}]},
            True,
            id="any-letter-case",
        ),
        pytest.param(
            build.verified(build.version()) | {"conditions": [{"type": "Verified", "status": "False"}]},
            False,
            id="veto",
        ),
        pytest.param(
            build.verified(build.version()) | {"verification": {"digest": f"v1:sha256:{'0' * 64}"}},
            False,
            id="for-another-proof",
        ),
        pytest.param(
            {"conditions": [{"type": "Verified", "status": "True"}], **build.proven(build.version())},
            False,
            id="not-seen-by-the-operator-yet",
        ),
        pytest.param({"conditions": [{"type": "Verified", "status": "True"}]}, False, id="without-proof"),
    ],
)
def test_it_is_verified_for_its_own_proof_only(status: Json, *, verified: bool) -> None:
    """A word that is not bound to the sibling's present proof does not release the image."""
    assert _of(status=status)[0].verified is verified


@pytest.mark.parametrize(("age", "stands"), [(59, True), (61, False)])
def test_its_verification_may_be_over(age: int, *, stands: bool) -> None:
    """Also where its own pass has not yet said so."""
    said = build.verified(build.version(), at=NOW - timedelta(seconds=age))

    assert _of({"verification": {"validForSeconds": 60}}, said)[0].verified is stands


def test_it_may_be_approved_by_its_digest() -> None:
    """As the operator has seen it, and for its present proof."""
    status = build.proven(build.version())
    digest = status["proof"]["digest"]
    seen = status | {"verification": {"digest": digest, "method": "ApprovedDigest"}}
    approved: Json = {"verification": {"approvedDigest": digest}}

    assert _of(approved, seen)[0].verified
    assert not _of(approved, status)[0].verified
    assert not _of({"verification": {"approvedDigest": f"v1:sha256:{'0' * 64}"}}, seen)[0].verified


def test_it_is_replicated_when_its_status_says_so() -> None:
    """Replicated True, and nothing less."""
    assert _of(status=DONE)[0].replicated
    assert not _of(status={"conditions": [{"type": "Replicated", "status": "Unknown"}]})[0].replicated


def test_one_that_retains_is_told() -> None:
    """Its policy is a veto."""
    assert _of({"sourceDeletion": {"policy": "Retain"}})[0].retains


def test_one_with_a_receipt_is_finished() -> None:
    """It needs the image no more."""
    assert _of(status=build.receipt())[0].finished


def test_one_that_cannot_be_read_blocks() -> None:
    """Nobody knows what it needs."""
    (sibling,) = _of({"version": {"name": "one"}}, build.receipt())

    assert (sibling.finished, sibling.replicated, sibling.verified) == (False, False, False)
