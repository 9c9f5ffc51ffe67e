"""A receipt tells what went, when, by whose hand and on whose word; it is written once and never again."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from imageferry.api.resource import ImageMigration
from imageferry.api.status import ActionName, AzureIdentity, Receipt
from imageferry.azure import claims
from imageferry.engine.memory import Memory
from imageferry.migration.facts import MISSING
from imageferry.migration.steps import Context
from tests.unit import build
from tests.unit.build import NOW, Json

US = AzureIdentity(tenant_id="tenant", client_id="client", object_id="object")
CORRELATION = "11111111-2222-3333-4444-555555555555"


def _context(**changes: object) -> Context:
    given = build.context(completion=build.completed(build.version()))
    return replace(given, identity=US, **changes)  # type: ignore[arg-type]


def _verified(**verification: str) -> Json:
    status = build.verified(build.version())
    return status | {"verification": status["verification"] | verification}


def _announced(**verification: str) -> ImageMigration:
    """Return a migration whose deletion is announced, as it is stored."""
    subject = build.migration(status=_verified(**verification))
    return build.stored(subject, build.act(subject, build.facts(), _context()))


def _receipt(subject: ImageMigration, context: Context | None = None) -> Receipt:
    step = build.wait(subject, build.facts(image=MISSING), context or _context(correlation_id=CORRELATION))
    assert step.status.receipt is not None
    return step.status.receipt


def test_it_tells_all_of_a_deletion() -> None:
    """The image, the version, the proof, the times, the identity, the verification and Azure's correlation id."""
    told = _receipt(_announced(by="vera", method="Person", evidence="https://ci/1")).wire()

    assert told["outcome"] == "Deleted"
    assert told["resource"] == build.IMAGE_ID
    assert told["source"] == {
        "id": build.IMAGE_ID,
        "location": "westeurope",
        "osType": "Windows",
        "hyperVGeneration": "V2",
        "sizeGB": 191,
        "dataDisks": 1,
        "fingerprint": build.verified(build.version())["proof"]["sourceFingerprint"],
    }
    assert told["version"] == {"id": build.VERSION_ID, "publishedDate": build.PUBLISHED}
    assert told["digest"] == told["verification"]["digest"] == build.verified(build.version())["proof"]["digest"]
    assert {name: told["verification"][name] for name in ("by", "method", "evidence")} == {
        "by": "vera",
        "method": "Person",
        "evidence": "https://ci/1",
    }
    assert told["identity"] == {"tenantId": "tenant", "clientId": "client", "objectId": "object"}
    assert told["requestedAt"] == "2026-05-01T12:00:00Z"
    assert told["correlationId"] == CORRELATION


def test_the_verification_is_that_of_the_announcement() -> None:
    """Whoever speaks up while Azure already deletes does not end up as the one who allowed it."""
    subject = _announced(by="vera")
    late = subject.status.verification
    assert late is not None
    meanwhile = {"verification": late.model_copy(update={"by": "mallory"}), "conditions": []}
    spoken = subject.model_copy(update={"status": subject.status.model_copy(update=meanwhile)})

    verification = _receipt(spoken).verification
    assert verification is not None
    assert verification.by == "vera"


def test_a_restart_between_announcement_and_absence_loses_the_correlation_id_alone() -> None:
    """Who deleted, and on whose word, is written with the announcement."""
    other = AzureIdentity(client_id="another")
    told = _receipt(_announced(by="vera"), replace(_context(), identity=other))

    assert told.correlation_id is None
    assert told.identity == US
    assert told.verification is not None


def test_an_image_that_went_without_us_names_nobody() -> None:
    """Neither identity nor verification: the deletion was not ours."""
    subject = build.migration(status=_verified(by="vera"))
    told = _receipt(subject)

    assert told.outcome == "AlreadyGone"
    assert (told.identity, told.verification, told.digest, told.requested_at, told.correlation_id) == (None,) * 5


def test_it_is_written_once() -> None:
    """A later pass, also of another process with another identity, changes nothing in it."""
    step = build.wait(_announced(), build.facts(image=MISSING), _context(correlation_id=CORRELATION))
    done = build.stored(_announced(), step)
    later = replace(build.context(NOW + timedelta(days=1)), identity=AzureIdentity(client_id="another"))
    again = build.wait(done, build.facts(image=MISSING), later)

    assert again.status.receipt == step.status.receipt
    assert again.status.deletion is not None
    assert again.status.deletion.request is None


def test_a_deletion_that_is_not_sent_leaves_no_request() -> None:
    """An announcement that is taken back takes the names with it."""
    subject = _announced()
    held = build.migration({"sourceDeletion": {"policy": "Retain"}}, subject.status.wire())
    long_after = build.context(NOW + timedelta(hours=1), build.completed(build.version()))
    step = build.wait(held, build.facts(), long_after)

    assert step.status.operation is None
    assert step.status.deletion is not None
    assert step.status.deletion.request is None


def test_only_a_deletion_is_announced_with_names() -> None:
    """An update of the version says nothing about a deletion."""
    step = build.act(build.migration(build.in_regions("westeurope", "uksouth")), build.facts(), _context())

    assert step.action.name is ActionName.UPDATE_VERSION
    assert step.status.deletion is None


def _token(payload: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(payload)}.signature"


@pytest.mark.parametrize(
    ("token", "identity"),
    [
        pytest.param(_token({"tid": "t", "appid": "a", "oid": "o"}), ("t", "a", "o"), id="version-1"),
        pytest.param(_token({"tid": "t", "azp": "a", "oid": "o"}), ("t", "a", "o"), id="version-2"),
        pytest.param(_token({"oid": "o"}), (None, None, "o"), id="object-alone"),
        pytest.param(_token({"tid": "t"}), None, id="names-nobody"),
        pytest.param(_token({"appid": 7, "oid": ["o"]}), None, id="not-texts"),
        pytest.param(_token({"appid": "a" * 65, "oid": "o"}), (None, None, "o"), id="too-long"),
        pytest.param(_token([1]), None, id="not-an-object"),
        pytest.param("opaque", None, id="opaque"),
        pytest.param("a.é.c", None, id="not-base64"),
        pytest.param("a.AAAA.c", None, id="not-json"),
    ],
)
def test_the_identity_is_read_from_the_token(token: str, identity: tuple[str | None, ...] | None) -> None:
    """Claims of both versions; whatever cannot be read names nobody, and is no error."""
    found = claims.identity(token)
    assert (found and (found.tenant_id, found.client_id, found.object_id)) == identity


def test_a_correlation_id_belongs_to_one_announcement() -> None:
    """An answer to an earlier call is not taken for one to the call that is open."""
    first = _announced().status.operation
    assert first
    second = first.model_copy(update={"id": "another"})
    memory = Memory(answered=(first.id, CORRELATION))

    assert memory.correlation_id(first) == CORRELATION
    assert memory.correlation_id(second) is None
    assert memory.correlation_id(None) is None
    assert Memory().correlation_id(first) is None
