"""The main path, step by step, and every way off it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imageferry.api.status import ActionName, Phase, ReceiptOutcome
from imageferry.migration.facts import MISSING, Disk, Facts, Found, What
from imageferry.migration.steps import Act, Pace, Wait
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

RECENT = TIMING.disbelief - timedelta(seconds=1)
LONG_AGO = TIMING.disbelief
NOTHING_BUILT = build.facts(version=MISSING, definition=MISSING)
ONLY_DEFINITION = build.facts(version=MISSING)

FIRST = [What.VERSION, What.IMAGE, What.DEFINITION]
OURS = build.definition(tags={"imageferry-migration": build.UID})

LOOKS = [
    pytest.param({}, NOTHING_BUILT, [*FIRST, What.GALLERY, What.SURROUNDINGS], id="nothing-there"),
    pytest.param({}, ONLY_DEFINITION, [*FIRST, What.GALLERY, What.SURROUNDINGS], id="definition-there"),
    pytest.param({}, build.facts(version=MISSING, definition=OURS), [*FIRST, What.GALLERY], id="built-before"),
    pytest.param(
        build.announced(ActionName.CREATE_DEFINITION),
        build.facts(version=MISSING, definition=OURS),
        FIRST,
        id="definition-just-created",
    ),
    pytest.param({}, build.facts(version=build.replicating()), [What.VERSION], id="replicating"),
    pytest.param(
        {},
        build.facts(version=build.version(provisioning_state="Creating", replication={})),
        [What.VERSION],
        id="building",
    ),
    pytest.param({}, build.facts(), [What.VERSION, What.IMAGE, What.DEFINITION], id="complete-not-verified"),
    pytest.param(
        build.announced(ActionName.CREATE_VERSION), build.facts(version=MISSING), [What.VERSION], id="just-announced"
    ),
    pytest.param(build.receipt(), build.facts(), [What.VERSION], id="receipt-written"),
]


@pytest.mark.parametrize(("status", "seen", "expected"), LOOKS)
def test_only_the_facts_that_matter_are_looked_at(status: Json, seen: Facts, expected: list[What]) -> None:
    """Each situation costs just the GETs that its decision needs; a replicating version costs one."""
    _, looked = build.settle(build.migration(status=status), seen)

    assert looked == expected


def test_siblings_and_consumers_are_listed_only_when_nothing_else_blocks() -> None:
    """The LIST of all migrations comes last, in the pass that deletes."""
    version = build.version()
    _, looked = build.settle(
        build.migration(status=build.verified(version)),
        build.facts(),
        build.context(completion=build.completed(version)),
    )

    assert looked == [What.VERSION, What.IMAGE, What.DEFINITION, What.CONSUMERS, What.SIBLINGS]


@pytest.mark.parametrize(
    ("status", "generation", "expected"),
    [
        pytest.param({}, 1, [What.VERSION, What.IMAGE], id="awaiting"),
        pytest.param({}, 2, [What.VERSION, What.IMAGE, What.DEFINITION], id="spec-edited"),
        pytest.param(
            build.verified(build.version()),
            1,
            [What.VERSION, What.IMAGE, What.DEFINITION, What.CONSUMERS, What.SIBLINGS],
            id="verified",
        ),
    ],
)
def test_a_definition_that_fits_is_not_looked_at_again_while_a_person_is_awaited(
    status: Json, generation: int, expected: list[What]
) -> None:
    """It cannot change, and many wait for days; it is looked at again for an edited spec, and before a deletion."""
    subject = build.migration(status=status | {"observedGeneration": 1}, generation=generation)
    first, _ = build.settle(subject, build.facts(), build.context(completion=build.completed(build.version())))
    _, looked = build.settle(subject, build.facts(), build.context(completion=first.completion))

    assert looked == expected


def test_a_definition_that_does_not_fit_is_looked_at_until_it_does() -> None:
    """What was found once is not forgotten because the process has seen the version complete."""
    subject, misfit = build.migration(), build.facts(definition=build.definition(os_type="Linux"))
    first = build.wait(subject, misfit, build.context(completion=build.completed(build.version())))
    again, looked = build.settle(build.stored(subject, first), misfit, build.context(completion=first.completion))

    assert looked == [What.VERSION, What.IMAGE, What.DEFINITION]
    assert again.status.phase is Phase.STALLED


def test_looks_become_rare_while_a_person_is_awaited() -> None:
    """Half of what it has waited so far, between ten minutes and an hour: the watch tells when a person acts."""
    version = build.version()
    for waited, after in ((timedelta(), 10), (timedelta(minutes=60), 30), (timedelta(days=9), 60)):
        remembered = build.completed(version, since=NOW - waited)
        step = build.wait(build.migration(), build.facts(), build.context(completion=remembered))
        assert step.after == timedelta(minutes=after)


class TestDefinition:
    """The image definition is created explicitly, adopted when it fits, and never changed."""

    def test_it_says_generation_and_security_type_explicitly(self) -> None:
        """Without them newer api-versions would choose V2 and TrustedLaunchSupported."""
        action = build.act(build.migration(), NOTHING_BUILT).action

        assert action.name is ActionName.CREATE_DEFINITION
        assert action.resource == build.DEFINITION_ID
        assert action.body is not None
        assert action.body["properties"]["hyperVGeneration"] == "V2"
        assert action.body["properties"]["features"] == [{"name": "SecurityType", "value": "Standard"}]

    def test_it_lies_where_the_gallery_lies(self) -> None:
        """The definition's location is the gallery's, whatever the image's is."""
        action = build.act(build.migration(), NOTHING_BUILT).action

        assert action.body is not None
        assert action.body["location"] == "northeurope"

    def test_it_takes_what_the_spec_leaves_out_from_the_image_and_the_resource(self) -> None:
        """OS and generation are the image's; publisher, offer and sku have stated defaults."""
        seen = build.facts(version=MISSING, definition=MISSING, image=build.image(os_type="Linux", generation="V1"))
        action = build.act(build.migration(), seen).action

        assert action.body is not None
        assert action.body["properties"] == {
            "osType": "Linux",
            "osState": "Generalized",
            "hyperVGeneration": "V1",
            "architecture": "x64",
            "identifier": {"publisher": "platform", "offer": "web", "sku": "default"},
            "features": [{"name": "SecurityType", "value": "Standard"}],
        }

    def test_it_carries_what_the_spec_gives(self) -> None:
        """Identifier, security type and plan are sent as given."""
        plan = {"name": "p", "publisher": "q", "product": "r"}
        identifier = {"publisher": "contoso", "offer": "shop", "sku": "2019"}
        given = {"identifier": identifier, "securityType": "TrustedLaunchSupported", "purchasePlan": plan}
        action = build.act(build.migration({"definition": given}), NOTHING_BUILT).action

        assert action.body is not None
        properties = action.body["properties"]
        assert properties["identifier"] == identifier
        assert properties["features"] == [{"name": "SecurityType", "value": "TrustedLaunchSupported"}]
        assert properties["purchasePlan"] == plan

    def test_one_that_fits_is_adopted(self) -> None:
        """An existing definition that agrees is used as it is."""
        step = build.act(build.migration(), ONLY_DEFINITION)

        assert step.action.name is ActionName.CREATE_VERSION
        assert step.status.definition is not None
        assert step.status.definition.outcome == "Adopted"

    @pytest.mark.parametrize(
        ("spec", "change", "words"),
        [
            pytest.param({}, {"os_type": "Linux"}, "osType is Linux, wanted Windows", id="os"),
            pytest.param({}, {"generation": "V1"}, "hyperVGeneration is V1, wanted V2", id="generation"),
            pytest.param({}, {"os_state": "Specialized"}, "osState is Specialized, wanted Generalized", id="os-state"),
            pytest.param({}, {"architecture": "Arm64"}, "architecture is Arm64, wanted x64", id="architecture"),
            pytest.param({}, {"security_type": "ConfidentialVM"}, "securityType is ConfidentialVM", id="unfeedable"),
            pytest.param(
                {"securityType": "Standard"},
                {"security_type": "TrustedLaunchSupported"},
                "securityType is TrustedLaunchSupported, wanted Standard",
                id="security",
            ),
            pytest.param(
                {"identifier": {"sku": "2019"}},
                {"identifier": ("platform", "web", "2016")},
                "identifier.sku is 2016, wanted 2019",
                id="identifier",
            ),
            pytest.param(
                {"purchasePlan": {"name": "a", "publisher": "b", "product": "c"}},
                {"purchase_plan": ("a", "b", "d")},
                "purchasePlan.product is d, wanted c",
                id="plan",
            ),
        ],
    )
    def test_one_that_does_not_fit_stalls_naming_the_field(self, spec: Json, change: Json, words: str) -> None:
        """A mismatch is told with field, finding and wish; nothing is built into it."""
        seen = build.facts(version=MISSING, definition=build.definition(**change))
        step = build.wait(build.migration({"definition": spec}), seen)

        assert step.after is Pace.STALLED
        assert build.reason(step.status, "DefinitionReady") == "DefinitionMismatch"
        assert words in build.message(step.status, "Stalled")

    def test_every_mismatch_is_named_at_once(self) -> None:
        """Two wrong fields need one correction, not two rounds."""
        seen = build.facts(version=MISSING, definition=build.definition(os_type="Linux", generation="V1"))
        text = build.message(build.wait(build.migration(), seen).status, "Stalled")

        assert "osType" in text
        assert "hyperVGeneration" in text

    def test_one_that_is_being_made_is_awaited(self) -> None:
        """No version is put into a definition that is not Succeeded yet."""
        seen = build.facts(version=MISSING, definition=build.definition(provisioning_state="Creating"))
        step = build.wait(build.migration(), seen)

        assert step.status.phase is Phase.DEFINING

    def test_one_that_failed_stalls(self) -> None:
        """A state that never ends by itself needs a person (promise 7: bad input is never a hot loop)."""
        seen = build.facts(version=MISSING, definition=build.definition(provisioning_state="Failed"))

        assert build.wait(build.migration(), seen).after is Pace.STALLED


