"""Regions: which are wanted, which are there, how far each is."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageferry.api.spec import Version
from imageferry.api.status import ActionName, ReplicationStatus
from imageferry.migration import regions
from imageferry.migration.facts import RegionReplication
from tests.unit import build
from tests.unit.build import NOW

LATER = NOW + timedelta(minutes=1)


def _wanted(*names: str) -> Version:
    return build.migration(build.in_regions(*names) if names else {}).spec.version


@pytest.mark.parametrize(
    ("name", "short"),
    [
        pytest.param("West Europe", "westeurope", id="display-name"),
        pytest.param("westeurope", "westeurope", id="short-name"),
        pytest.param("WestEurope", "westeurope", id="other-casing"),
        pytest.param("East US 2", "eastus2", id="with-digit"),
        pytest.param("East US 2 EUAP", "eastus2euap", id="four-words"),
    ],
)
def test_display_names_become_short_names(name: str, short: str) -> None:
    """ARM takes the one and answers the other."""
    assert regions.short_name(name) == short


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"[A-Z][a-z]+( [A-Z][a-z]+)*( [0-9])?", fullmatch=True))
def test_a_short_name_stays_what_it_is(name: str) -> None:
    """Normalising twice changes nothing."""
    assert regions.short_name(regions.short_name(name)) == regions.short_name(name)


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        pytest.param((), ["westeurope"], id="none-listed"),
        pytest.param(("uksouth",), ["westeurope", "uksouth"], id="home-missing"),
        pytest.param(("uksouth", "westeurope"), ["uksouth", "westeurope"], id="home-listed"),
    ],
)
def test_the_home_region_is_always_wanted(listed: tuple[str, ...], names: list[str]) -> None:
    """ARM refuses a version without its own region."""
    assert [each.name for each in regions.wanted(_wanted(*listed), "westeurope")] == names


def test_missing_are_those_that_the_version_does_not_have() -> None:
    """What is wanted and not among the version's targets."""
    missing = regions.missing(_wanted("westeurope", "uksouth"), build.version("westeurope", "northeurope"))

    assert [each.name for each in missing] == ["uksouth"]


@pytest.mark.parametrize("state", ["Replicating", "Failed", "Unknown", "completed", ""])
def test_only_the_word_completed_is_complete(state: str) -> None:
    """Any other word, or none, holds the region back."""
    assert regions.incomplete(_wanted(), build.replicating(state=state)) == ("westeurope",)


def test_an_extra_region_holds_nothing_back() -> None:
    """What nobody wants is not waited for, nor is its failure ours."""
    version = build.replicating("westeurope", "uksouth", lagging="uksouth", state="Failed")

    assert not regions.incomplete(_wanted(), version)
    assert not regions.failed(_wanted(), version)


def test_a_failed_region_comes_with_the_words_of_azure() -> None:
    """Details are passed on."""
    assert regions.failed(_wanted(), build.replicating(state="Failed")) == {"westeurope": "copying"}


class TestReport:
    """The replication as the status shows it."""

    def _report(self, before: ReplicationStatus | None = None) -> ReplicationStatus:
        version = build.replicating("westeurope", "uksouth", "japaneast", lagging="uksouth")
        return regions.report(_wanted("westeurope", "uksouth"), version, before=before, now=NOW)

    def test_it_counts_wanted_regions_only(self) -> None:
        """One of two is Completed; the extra one is not counted."""
        assert self._report().summary == "1/2"

    def test_progress_is_the_mean_over_wanted_regions(self) -> None:
        """100 and 40 percent make 70."""
        assert self._report().progress == 70

    def test_a_completed_region_is_at_100_percent(self) -> None:
        """Whatever number Azure leaves there."""
        version = build.version(replication={"westeurope": RegionReplication("Completed", 0)})

        assert regions.report(_wanted(), version, before=None, now=NOW).progress == 100

    def test_every_region_is_listed_with_its_state(self) -> None:
        """Wanted ones first, then the extra ones."""
        assert [(each.name, each.state) for each in self._report().regions] == [
            ("westeurope", "Completed"),
            ("uksouth", "Replicating"),
            ("japaneast", "Extra"),
        ]

    def test_a_region_that_azure_does_not_mention_is_pending(self) -> None:
        """Shown, so that a reader sees what is waited for."""
        report = regions.report(_wanted(), build.version(replication={}), before=None, now=NOW)

        assert [(each.state, each.progress) for each in report.regions] == [("Pending", 0)]

    def test_since_is_kept_while_the_state_lasts(self) -> None:
        """Progress moves, the start of the state does not."""
        version = build.version("westeurope", "uksouth", "japaneast")
        after = regions.report(_wanted("westeurope", "uksouth"), version, before=self._report(), now=LATER)

        assert [each.since for each in after.regions] == [NOW, LATER, None]

    def test_the_first_that_is_seen_of_a_replication_began_when_it_was_asked_for(self) -> None:
        """So its pace is known at the first look; what is Completed by then is so since somebody saw it."""
        version = build.replicating("westeurope", "uksouth", lagging="uksouth")
        spec, begun = _wanted("westeurope", "uksouth"), NOW - timedelta(minutes=1)
        asked = build.migration(status=build.announced(ActionName.CREATE_VERSION, age=NOW - begun)).status.operation
        report = regions.report(spec, version, before=None, now=NOW, operation=asked)

        assert [each.since for each in report.regions] == [NOW, begun]

    def test_long_details_are_cut(self) -> None:
        """The schema bounds the field."""
        long = build.version(replication={"westeurope": RegionReplication("Failed", 0, "x" * 5000)})
        region = regions.report(_wanted(), long, before=None, now=NOW).regions[0]

        assert len(region.details or "") == 1024
