"""What is asked around a migration before its first write, and what is found there."""

import ast
from pathlib import Path
from typing import Any

import pytest

from imageferry.api.status import ActionName
from imageferry.migration import findings, inquiry, surroundings
from imageferry.migration.facts import (
    MISSING,
    UNSEEN,
    Facts,
    Found,
    ListedVersion,
    Lock,
    Quota,
    Surroundings,
    Unreadable,
    What,
)
from imageferry.migration.steps import Act
from tests.unit import build
from tests.unit.build import Json

GROUP = build.GALLERY_ID.partition("/providers/")[0]
LEGACY = build.IMAGE_ID.partition("/providers/")[0]
SET = f"{GROUP}/providers/Microsoft.Compute/diskEncryptionSets/keys"
DENIED = Unreadable("AuthorizationFailed")
PLAN = ("p", "q", "r")
GIVEN = {"name": "p", "publisher": "q", "product": "r"}
NOTHING = build.facts(version=MISSING, definition=MISSING)
DEFINED = build.facts(version=MISSING)
NO_GALLERY = build.facts(version=MISSING, definition=MISSING, gallery=MISSING)
OURS = {"imageferry-migration": build.UID}
RETAIN: Json = {"sourceDeletion": {"policy": "Retain"}}
ZONED: Json = {"version": {"storageAccountType": "Standard_ZRS"}}
CREATED: Json = {"gallery": {"create": {"location": "uksouth"}}}
ENCRYPTED: Json = {
    "version": {
        "targetRegions": [
            {
                "name": "westeurope",
                "encryption": {
                    "osDiskImage": {"diskEncryptionSetId": SET},
                    "dataDiskImages": [{"lun": 0, "diskEncryptionSetId": SET.upper().replace("/SUBSC", "/subsc")}],
                },
            }
        ]
    }
}
TWO = build.in_regions("westeurope", "uksouth")
REGIONS = {"westeurope": True, "uksouth": True, "ukwest": False}


def asked(spec: Json, facts: Facts, status: Json | None = None) -> dict[str, Any]:
    """Return the questions that are asked."""
    found = inquiry.of(build.migration(spec, status), facts)
    return {name: value for name in inquiry.Inquiry.__slots__[1:] if (value := getattr(found, name))}


FIRST = {
    "quotas": ("westeurope", "northeurope"),
    "locks": (GROUP, LEGACY),
    "machine": build.image().source_virtual_machine,
}
ADOPTED = FIRST | {"quotas": ("westeurope",), "versions": build.DEFINITION_ID}