class TestBuild:
    """The version is built once from the right image, in the right place."""

    def test_it_names_the_source_and_carries_our_tags(self) -> None:
        """The first PUT has the source id, and the tags by which the version is known as ours."""
        action = build.act(build.migration(), ONLY_DEFINITION).action

        assert action.name is ActionName.CREATE_VERSION
        assert action.resource == build.VERSION_ID
        assert action.body is not None
        assert action.body["properties"]["storageProfile"] == {"source": {"id": build.IMAGE_ID}}
        assert action.body["tags"] == dict(build.version().tags)

    def test_it_lies_in_the_region_of_the_image(self) -> None:
        """The version's location is the image's, whatever the gallery's is."""
        action = build.act(build.migration(), ONLY_DEFINITION).action

        assert action.body is not None
        assert action.body["location"] == "westeurope"

    def test_the_home_region_is_added(self) -> None:
        """ARM insists on the home region among the targets."""
        action = build.act(build.migration(build.in_regions("northeurope")), ONLY_DEFINITION).action

        assert _targets(action.body) == ["westeurope", "northeurope"]

    def test_a_region_takes_what_it_does_not_say_from_the_version(self) -> None:
        """Counts and storage types of a region win over those of the version."""
        own = {
            "name": "westeurope",
            "regionalReplicaCount": 3,
            "storageAccountType": "Premium_LRS",
            "excludeFromLatest": True,
        }
        spec = {
            "version": {
                "replicaCount": 2,
                "storageAccountType": "Standard_ZRS",
                "targetRegions": [own, {"name": "uksouth"}],
            }
        }
        action = build.act(build.migration(spec), ONLY_DEFINITION).action

        assert action.body is not None
        assert action.body["properties"]["publishingProfile"]["targetRegions"] == [
            own,
            {
                "name": "uksouth",
                "regionalReplicaCount": 2,
                "storageAccountType": "Standard_ZRS",
                "excludeFromLatest": False,
            },
        ]

    def test_a_missing_image_stalls(self) -> None:
        """Nothing to build from, and nothing built: a person has to correct it."""
        step = build.wait(build.migration(), build.facts(version=MISSING, image=MISSING))

        assert step.after is Pace.STALLED
        assert build.reason(step.status, "Stalled") == "SourceMissing"
        assert "spec.source.managedImageId" in build.message(step.status, "Stalled")

    def test_a_missing_gallery_stalls(self) -> None:
        """The gallery is not ours to make."""
        step = build.wait(build.migration(), build.facts(version=MISSING, definition=MISSING, gallery=MISSING))

        assert step.after is Pace.STALLED
        assert build.reason(step.status, "Stalled") == "GalleryMissing"
        assert "spec.gallery.id" in build.message(step.status, "Stalled")

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            pytest.param({"provisioning_state": "Failed"}, "SourceFailed", id="failed"),
            pytest.param({"os_state": "Specialized"}, "SourceNotGeneralized", id="specialized"),
            pytest.param({"os_disk": Disk(None, 2049, ("x",))}, "SourceTooLarge", id="os-disk-too-large"),
            pytest.param({"data_disks": (Disk(4, 4096, ("x",)),)}, "SourceTooLarge", id="data-disk-too-large"),
        ],
    )
    def test_an_unfit_image_stalls(self, change: Json, reason: str) -> None:
        """What Azure would refuse, or fail minutes later, is said before anything is built."""
        step = build.wait(build.migration(), build.facts(version=MISSING, image=build.image(**change)))

        assert step.after is Pace.STALLED
        assert build.reason(step.status, "PreflightPassed") == reason

    def test_a_disk_of_2048_gb_is_built(self) -> None:
        """The limit itself is allowed."""
        large = build.image(os_disk=Disk(None, 2048, ("x",)))

        assert build.act(build.migration(), build.facts(version=MISSING, image=large))

    def test_a_shallow_version_takes_any_disk(self) -> None:
        """A Shallow version copies nothing, so Azure's limit does not hold for it."""
        spec = {"version": {"replicationMode": "Shallow"}, "sourceDeletion": {"policy": "Retain"}}
        large = build.image(os_disk=Disk(None, 4096, ("x",)))

        assert build.act(build.migration(spec), build.facts(version=MISSING, image=large))

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            pytest.param({"osType": "Linux"}, "osType is Linux, wanted Windows", id="os"),
            pytest.param({"hyperVGeneration": "V1"}, "hyperVGeneration is V1, wanted V2", id="generation"),
        ],
    )
    def test_a_spec_that_contradicts_the_image_stalls_naming_the_field(self, spec: Json, words: str) -> None:
        """The finding is what the spec says, the wish what the image is."""
        step = build.wait(build.migration({"definition": spec}), ONLY_DEFINITION)

        assert words in build.message(step.status, "Stalled")

    def test_an_image_that_is_still_being_made_is_awaited(self) -> None:
        """Its disks are not known before it is Succeeded, so neither is its fingerprint."""
        step = build.wait(
            build.migration(), build.facts(version=MISSING, image=build.image(provisioning_state="Creating"))
        )

        assert step.after is not Pace.STALLED
        assert build.reason(step.status, "Reconciling") == "SourceNotSettled"

    def test_three_builds_are_the_budget(self) -> None:
        """The third build is still requested; it is counted when the version is seen, not when it is asked for."""
        status = {"version": {"id": build.VERSION_ID, "attempts": 2}}
        step = build.act(build.migration(status=status), ONLY_DEFINITION)

        assert step.status.version is not None
        assert step.status.version.attempts == 2

    def test_a_build_counts_once_it_is_seen(self) -> None:
        """A request that Azure never took does not use up the budget."""
        status = {"version": {"id": build.VERSION_ID, "attempts": 2}, **build.announced(ActionName.CREATE_VERSION)}
        step = build.wait(build.migration(status=status), build.facts(version=build.replicating()))

        assert step.status.version is not None
        assert step.status.version.attempts == 3

    def test_a_fourth_build_stalls(self) -> None:
        """A version that vanishes again and again is not built for ever."""
        status = {"version": {"id": build.VERSION_ID, "attempts": 3}}
        step = build.wait(build.migration(status=status), ONLY_DEFINITION)

        assert build.reason(step.status, "Stalled") == "BuildBudgetExhausted"

    def test_a_rebuild_voids_the_verification(self) -> None:
        """What was verified of the version that vanished says nothing of the next."""
        step = build.act(build.migration(status=build.verified(build.version())), ONLY_DEFINITION)

        assert build.states(step.status)["Verified"] == "Unknown"
        assert step.status.proof is None
        assert step.status.verification is None


