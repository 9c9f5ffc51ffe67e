"""The comparison of three: what the spec says, what was sent, what Azure has."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageferry.api.spec import Definition, Version
from imageferry.migration import edits, regions, requests
from imageferry.migration.edits import REMOVING, Edit, Fields
from tests.unit import build
from tests.unit.build import NOW, Json

NAMES = st.sampled_from(["replicaCount", "description", "tags.env", "tags.team", "tags.gone"])
FIELDS = st.dictionaries(NAMES, st.sampled_from(["1", "2", "3"]))


def carried_out(actual: Fields, changes: tuple[Edit, ...]) -> Fields:
    """Return what Azure has once it took the changes."""
    after = {**actual, **{edit.field: edit.after for edit in changes}}
    return {name: value for name, value in after.items() if value is not None}


@pytest.mark.parametrize(
    ("wanted", "applied", "actual", "expected"),
    [
        pytest.param("2", "1", "1", "2", id="edited"),
        pytest.param("1", "1", "1", None, id="nothing-changed"),
        pytest.param("1", "1", "7", None, id="drift"),
        pytest.param("2", "1", "7", "2", id="edited-over-drift"),
        pytest.param("7", "1", "7", None, id="edited-to-what-azure-has"),
        pytest.param("2", None, "1", "2", id="sent-and-not-shown-yet"),
        pytest.param("2", None, None, "2", id="new-field"),
        pytest.param(None, "1", "1", None, id="unset"),
    ],
)
def test_a_field_is_sent_when_the_spec_changed_it(
    wanted: str | None, applied: str | None, actual: str | None, expected: str | None
) -> None:
    """And only then; a difference that somebody made in Azure is none of ours."""

    def of(value: str | None) -> Fields:
        return {"f": value} if value else {}

    found = edits.pending(of(wanted), of(applied), of(actual))

    assert found == ((Edit("f", actual, expected),) if expected else ())


def test_at_first_sight_nothing_is_sent() -> None:
    """Where it is not known what was sent before, all is taken as it stands."""
    assert edits.pending({"f": "2"}, None, {"f": "1"}) == ()
    assert edits.settle({"f": "2"}, None, {"f": "1"}) == {"f": "2"}


def test_a_tag_that_leaves_the_spec_leaves_azure() -> None:
    """It is remembered until Azure shows that it is gone."""
    applied, actual = {"tags.a": "1"}, {"tags.a": "1", "tags.theirs": "x"}

    assert edits.pending({}, applied, actual) == (Edit("tags.a", "1", None),)
    assert edits.settle({}, applied, actual) == {"tags.a": REMOVING}
    assert edits.pending({}, {"tags.a": REMOVING}, actual) == (Edit("tags.a", "1", None),)
    assert edits.settle({}, {"tags.a": REMOVING}, {"tags.theirs": "x"}) == {}


@given(wanted=FIELDS, applied=FIELDS, actual=FIELDS)
def test_once_carried_out_nothing_is_pending(wanted: Fields, applied: Fields, actual: Fields) -> None:
    """Whatever was known, and whether the status was written before the call or after it."""
    changes = edits.pending(wanted, applied, actual)
    after = carried_out(actual, changes)

    assert edits.pending(wanted, applied, after) == ()
    assert edits.pending(wanted, edits.settle(wanted, applied, actual), after) == ()
    assert edits.pending(wanted, edits.settle(wanted, applied, after), after) == ()


@given(wanted=FIELDS, applied=FIELDS, actual=FIELDS)
def test_to_settle_twice_changes_nothing(wanted: Fields, applied: Fields, actual: Fields) -> None:
    """So a status that is written is not written again."""
    once = edits.settle(wanted, applied, actual)

    assert edits.settle(wanted, once, actual) == once


@given(wanted=FIELDS, applied=FIELDS, actual=FIELDS)
def test_to_settle_forgets_no_edit(wanted: Fields, applied: Fields, actual: Fields) -> None:
    """What was pending is pending after the write that announces it."""
    settled = edits.settle(wanted, applied, actual)

    assert edits.pending(wanted, settled, actual) == edits.pending(wanted, applied, actual)


@given(spec=FIELDS, drifted=FIELDS, more=FIELDS)
def test_drift_is_never_pending_while_the_spec_stays(spec: Fields, drifted: Fields, more: Fields) -> None:
    """However often it is looked at, and whatever Azure shows next."""
    settled = edits.settle(spec, spec, drifted)

    assert edits.pending(spec, spec, drifted) == ()
    assert edits.pending(spec, settled, more) == ()


@given(spec=FIELDS, drifted=FIELDS, field=NAMES, value=st.sampled_from(["8", "9"]))
def test_an_edit_of_one_field_touches_no_other(spec: Fields, drifted: Fields, field: str, value: str) -> None:
    """Drift of the others stays."""
    found = edits.pending({**spec, field: value}, edits.settle(spec, spec, drifted), drifted)

    assert {edit.field for edit in found} == {field}


@pytest.mark.parametrize(
    "text",
    [
        "2028-01-01",
        "2028-01-01T00:00:00Z",
        "2028-01-01T02:00:00+02:00",
        "2028-01-01T00:00:00.0000000Z",
        "2028-01-01T00:00:00+00:00",
    ],
)
def test_dates_that_mean_the_same_are_the_same(text: str) -> None:
    """A plain date is midnight UTC; ARM writes fractions and offsets of its own."""
    assert edits.date_text(text) == "2028-01-01T00:00:00Z"


def _version(**fields: Any) -> Version:
    return Version.model_validate({"name": "1.0.0", **fields})


def _definition(**fields: Any) -> Definition:
    return Definition.model_validate({"name": "web", **fields})


FULL_VERSION: Json = {
    "targetRegions": [
        {"name": "westeurope"},
        {"name": "uksouth", "regionalReplicaCount": 3, "excludeFromLatest": True},
    ],
    "replicaCount": 2,
    "latest": "Exclude",
    "endOfLifeDate": "2040-01-01",
    "safetyProfile": {"blockDeletionBeforeEndOfLife": True},
    "tags": {"env": "prod"},
}
FULL_DEFINITION: Json = {
    "description": "x",
    "releaseNoteUri": "y",
    "endOfLifeDate": "2040-01-01",
    "recommended": {"vCPUs": {"min": 2, "max": 4}, "memory": {"min": 8, "max": 16}},
    "disallowed": {"diskTypes": ["b", "a"]},
    "tags": {"env": "prod"},
}


def test_every_updatable_field_of_a_version_is_compared() -> None:
    """And what our own first PUT would make of it in Azure reads as the spec does."""
    spec = _version(**FULL_VERSION)
    body = requests.create_version(build.migration({"version": FULL_VERSION}), build.image(), cluster="c").body
    assert body is not None
    profile = body["properties"]["publishingProfile"]
    there = build.version(
        tags=body["tags"],
        publishing_profile=profile,
        target_regions=tuple(profile["targetRegions"]),
        block_deletion_before_end_of_life=True,
    )
    wanted = edits.version_wanted(spec, regions.wanted(spec, "westeurope"), joined=False)

    assert wanted.items() <= edits.version_actual(there).items()
    assert len(wanted) == 9


def test_every_updatable_field_of_a_definition_is_compared() -> None:
    """The same for a definition."""
    subject = build.migration({"definition": FULL_DEFINITION})
    body = requests.create_definition(subject, build.image(), build.gallery(), plan=None, cluster="c").body
    assert body is not None
    there = build.definition(tags=body["tags"], properties=body["properties"])
    wanted = edits.definition_wanted(_definition(**FULL_DEFINITION))

    assert wanted.items() <= edits.definition_actual(there).items()
    assert len(wanted) == 9


def test_a_text_that_azure_does_not_show_is_empty() -> None:
    """A description that is edited to nothing is there once Azure leaves it out."""
    wanted = edits.definition_wanted(_definition(description=""))

    assert edits.pending(wanted, {"description": "x"}, edits.definition_actual(build.definition())) == ()


@pytest.mark.parametrize(
    ("latest", "joined", "excluded"),
    [
        ("Join", False, "false"),
        ("JoinWhenVerified", False, "true"),
        ("JoinWhenVerified", True, "false"),
        ("Exclude", True, "true"),
    ],
)
def test_latest_is_a_field_of_arm(latest: str, excluded: str, *, joined: bool) -> None:
    """JoinWhenVerified depends on what is known of the verification."""
    assert edits.version_wanted(_version(latest=latest), (), joined=joined)[edits.EXCLUDED] == excluded


def test_an_update_of_a_definition_changes_the_edited_leaves_alone() -> None:
    """What stands beside them in Azure stays, and an end of life that has passed is not sent along."""
    spec: Json = {"definition": {"recommended": {"vCPUs": {"min": 4}}, "tags": {"a": "2"}}}
    there = build.definition(
        tags={"a": "1", "b": "1", "theirs": "x"},
        properties={
            "osType": "Windows",
            "endOfLifeDate": "2020-01-01T00:00:00Z",
            "recommended": {"vCPUs": {"min": 2, "max": 8}, "memory": {"min": 1}},
            "provisioningState": "Succeeded",
        },
    )
    changes = (Edit("recommended.vCPUs.min", "2", "4"), Edit("tags.a", "1", "2"), Edit("tags.b", "1", None))
    body = requests.update_definition(build.migration(spec), there, changes, now=NOW).body

    assert body is not None
    assert body["tags"] == {"a": "2", "theirs": "x"}
    recommended = {"vCPUs": {"min": 4, "max": 8}, "memory": {"min": 1}}
    assert body["properties"] == {"osType": "Windows", "recommended": recommended}
    assert there.properties["recommended"]["vCPUs"]["min"] == 2