@pytest.mark.parametrize(
    ("spec", "facts", "expected"),
    [
        pytest.param({}, NOTHING, FIRST, id="nothing-there"),
        pytest.param({}, DEFINED, ADOPTED, id="definition-of-others"),
        pytest.param(RETAIN, NOTHING, FIRST | {"locks": (GROUP,)}, id="retained"),
        pytest.param(TWO, NOTHING, FIRST | {"regions": True}, id="another-region"),
        pytest.param(ZONED, NOTHING, FIRST | {"regions": True}, id="zones"),
        pytest.param(
            CREATED, NO_GALLERY, FIRST | {"regions": True, "quotas": ("westeurope", "uksouth")}, id="gallery-to-create"
        ),
        pytest.param(
            ENCRYPTED, NOTHING, FIRST | {"encryption_sets": (SET.upper().replace("/SUBSC", "/subsc"),)}, id="keys"
        ),
        pytest.param(
            build.patched(ENCRYPTED, {"gallery": {"id": build.GALLERY_ID.replace("000001", "000002")}}),
            NOTHING,
            FIRST | {"locks": (GROUP.replace("000001", "000002"), LEGACY)},
            id="keys-elsewhere",
        ),
        pytest.param(
            {},
            build.facts(version=MISSING, definition=MISSING, image=build.image(source_virtual_machine=None)),
            {name: value for name, value in FIRST.items() if name != "machine"},
            id="not-captured",
        ),
        pytest.param(
            {},
            build.facts(version=MISSING, gallery=build.gallery(soft_delete=True)),
            ADOPTED | {"soft_deleted": build.DEFINITION_ID},
            id="deleted-versions-are-kept",
        ),
        pytest.param(
            {},
            build.facts(version=MISSING, definition=MISSING, gallery=build.gallery(soft_delete=True)),
            FIRST,
            id="kept-versions-need-a-definition",
        ),
        pytest.param({}, build.facts(version=MISSING, definition=build.definition(tags=OURS)), {}, id="built-before"),
        pytest.param(
            {},
            build.facts(
                version=MISSING, definition=build.definition(tags=OURS), gallery=build.gallery(soft_delete=True)
            ),
            {"soft_deleted": build.DEFINITION_ID},
            id="built-before-and-kept",
        ),
        pytest.param(
            {},
            build.facts(version=MISSING, definition=MISSING, gallery=build.gallery(tags=OURS)),
            {"machine": FIRST["machine"]},
            id="gallery-of-ours",
        ),
        pytest.param(
            {"mode": "Plan"}, build.facts(version=MISSING, definition=build.definition(tags=OURS)), ADOPTED, id="plan"
        ),
    ],
)
def test_what_is_asked(spec: Json, facts: Facts, expected: dict[str, Any]) -> None:
    """Each question is a call: none whose answer cannot matter, and hardly any past the first write."""
    assert asked(spec, facts) == expected


def test_a_definition_of_a_moment_ago_has_no_deleted_versions() -> None:
    """The pass after its creation asks nothing at all."""
    facts = build.facts(
        version=MISSING, definition=build.definition(tags=OURS), gallery=build.gallery(soft_delete=True)
    )

    assert asked({}, facts, build.announced(ActionName.CREATE_DEFINITION)) == {}


def found(spec: Json, around: Surroundings, facts: Facts = NOTHING) -> list[tuple[str, str]]:
    """Return severities and reasons."""
    seen = facts.plus(What.SURROUNDINGS, Found(around))
    told = surroundings.examine(build.migration(spec), build.image(), seen)
    return [(each.severity.value, each.reason) for each in told]


def lock(scope: str, level: str) -> Surroundings:
    """Return a lock."""
    return Surroundings(locks={GROUP: Found((Lock("keep", scope, level),))})


def quota(**used: int) -> Surroundings:
    """Return what is used of ten."""
    told = {name: Quota(count, 10) for name, count in used.items()}
    return Surroundings(quotas={region: Found(told) for region in ("westeurope", "northeurope")})


FULL = quota(GalleryImageVersion=10)
BUSY = ListedVersion("0.9.0", build.IMAGE_ID.upper(), "Creating")