class TestReplication:
    """Replicated comes from the regions themselves."""

    def test_a_region_that_lags_holds_back_replicated_though_the_operation_succeeded(self) -> None:
        """Replicated stays False while any wanted region lags, whatever the operation says."""
        seen = build.facts(version=build.replicating("westeurope", "northeurope", lagging="northeurope"))
        step = build.wait(build.migration(build.in_regions("westeurope", "northeurope")), seen)

        assert build.states(step.status)["VersionReady"] == "True"
        assert build.states(step.status)["Replicated"] == "False"
        assert "northeurope" in build.message(step.status, "Replicated")

    def test_a_region_without_an_entry_counts_as_lagging(self) -> None:
        """No word about a region is not a good word."""
        step = build.wait(build.migration(), build.facts(version=build.version(replication={})))

        assert build.states(step.status)["Replicated"] == "False"

    def test_a_completed_region_does_not_make_a_building_version_replicated(self) -> None:
        """Both have to hold: the version Succeeded and its regions Completed."""
        step = build.wait(build.migration(), build.facts(version=build.version(provisioning_state="Updating")))

        assert build.states(step.status)["Replicated"] == "False"

    def test_it_is_looked_at_once_a_minute(self) -> None:
        """A replication takes minutes; Azure asks for a poll a minute."""
        assert build.wait(build.migration(), build.facts(version=build.replicating())).after == timedelta(seconds=60)

    def test_complete_regions_make_it_replicated(self) -> None:
        """Every wanted region is Completed: True, and Ready by default."""
        status = build.wait(build.migration(), build.facts()).status

        assert build.states(status)["Replicated"] == "True"
        assert build.states(status)["Ready"] == "True"

    def test_a_version_that_fits_is_adopted(self) -> None:
        """A version from the same image without our tag is used, and shown as adopted."""
        status = build.wait(build.migration(), build.facts(version=build.version(tags={}))).status

        assert status.version is not None
        assert status.version.outcome == "Adopted"

    def test_a_version_of_another_source_stalls(self) -> None:
        """A version that is not of our image is neither adopted nor touched."""
        step = build.wait(build.migration(), build.facts(version=build.version(source_id=build.OTHER_IMAGE_ID)))

        assert build.reason(step.status, "Stalled") == "VersionConflict"
        assert build.OTHER_IMAGE_ID in build.message(step.status, "Stalled")

    def test_ids_are_compared_without_case(self) -> None:
        """ARM changes the casing of ids at will."""
        step = build.wait(build.migration(), build.facts(version=build.version(source_id=build.IMAGE_ID.upper())))

        assert build.states(step.status)["Replicated"] == "True"

    @pytest.mark.parametrize(
        ("version", "reason"),
        [
            pytest.param(build.replicating(state="Failed"), "RegionFailed", id="region"),
            pytest.param(build.version(provisioning_state="Failed", replication={}), "VersionFailed", id="build"),
        ],
    )
    def test_a_failure_stalls(self, version: Any, reason: str) -> None:
        """What Azure gave up on is a person's; nothing is removed."""
        step = build.wait(build.migration(), build.facts(version=version))

        assert step.after is Pace.STALLED
        assert build.reason(step.status, "Stalled") == reason


