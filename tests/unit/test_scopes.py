"""Which namespaces may touch what: checked before every mutation, and before every look."""

from dataclasses import replace

import pytest

from imageferry.api.resource import ImageMigration
from imageferry.api.status import ActionName, Phase
from imageferry.migration.facts import MISSING
from imageferry.migration.scopes import Scope, Scopes, check_prefix
from imageferry.migration.steps import Act, Context, Wait
from tests.unit import build
from tests.unit.build import GALLERY_ID, GROUPS, IMAGE_ID, Json

ALL = Scope(("*",), ("*",))
IMAGES, GALLERIES = (f"{GROUPS}/legacy",), (f"{GROUPS}/images",)
NOWHERE = Scopes("imageferry-system")


def _scopes(source: tuple[str, ...] = ("*",), gallery: tuple[str, ...] = ("*",), namespace: str = "platform") -> Scopes:
    return Scopes("imageferry-system", {namespace: Scope(source, gallery)})


@pytest.mark.parametrize(
    ("scopes", "field"),
    [
        pytest.param(_scopes(IMAGES, GALLERIES), None, id="both-named"),
        pytest.param(_scopes((IMAGE_ID,), (GALLERY_ID,)), None, id="by-their-own-ids"),
        pytest.param(_scopes((IMAGE_ID.upper(),), (GALLERY_ID.upper(),)), None, id="another-letter-case"),
        pytest.param(_scopes(("/subscriptions/00000000-0000-0000-0000-000000000001",)), None, id="a-subscription"),
        pytest.param(_scopes(), None, id="everything"),
        pytest.param(_scopes(namespace="*"), None, id="any-namespace"),
        pytest.param(Scopes("platform"), None, id="the-operators-own-namespace"),
        pytest.param(NOWHERE, "source.managedImageId", id="no-entry"),
        pytest.param(Scopes(), "source.managedImageId", id="nothing-is-set"),
        pytest.param(_scopes(namespace="team-b"), "source.managedImageId", id="entry-of-another-namespace"),
        pytest.param(_scopes(namespace="platform-2"), "source.managedImageId", id="a-namespace-is-not-a-prefix"),
        pytest.param(_scopes(()), "source.managedImageId", id="no-source"),
        pytest.param(_scopes(("*",), ()), "gallery.id", id="no-gallery"),
        pytest.param(_scopes(GALLERIES, GALLERIES), "source.managedImageId", id="a-gallery-prefix-is-no-source-prefix"),
        pytest.param(_scopes((f"{GROUPS}/leg",)), "source.managedImageId", id="half-a-segment"),
        pytest.param(_scopes((f"{IMAGE_ID}/x",)), "source.managedImageId", id="longer-than-the-id"),
        pytest.param(_scopes((f"{GROUPS}/legacy-2",)), "source.managedImageId", id="another-group"),
    ],
)
def test_a_prefix_counts_by_whole_segments(scopes: Scopes, field: str | None) -> None:
    """In any letter case, per namespace, for source and gallery apart; what no entry names is refused."""
    refusal = scopes.refusal(build.migration())

    assert (refusal is None) if field is None else (refusal or "").startswith(f"spec.{field}: ")


def test_only_ascii_letters_are_folded() -> None:
    """Full case folding would take straße and STRASSE for one group; Azure has two."""
    subject = build.migration({"source": {"managedImageId": IMAGE_ID.replace("/legacy/", "/straße/")}})

    assert _scopes((f"{GROUPS}/strasse",)).refusal(subject)
    assert _scopes((f"{GROUPS}/straße",)).refusal(subject) is None


@pytest.mark.parametrize("text", ["", "/", "/subscriptions", "/subscriptions/", "subscriptions/x", "**", "/*", "/a//b"])
def test_all_has_to_be_written_out(text: str) -> None:
    """An empty or half prefix would allow everything by accident."""
    with pytest.raises(ValueError, match="neither"):
        check_prefix(text)


def test_a_last_slash_of_a_prefix_does_not_matter() -> None:
    """It is how people write groups."""
    assert check_prefix("/subscriptions/x/") == "/subscriptions/x"
    assert check_prefix("*") == "*"


def _settled(subject: ImageMigration, scopes: Scopes, **seen: object) -> tuple[Act | Wait, int]:
    given: Context = replace(build.context(completion=build.completed(build.version())), scopes=scopes)
    step, looked = build.settle(subject, build.facts(**seen), given)
    return step, len(looked)


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        pytest.param({}, {"version": MISSING, "definition": MISSING}, id="before-the-first-write"),
        pytest.param({}, {"version": MISSING}, id="before-the-build"),
        pytest.param(build.verified(build.version()), {}, id="before-the-deletion"),
        pytest.param(build.announced(ActionName.DELETE_IMAGE), {}, id="with-a-deletion-announced"),
    ],
)
@pytest.mark.parametrize("mode", ["Migrate", "Plan"])
def test_out_of_scope_nothing_is_looked_at_and_nothing_sent(status: Json, seen: Json, mode: str) -> None:
    """Stalled with the field, the finding and the cure; what was announced is not forgotten."""
    subject = build.migration({"mode": mode}, status)
    step, looks = _settled(subject, NOWHERE, **seen)

    assert (step.status.phase, looks) == (Phase.STALLED, 0)
    assert build.reason(step.status, "Stalled") == "ScopeNotAllowed"
    assert "add it, or what it lies in, to platform.source" in build.message(step.status, "Stalled")
    assert step.status.operation == subject.status.operation


def test_the_guard_of_an_earlier_pass_is_restated() -> None:
    """The list of guards does not go on to say that the scope allows it."""
    before, _ = _settled(build.migration({"sourceDeletion": {"policy": "Retain"}}), build.SCOPES)
    step, _ = _settled(build.stored(build.migration(), before), NOWHERE)
    assert step.status.deletion is not None
    passed = {each.name: each.passed for each in step.status.deletion.guards}

    assert not passed["ScopeAllowed"]
    assert passed["SourceUnchanged"]


def test_a_finished_migration_rests_out_of_scope() -> None:
    """What was completed before scopes were set stays Completed; it only may not change anything any more."""
    step, _ = _settled(build.migration(status=build.receipt()), NOWHERE)
    edited = build.migration(build.in_regions("westeurope", "uksouth"), build.receipt())
    stopped, _ = _settled(edited, NOWHERE)

    assert step.status.phase is Phase.COMPLETED
    assert stopped.status.phase is Phase.STALLED
    assert isinstance(_settled(edited, build.SCOPES)[0], Act)


def test_a_suspended_migration_is_only_suspended() -> None:
    """It sends nothing anyway."""
    step, _ = _settled(build.migration({"suspend": True}), NOWHERE)

    assert step.status.phase is Phase.SUSPENDED