@pytest.mark.parametrize(
    ("spec", "around", "facts", "expected"),
    [
        pytest.param({}, Surroundings(), NOTHING, [], id="nothing"),
        pytest.param(TWO, Surroundings(regions=Found(REGIONS)), NOTHING, [], id="regions"),
        pytest.param(
            build.in_regions("marsnorth"),
            Surroundings(regions=Found(REGIONS)),
            NOTHING,
            ["Blocks RegionNotEnabled"],
            id="mars",
        ),
        pytest.param(
            TWO,
            Surroundings(offered=Found(frozenset({"westeurope"}))),
            NOTHING,
            ["Blocks RegionNotOffered"],
            id="not-offered",
        ),
        pytest.param(
            CREATED,
            Surroundings(regions=Found({"westeurope": True})),
            NO_GALLERY,
            ["Blocks RegionNotEnabled"],
            id="gallery-nowhere",
        ),
        pytest.param(
            {"version": {"targetRegions": [{"name": "ukwest", "storageAccountType": "Standard_ZRS"}]}},
            Surroundings(regions=Found(REGIONS)),
            NOTHING,
            ["Blocks ZonesMissing"],
            id="no-zones",
        ),
        pytest.param(
            build.in_regions("ukwest"), Surroundings(regions=Found(REGIONS)), NOTHING, [], id="no-zones-needed"
        ),
        pytest.param(
            ZONED, Surroundings(regions=Found({"westeurope": False})), NOTHING, [], id="a-cloud-without-zones"
        ),
        pytest.param({}, FULL, NOTHING, ["Blocks QuotaUsedUp"], id="versions"),
        pytest.param({}, quota(GalleryImageVersion=9, GalleryImage=9, Gallery=10), NOTHING, [], id="one-left"),
        pytest.param({}, quota(GalleryImage=10), NOTHING, ["Blocks QuotaUsedUp"], id="definitions"),
        pytest.param({}, quota(GalleryImage=10), DEFINED, [], id="definition-is-there"),
        pytest.param(CREATED, quota(Gallery=10), NO_GALLERY, [], id="another-region-is-full"),
        pytest.param({}, lock(GROUP, "ReadOnly"), NOTHING, ["Blocks GalleryLocked"], id="gallery-read-only"),
        pytest.param({}, lock(GROUP, "CanNotDelete"), NOTHING, [], id="gallery-kept"),
        pytest.param({}, lock(GROUP[:-1], "ReadOnly"), NOTHING, [], id="another-group"),
        pytest.param({}, lock(build.IMAGE_ID, "CanNotDelete"), NOTHING, ["Warns SourceLocked"], id="image-kept"),
        pytest.param({}, lock(LEGACY.upper(), "ReadOnly"), NOTHING, ["Warns SourceLocked"], id="image-read-only"),
        pytest.param(RETAIN, lock(LEGACY, "CanNotDelete"), NOTHING, [], id="image-stays-anyway"),
        pytest.param(
            {},
            lock(GROUP.partition("/resourceGroups")[0], "ReadOnly"),
            NOTHING,
            ["Blocks GalleryLocked", "Warns SourceLocked"],
            id="subscription",
        ),
        pytest.param(
            ENCRYPTED,
            Surroundings(encryption_sets={SET: MISSING}),
            NOTHING,
            ["Blocks EncryptionSetMissing"] * 2,
            id="no-key",
        ),
        pytest.param(
            ENCRYPTED,
            Surroundings(encryption_sets={SET: Found("uksouth")}),
            NOTHING,
            ["Blocks EncryptionSetMisplaced"] * 2,
            id="key-elsewhere",
        ),
        pytest.param(ENCRYPTED, Surroundings(encryption_sets={SET: Found("westeurope")}), NOTHING, [], id="key"),
        pytest.param(
            {},
            Surroundings(soft_deleted=Found(frozenset({"1.0.0"}))),
            DEFINED,
            ["Blocks VersionSoftDeleted"],
            id="deleted",
        ),
        pytest.param({}, Surroundings(soft_deleted=Found(frozenset({"0.9.0"}))), DEFINED, [], id="another-deleted"),
        pytest.param(
            {}, Surroundings(soft_deleted=DENIED), DEFINED, ["Blocks SoftDeletedUnknown"], id="deleted-unknown"
        ),
        pytest.param({}, Surroundings(machine=Found(PLAN)), NOTHING, ["Notes PurchasePlanRead"], id="plan-read"),
        pytest.param({}, Surroundings(machine=Found(None)), NOTHING, [], id="no-plan"),
        pytest.param({}, Surroundings(machine=MISSING), NOTHING, ["Notes PurchasePlanUnknown"], id="machine-gone"),
        pytest.param(
            {"definition": {"purchasePlan": GIVEN}},
            Surroundings(machine=MISSING),
            NOTHING,
            [],
            id="machine-gone-plan-given",
        ),
        pytest.param(
            {"definition": {"purchasePlan": GIVEN}}, Surroundings(machine=Found(PLAN)), NOTHING, [], id="plan-agrees"
        ),
        pytest.param(
            {"definition": {"purchasePlan": GIVEN | {"name": "x"}}},
            Surroundings(machine=Found(PLAN)),
            NOTHING,
            ["Blocks PurchasePlanContradictsSource"],
            id="plan-contradicts",
        ),
        pytest.param(
            {}, Surroundings(machine=Found(PLAN)), DEFINED, ["Blocks PurchasePlanMismatch"], id="definition-lacks-it"
        ),
        pytest.param(
            {},
            Surroundings(machine=Found(PLAN)),
            build.facts(version=MISSING, definition=build.definition(purchase_plan=PLAN)),
            [],
            id="definition-has-it",
        ),
        pytest.param({}, Surroundings(versions=Found((BUSY,))), DEFINED, ["Warns SourceBusy"], id="busy"),
        pytest.param(
            {},
            Surroundings(versions=Found((ListedVersion("0.9.0", build.IMAGE_ID, "Succeeded"),))),
            DEFINED,
            [],
            id="was-busy",
        ),
        pytest.param(
            {},
            Surroundings(
                regions=DENIED,
                offered=DENIED,
                quotas={"westeurope": DENIED},
                locks={GROUP: DENIED, LEGACY: DENIED},
                encryption_sets={SET: DENIED},
                machine=DENIED,
                versions=DENIED,
            ),
            DEFINED,
            ["Notes PurchasePlanUnknown", *["Notes NotLookedAt"] * 7],
            id="nothing-may-be-read",
        ),
    ],
)
def test_what_is_found(spec: Json, around: Surroundings, facts: Facts, expected: list[str]) -> None:
    """Severity and reason of each."""
    assert [" ".join(each) for each in found(spec, around, facts)] == expected