class TestAddedRegion:
    """A region added to the spec is added to the version; what is there stays."""

    SPEC = build.in_regions("westeurope", "uksouth")

    def test_an_update_keeps_every_region_and_the_source(self) -> None:
        """ARM replaces the list as a whole; an empty storageProfile keeps the source."""
        seen = build.facts(version=build.version("westeurope", "northeurope"))
        action = build.act(build.migration(self.SPEC), seen).action

        assert action.name is ActionName.UPDATE_VERSION
        assert action.body is not None
        assert _targets(action.body) == ["westeurope", "northeurope", "uksouth"]
        assert action.body["properties"]["storageProfile"] == {}

    def test_an_update_keeps_what_else_the_version_says(self) -> None:
        """The profile and the tags come back as they are, except what ARM alone writes."""
        version = build.version()
        action = build.act(build.migration(self.SPEC), build.facts(version=version)).action

        assert action.body is not None
        assert action.body["tags"] == {**version.tags, "imageferry-added": "uksouth"}
        assert action.body["properties"]["publishingProfile"]["replicaCount"] == 1
        assert "publishedDate" not in action.body["properties"]["publishingProfile"]

    def test_nothing_is_added_while_the_version_is_busy(self) -> None:
        """A version has one writer at a time."""
        seen = build.facts(version=build.version(provisioning_state="Updating"))

        assert build.states(build.wait(build.migration(self.SPEC), seen).status)["Replicated"] == "False"

    def test_a_version_of_another_cluster_is_never_changed(self) -> None:
        """The tag of another cluster stalls instead."""
        version = build.version(tags={"imageferry-cluster": "cluster-b"})
        step = build.wait(build.migration(self.SPEC), build.facts(version=version))

        assert build.reason(step.status, "Stalled") == "VersionOwnedElsewhere"

    def test_extra_regions_are_left_alone(self) -> None:
        """What Azure has and the spec lacks is kept, and shown as Extra."""
        step = build.wait(build.migration(), build.facts(version=build.version("westeurope", "northeurope")))

        assert step.status.replication is not None
        assert [(r.name, r.state) for r in step.status.replication.regions][1] == ("northeurope", "Extra")

    def test_no_region_is_added_while_an_image_deletion_is_open(self) -> None:
        """An announced deletion whose outcome is unknown is resolved before anything else is announced (promise 2)."""
        subject = build.migration(self.SPEC, build.announced(ActionName.DELETE_IMAGE, age=RECENT))
        step, _ = build.settle(subject, build.facts())

        assert isinstance(step, Wait)


