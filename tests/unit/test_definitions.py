"""Whether a definition fits; the step that follows is in test_decide."""

import pytest

from imageferry.api.spec import Definition
from imageferry.migration import definitions
from imageferry.migration.facts import GalleryDefinition
from tests.unit import build
from tests.unit.build import Json

PLAN = {"name": "n", "publisher": "p", "product": "q"}


def _spec(given: Json) -> Definition:
    return build.migration({"definition": given}).spec.definition


@pytest.mark.parametrize(
    ("given", "image", "fields"),
    [
        pytest.param({}, {}, [], id="nothing-said"),
        pytest.param({"osType": "Windows", "hyperVGeneration": "V2"}, {}, [], id="all-true"),
        pytest.param({"osType": "Linux"}, {}, ["osType"], id="os"),
        pytest.param({"hyperVGeneration": "V1"}, {}, ["hyperVGeneration"], id="generation"),
        pytest.param({"osType": "Linux", "hyperVGeneration": "V1"}, {}, ["osType", "hyperVGeneration"], id="both"),
        pytest.param({"securityType": "TrustedLaunchSupported"}, {}, [], id="trusted-launch-on-v2"),
        pytest.param({"securityType": "Standard"}, {"generation": "V1"}, [], id="standard-on-v1"),
        pytest.param(
            {"securityType": "TrustedLaunchSupported"},
            {"generation": "V1"},
            ["securityType"],
            id="trusted-launch-on-v1",
        ),
    ],
)
def test_a_spec_may_not_contradict_its_image(given: Json, image: Json, fields: list[str]) -> None:
    """The spec can say what the image is, never make it something else."""
    found = definitions.contradictions(_spec(given), build.image(**image))

    assert [each.field for each in found] == fields


@pytest.mark.parametrize(
    ("given", "there"),
    [
        pytest.param({}, build.definition(), id="nothing-said"),
        pytest.param({}, build.definition(identifier=("any", "thing", "goes")), id="identifier-not-said"),
        pytest.param({}, build.definition(purchase_plan=("n", "p", "q")), id="plan-not-said"),
        pytest.param({}, build.definition(security_type="TrustedLaunchSupported"), id="security-not-said"),
        pytest.param({"purchasePlan": PLAN}, build.definition(purchase_plan=("n", "p", "q")), id="plan"),
        pytest.param({"identifier": {"offer": "web"}}, build.definition(), id="part-of-the-identifier"),
    ],
)
def test_an_existing_definition_counts_for_what_is_not_said(given: Json, there: GalleryDefinition) -> None:
    """Only what the spec gives is compared."""
    assert not definitions.differences(_spec(given), build.image(), there)


@pytest.mark.parametrize(
    ("given", "there", "fields"),
    [
        pytest.param({"identifier": {"publisher": "x"}}, {}, ["identifier.publisher"], id="publisher"),
        pytest.param({"identifier": {"offer": "x"}}, {}, ["identifier.offer"], id="offer"),
        pytest.param(
            {"purchasePlan": PLAN},
            {},
            ["purchasePlan.name", "purchasePlan.publisher", "purchasePlan.product"],
            id="plan-absent",
        ),
        pytest.param({}, {"security_type": "ConfidentialVM"}, ["securityType"], id="confidential"),
        pytest.param({}, {"security_type": "TrustedLaunch"}, ["securityType"], id="trusted-launch-only"),
        pytest.param({}, {"os_state": "Specialized"}, ["osState"], id="specialized"),
    ],
)
def test_what_differs_is_named(given: Json, there: Json, fields: list[str]) -> None:
    """Each field that does not fit, and no other."""
    found = definitions.differences(_spec(given), build.image(), build.definition(**there))

    assert [each.field for each in found] == fields


def test_a_difference_reads_as_a_sentence() -> None:
    """Field, finding, wish."""
    assert str(definitions.Difference("osType", "Windows", "Linux")) == "osType is Linux, wanted Windows"