def test_a_right_that_is_missing_is_named_with_its_scope() -> None:
    """So that it can be given."""
    seen = NOTHING.plus(What.SURROUNDINGS, Found(Surroundings(locks={GROUP: DENIED})))
    (told,) = surroundings.examine(build.migration(), build.image(), seen)

    assert f"locks of {GROUP} could not be looked at (AuthorizationFailed)" in told.message
    assert "Microsoft.Authorization/locks/read" in told.message


def test_differences_of_a_plan_are_told_field_by_field() -> None:
    """With wanted, found and the cure."""
    other = build.facts(version=MISSING, definition=build.definition(purchase_plan=("p", "x", "r")))
    seen = other.plus(What.SURROUNDINGS, Found(Surroundings(machine=Found(PLAN))))
    (told,) = surroundings.examine(build.migration(), build.image(), seen)

    assert "purchasePlan.publisher is x, wanted q. A plan cannot be changed" in told.message
    assert "purchasePlan.name" not in told.message


@pytest.mark.parametrize(
    ("spec", "around", "plan"),
    [
        pytest.param({}, Surroundings(machine=Found(PLAN)), GIVEN, id="read"),
        pytest.param({"definition": {"purchasePlan": GIVEN}}, Surroundings(machine=MISSING), GIVEN, id="given"),
        pytest.param({}, Surroundings(machine=Found(None)), None, id="none"),
    ],
)
def test_the_definition_gets_the_plan(spec: Json, around: Surroundings, plan: Json | None) -> None:
    """The one that is given, else that of the captured machine."""
    action = build.act(build.migration(spec), NOTHING.plus(What.SURROUNDINGS, Found(around))).action

    assert action.body is not None
    assert action.body["properties"].get("purchasePlan") == plan


def blocked(around: Surroundings, facts: Facts = NOTHING) -> Any:
    """Return the status of a migration that is stopped."""
    return build.wait(build.migration(), facts.plus(What.SURROUNDINGS, Found(around))).status