def _targets(body: Any) -> list[str]:
    return [region["name"] for region in body["properties"]["publishingProfile"]["targetRegions"]]


class TestDisbelief:
    """For five minutes after an announcement ARM's caches are not believed; then it is announced anew."""

    PUTS = (
        pytest.param(ActionName.CREATE_DEFINITION, NOTHING_BUILT, {}, id="definition"),
        pytest.param(ActionName.CREATE_VERSION, ONLY_DEFINITION, {}, id="version"),
        pytest.param(ActionName.UPDATE_VERSION, build.facts(), build.in_regions("westeurope", "uksouth"), id="regions"),
    )

    @pytest.mark.parametrize(("name", "seen", "spec"), PUTS)
    def test_what_was_just_put_is_awaited(self, name: ActionName, seen: Facts, spec: Json) -> None:
        """A 404 within five minutes of an announced PUT sends nothing."""
        subject = build.migration(spec, build.announced(name, age=RECENT))
        step = build.wait(subject, seen)

        assert step.after is not Pace.STALLED
        assert step.status.operation == subject.status.operation

    @pytest.mark.parametrize(("name", "seen", "spec"), PUTS)
    def test_what_does_not_show_after_that_is_announced_anew(self, name: ActionName, seen: Facts, spec: Json) -> None:
        """After five minutes the PUT is repeated, with a count."""
        step = build.act(build.migration(spec, build.announced(name, age=LONG_AGO)), seen)

        assert step.action.name is name
        assert step.attempt == 2

    @pytest.mark.parametrize(("name", "seen", "spec"), PUTS[:2])
    @pytest.mark.parametrize(("age", "after"), [pytest.param(2, 3, id="at-once"), (30, 15), (100, 50), (240, 60)])
    def test_looks_come_more_slowly_the_longer_it_does_not_show(
        self, name: ActionName, seen: Facts, spec: Json, *, age: int, after: int
    ) -> None:
        """Half of what has passed, between three seconds and a minute: a dozen looks, not a hundred."""
        step = build.wait(build.migration(spec, build.announced(name, age=timedelta(seconds=age))), seen)

        assert step.after == timedelta(seconds=after)

    @pytest.mark.parametrize(("kind", "kept"), [("BackOff", True), ("AskUser", False)])
    def test_the_failure_that_left_the_outcome_open_stays_shown(self, kind: str, *, kept: bool) -> None:
        """An outage of PUTs would be seen by nobody else: each is followed by five minutes of looking."""
        error: Json = {"error": {"code": "InternalServerError", "message": "Azure answered 500", "kind": kind}}
        status = build.announced(ActionName.CREATE_VERSION, age=RECENT) | error
        step = build.wait(build.migration(status=status), ONLY_DEFINITION)

        assert (step.status.error is not None) is kept

    def test_an_image_that_still_answers_after_our_delete_is_awaited(self) -> None:
        """A 200 within five minutes of an announced DELETE does not delete twice."""
        step = build.wait(*_deletable(build.announced(ActionName.DELETE_IMAGE, age=RECENT)))

        assert build.reason(step.status, "SourceDeleted") == "Deleting"
        assert step.status.operation is not None

    def test_an_image_that_is_being_deleted_is_awaited_however_long(self) -> None:
        """Azure itself says that the deletion is under way."""
        subject, _, context = _deletable(build.announced(ActionName.DELETE_IMAGE, age=timedelta(hours=1)))
        step = build.wait(subject, build.facts(image=build.image(provisioning_state="Deleting")), context)

        assert build.reason(step.status, "SourceDeleted") == "Deleting"

    def test_a_delete_that_had_no_effect_is_announced_anew_with_all_guards(self) -> None:
        """After five minutes the guards are asked again, siblings included."""
        subject, seen, context = _deletable(build.announced(ActionName.DELETE_IMAGE, age=LONG_AGO))
        step, looked = build.settle(subject, seen, context)

        assert isinstance(step, Act)
        assert step.attempt == 2
        assert What.SIBLINGS in looked

    def test_no_version_is_built_from_an_image_whose_deletion_was_just_announced(self) -> None:
        """The 200 of the image may be stale, so it is no base for a build (section 3)."""
        subject = build.migration(status=build.announced(ActionName.DELETE_IMAGE, age=RECENT))
        step, _ = build.settle(subject, ONLY_DEFINITION)

        assert isinstance(step, Wait)