def test_what_blocks_stalls_with_every_finding() -> None:
    """All at once, so that nobody cures one after the other; nothing is sent."""
    around = Surroundings(
        quotas=FULL.quotas, locks={GROUP: Found((Lock("keep", GROUP, "ReadOnly"), Lock("own", LEGACY, "CanNotDelete")))}
    )
    status = blocked(around)

    assert build.states(status) == {
        "Ready": "False",
        "Stalled": "True",
        "PreflightPassed": "False",
        "VersionReady": "False",
        "Replicated": "False",
    }
    assert [(each.severity.value, each.reason) for each in status.findings] == [
        ("Blocks", "GalleryLocked"),
        ("Blocks", "QuotaUsedUp"),
        ("Warns", "SourceLocked"),
    ]
    told = build.message(status, "Stalled")
    assert "spec.gallery.id: the lock keep" in told
    assert "all 10 image versions" in told


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param(build.facts(version=MISSING, image=MISSING), "SourceMissing", id="image"),
        pytest.param(
            build.facts(version=MISSING, image=build.image(provisioning_state="Failed")), "SourceFailed", id="failed"
        ),
        pytest.param(NO_GALLERY, "GalleryMissing", id="gallery"),
        pytest.param(
            build.facts(version=MISSING, definition=build.definition(os_type="Linux")),
            "DefinitionMismatch",
            id="other-os",
        ),
        pytest.param(
            build.facts(version=MISSING, definition=build.definition(provisioning_state="Failed")),
            "DefinitionFailed",
            id="definition-failed",
        ),
    ],
)
def test_whatever_blocks_is_a_finding(facts: Facts, reason: str) -> None:
    """In the list, in PreflightPassed and in Stalled, whichever look it comes from."""
    status = build.wait(build.migration(), facts).status

    assert [(each.severity.value, each.reason) for each in status.findings or []] == [("Blocks", reason)]
    assert (build.reason(status, "PreflightPassed"), build.reason(status, "Stalled")) == (reason, reason)


def test_a_source_that_is_busy_is_waited_for() -> None:
    """It is nobody's fault: neither Stalled nor sent."""
    status = blocked(Surroundings(versions=Found((BUSY,))), DEFINED)

    assert build.states(status) == {
        "Ready": "False",
        "Reconciling": "True",
        "VersionReady": "False",
        "Replicated": "False",
    }
    assert build.reason(status, "Ready") == "SourceBusy"


def test_what_was_found_stays_told_past_the_first_write() -> None:
    """It is not looked at again; what is read from the image is."""
    around = Surroundings(locks={GROUP: Found((Lock("own", LEGACY, "CanNotDelete"),))})
    subject = build.migration()
    first = build.act(subject, NOTHING.plus(What.SURROUNDINGS, Found(around)))
    created = build.facts(version=MISSING, definition=build.definition(tags=OURS), surroundings=UNSEEN)
    second = build.act(build.stored(subject, first), created)

    assert second.action.name is ActionName.CREATE_VERSION
    for step in (first, second):
        assert isinstance(step, Act)
        assert [each.reason for each in step.status.findings or []] == ["SourceLocked"]
        assert "Warns: spec.source.managedImageId: the lock own" in build.message(step.status, "PreflightPassed")


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_every_finding_is_in_the_docs_with_its_severity() -> None:
    """Whatever the code can find, and nothing else."""
    severities = {"blocks": "Blocks", "warns": "Warns", "notes": "Notes"}
    folder = Path(surroundings.__file__).parent
    said = {
        (node.args[0].value, severities[_called(node)])
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and _called(node) in severities
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and str(node.args[0].value).isalnum()  # guards block too, with a sentence
    }
    documented = {(kind.reason, kind.severity.value) for kind in findings.KINDS}

    assert said <= documented
    elsewhere = {"SourceFailed", "WaitsForVersion", "WaitsForSource"}
    assert {reason for reason, _ in documented - said} == elsewhere
    assert len(documented) == len(findings.KINDS)