def _deletable(more: Json | None = None) -> tuple[Any, Facts, Any]:
    version = build.version()
    subject = build.migration(status=build.verified(version) | (more or {}))
    return subject, build.facts(), build.context(completion=build.completed(version))


class TestEnd:
    """The image goes when all guards hold; then the migration is final."""

    def test_the_image_itself_is_deleted(self) -> None:
        """The one DELETE names the image, without a body."""
        step = build.act(*_deletable())

        assert step.action.name is ActionName.DELETE_IMAGE
        assert step.action.resource == build.IMAGE_ID
        assert step.action.body is None

    def test_a_retained_image_stays(self) -> None:
        """With policy Retain a verified migration is complete, and the image stays for ever."""
        version = build.version()
        subject = build.migration({"sourceDeletion": {"policy": "Retain"}}, build.verified(version))
        step = build.wait(subject, build.facts(), build.context(completion=build.completed(version)))

        assert step.status.phase is Phase.COMPLETED
        assert build.reason(step.status, "SourceDeleted") == "Retained"

    def test_an_image_that_is_gone_after_our_delete_was_deleted(self) -> None:
        """The 404 behind our announcement is the outcome."""
        subject, _, context = _deletable(build.announced(ActionName.DELETE_IMAGE, age=RECENT))
        step = build.wait(subject, build.facts(image=MISSING), context)

        assert _outcome(step) is ReceiptOutcome.DELETED
        assert step.status.operation is None

    def test_the_receipt_names_the_proof(self) -> None:
        """Under which proof the image was deleted is on record."""
        subject, _, context = _deletable(build.announced(ActionName.DELETE_IMAGE, age=RECENT))
        step = build.wait(subject, build.facts(image=MISSING), context)

        assert step.status.deletion is not None
        assert step.status.deletion.receipt is not None
        assert step.status.deletion.receipt.digest == subject.status.proof.digest

    def test_an_image_that_is_gone_without_us_needs_no_verification(self) -> None:
        """The version was built from it and is complete: there is nothing left to do."""
        step = build.wait(build.migration(), build.facts(image=MISSING))

        assert _outcome(step) is ReceiptOutcome.ALREADY_GONE
        assert step.status.phase is Phase.COMPLETED
        assert "Verified" not in build.states(step.status)

    def test_a_migration_whose_image_is_gone_shows_its_regions(self) -> None:
        """The pass saw the version complete, and the status says so."""
        step = build.wait(build.migration(), build.facts(image=MISSING))

        assert step.status.replication is not None
        assert step.status.replication.summary == "1/1"

    def test_an_image_that_vanished_while_replicating_waits_for_the_regions(self) -> None:
        """Gone is not complete: without all regions there is no receipt."""
        step = build.wait(build.migration(), build.facts(image=MISSING, version=build.replicating()))

        assert step.status.deletion is None

    @pytest.mark.parametrize(
        "seen",
        [
            pytest.param(build.facts(), id="image-is-back"),
            pytest.param(build.facts(version=MISSING), id="version-is-gone"),
            pytest.param(build.facts(version=MISSING, image=MISSING, definition=MISSING), id="all-is-gone"),
            pytest.param(build.facts(version=build.version(provisioning_state="Failed")), id="version-failed"),
            pytest.param(build.facts(version=build.version(source_id=build.OTHER_IMAGE_ID)), id="version-of-another"),
        ],
    )
    def test_a_receipt_is_final(self, seen: Facts) -> None:
        """With a receipt nothing but the version is looked at, and the source never again."""
        subject = build.migration({}, build.receipt() | build.verified(build.version()))
        step, looked = build.settle(subject, seen, build.context(completion=build.completed(build.version())))

        assert isinstance(step, Wait)
        assert looked == [What.VERSION]
        assert _outcome(step) is ReceiptOutcome.DELETED

    def test_a_version_that_vanished_after_the_end_is_told(self) -> None:
        """VersionReady is False with reason Gone; nothing can bring it back."""
        step = build.wait(build.migration(status=build.receipt()), build.facts(version=MISSING))

        assert build.reason(step.status, "VersionReady") == "Gone"

    @pytest.mark.parametrize(
        ("spec", "version"),
        [
            pytest.param({}, build.version(provisioning_state="Failed"), id="failed"),
            pytest.param({}, build.replicating(state="Failed"), id="region-failed"),
            pytest.param({}, build.replicating(), id="region-lags"),
            pytest.param(
                build.in_regions("uksouth"), build.version(provisioning_state="Updating"), id="region-wanted-later"
            ),
            pytest.param({}, build.version(source_id=build.OTHER_IMAGE_ID), id="of-another-image"),
        ],
    )
    def test_a_final_status_says_only_what_azure_showed(self, spec: Json, version: Any) -> None:
        """Replicated is not True while Azure shows otherwise (promise 3)."""
        step = build.wait(build.migration(spec, build.receipt()), build.facts(version=version))

        assert build.states(step.status).get("Replicated") != "True"


def _outcome(step: Act | Wait) -> ReceiptOutcome:
    assert step.status.deletion is not None
    assert step.status.deletion.receipt is not None
    return step.status.deletion.receipt.outcome


class TestStop:
    """Suspension and deletion of the resource stop everything."""

    SITUATIONS = (
        pytest.param({}, NOTHING_BUILT, id="nothing-built"),
        pytest.param({}, ONLY_DEFINITION, id="about-to-build"),
        pytest.param({}, build.facts(version=build.replicating()), id="replicating"),
        pytest.param(build.verified(build.version()), build.facts(), id="about-to-delete"),
    )

    @pytest.mark.parametrize(("status", "seen"), SITUATIONS)
    def test_a_suspended_migration_looks_at_nothing(self, status: Json, seen: Facts) -> None:
        """No look, no mutation, and no pass before the resource changes."""
        step, looked = build.settle(build.migration({"suspend": True}, status), seen)

        assert isinstance(step, Wait)
        assert not looked
        assert step.after is Pace.NEVER

    def test_suspension_removes_a_ready_that_was_not_reached(self) -> None:
        """Neither Reconciling nor Stalled nor a False Ready stays while nothing goes on."""
        before = build.stored(
            build.migration(), build.wait(build.migration(), build.facts(version=build.replicating()))
        )
        subject = build.migration({"suspend": True}, before.status.wire())
        states = build.states(build.wait(subject, build.facts()).status)

        assert not {"Ready", "Reconciling", "Stalled"} & set(states)
        assert states["Replicated"] == "False"

    def test_suspension_leaves_a_ready_that_was_reached(self) -> None:
        """What was reached is not lost by a pause."""
        before = build.stored(build.migration(), build.wait(build.migration(), build.facts()))
        subject = build.migration({"suspend": True}, before.status.wire())

        assert build.states(build.wait(subject, build.facts()).status)["Ready"] == "True"

    @pytest.mark.parametrize(("status", "seen"), SITUATIONS)
    def test_a_deleted_resource_does_nothing(self, status: Json, seen: Facts) -> None:
        """Once its deletion is marked, nothing is looked at, written or done."""
        subject = build.migration(status=status, deletionTimestamp=NOW.isoformat())
        step, looked = build.settle(subject, seen)

        assert isinstance(step, Wait)
        assert step.status == subject.status
        assert not looked


def test_the_whole_way() -> None:
    """From nothing to a deleted image: three mutations, each once, each seen before the next."""
    subject, seen, now = build.migration(), NOTHING_BUILT, NOW
    done = []
    for change in (
        {"definition": Found(build.definition())},
        {"version": Found(build.replicating())},
        {"version": Found(build.version())},
    ):
        step = build.settle(subject, seen, build.context(now))[0]
        done += [step.action.name] if isinstance(step, Act) else []
        subject, now = build.stored(subject, step, now=now), now + timedelta(minutes=1)
        seen = replace(seen, **change)
    complete = build.wait(subject, seen, build.context(now))
    subject = build.stored(subject, complete)
    said = subject.status.wire()
    said["conditions"] = [*said["conditions"], {"type": "Verified", "status": "True"}]
    later = build.context(now + TIMING.settle, complete.completion)
    last = build.act(build.migration(status=said), seen, later)

    assert [*done, last.action.name] == [
        ActionName.CREATE_DEFINITION,
        ActionName.CREATE_VERSION,
        ActionName.DELETE_IMAGE,
    ]
