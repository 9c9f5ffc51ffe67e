"""What is repaired without a person: every limit of it alone forbids, and nothing but an announced write repairs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imageferry.api.resource import ImageMigration
from imageferry.api.status import ActionName
from imageferry.migration import claims, healing
from imageferry.migration.facts import MISSING, GalleryVersion, RegionReplication
from imageferry.migration.requests import Body
from imageferry.migration.steps import Act, Brake, Context, Wait
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

BOTH = build.in_regions("westeurope", "northeurope")
FAILED, GOOD = RegionReplication("Failed", 40, "no capacity"), RegionReplication("Completed", 100)
MOVING = RegionReplication("Replicating", 10)
OLD = TIMING.disbelief * 2


def failed_build(**changes: Any) -> GalleryVersion:
    """Return a version of ours whose build failed everywhere."""
    there = build.version("westeurope", "northeurope")
    return replace(
        there,
        **{
            "provisioning_state": "Failed",
            "built": False,
            "replication": dict.fromkeys(there.replication, FAILED),
            **changes,
        },
    )


def failed_region(**changes: Any) -> GalleryVersion:
    """Return a version of ours that serves at home, and whose region that was added later failed."""
    there = build.version("westeurope", "northeurope")
    targets = (there.target_regions[0], _target("northeurope"))
    given = {
        "tags": {**there.tags, "imageferry-added": "northeurope"},
        "target_regions": targets,
        "publishing_profile": {**there.publishing_profile, "targetRegions": list(targets)},
        "replication": {"westeurope": GOOD, "northeurope": FAILED},
    }
    return replace(there, **(given | changes))


def _target(name: str, **fields: Any) -> Json:
    return {"name": name, "regionalReplicaCount": 1, "storageAccountType": "Standard_LRS"} | fields


def followed(repairs: int | None = 0, attempts: int | None = 1, **fields: Any) -> Json:
    """Return a status that has followed the version since it was asked for."""
    marks = {} if repairs is None else {"repairs": repairs}
    regions = [
        {"name": name, "state": "Replicating", "progress": 40, **marks} for name in ("westeurope", "northeurope")
    ]
    version = {"id": build.VERSION_ID} | ({"attempts": attempts} if attempts is not None else {})
    return {"version": version, "replication": {"summary": "0/2", "regions": regions}} | fields


def tags(**changes: str | None) -> dict[str, str]:
    """Return the tags of a version of ours, changed."""
    given = {**failed_region().tags, **{f"imageferry-{name}": value for name, value in changes.items()}}
    return {name: value for name, value in given.items() if value is not None}


def peer(status: Json, *, created: str | None = None) -> Context:
    """Return a context with another migration of the same image and version."""
    stamp: Json = {"creationTimestamp": created} if created else {}
    other = claims.of(build.migration(status=status, uid="other", name="other", **stamp))
    return replace(build.context(), peers=(other,))


def stalls(subject: ImageMigration, why: str, seen: Any, context: Context | None = None) -> None:
    """Check that nothing is changed, and that the message tells why and what a person can do."""
    step, _ = build.settle(subject, seen, context)
    assert isinstance(step, Wait), step.action
    assert build.condition(step.status, "Stalled"), step.status.conditions
    assert f"it is not repaired: {why}" in build.message(step.status, "Stalled")
    assert "`az " in build.message(step.status, "Stalled")


class TestFailedBuild:
    """A version is deleted only when it serves nowhere, never did, and can be built again from the same image."""

    def test_it_is_deleted(self) -> None:
        """Announced as what it is, with the version's own id and no body."""
        subject = build.migration(BOTH, followed())
        step, looked = build.settle(subject, build.facts(version=failed_build()))

        assert isinstance(step, Act)
        assert (step.action.name, step.action.body) == (ActionName.DELETE_VERSION, None)
        assert step.action.resource == build.VERSION_ID
        assert [what.value for what in looked] == ["version", "image"]
        assert "no capacity" in build.message(step.status, "Ready")

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            pytest.param({"tags": tags(migration="other")}, "another migration, or nobody", id="of-another-migration"),
            pytest.param({"tags": tags(migration=None)}, "another migration, or nobody", id="of-nobody"),
            pytest.param({"tags": tags(cluster="b")}, "it belongs to another cluster (b)", id="of-another-cluster"),
            pytest.param({"tags": tags(cluster=None)}, "it belongs to another cluster (None)", id="of-no-cluster"),
            pytest.param(
                {"replication": {"westeurope": FAILED, "northeurope": FAILED, "uksouth": GOOD}},
                "a region is Completed",
                id="serves-where-nobody-asked",
            ),
            pytest.param(
                {"replication": {"westeurope": FAILED, "northeurope": MOVING}}, "Azure does not show", id="moving"
            ),
            pytest.param({"replication": {"westeurope": FAILED}}, "Azure does not show", id="not-told"),
            pytest.param({"built": True}, "it was built once", id="built-once"),
            pytest.param({"target_regions": ()}, "it is not known that no region", id="no-regions"),
            pytest.param(
                {
                    "target_regions": (_target("westeurope"), _target("northeurope"), _target("uksouth")),
                    "replication": dict.fromkeys(("westeurope", "northeurope", "uksouth"), FAILED),
                },
                "it is not known that no region ever was Completed",
                id="region-of-others",
            ),
            pytest.param(
                {"block_deletion_before_end_of_life": True}, "it is protected", id="protected-until-end-of-life"
            ),
            pytest.param({"tags": tags(fingerprint="v1:other")}, "the image is not the one", id="of-another-content"),
            pytest.param({"tags": tags(fingerprint=None)}, "the image is not the one", id="of-unknown-content"),
        ],
    )
    def test_what_azure_shows_forbids_it(self, changes: Json, why: str) -> None:
        """Each of these alone."""
        seen = build.facts(version=failed_build(**changes))
        stalls(build.migration(BOTH, followed()), why, seen)

    @pytest.mark.parametrize(
        ("image", "why"),
        [
            pytest.param(build.image(provisioning_state="Deleting"), "the image is not settled", id="going"),
            pytest.param(build.image(created_at="2026-04-30T00:00:00Z"), "the image is not the one", id="made-anew"),
        ],
    )
    def test_it_needs_its_image(self, image: Any, why: str) -> None:
        """The very one that it was built from, as it is in this pass."""
        stalls(build.migration(BOTH, followed()), why, build.facts(version=failed_build(), image=image))

    def test_what_cannot_be_built_again_is_not_told_to_be_deleted(self) -> None:
        """Its image is gone: it may be the last of it that there is."""
        seen = build.facts(version=failed_build(), image=MISSING)
        step, _ = build.settle(build.migration(BOTH, followed()), seen)

        assert isinstance(step, Wait), step.action
        message = build.message(step.status, "Stalled")
        assert "it is not repaired: there is no image to build from; nothing can build it again, so do not" in message
        assert "`az " not in message

    @pytest.mark.parametrize(
        ("attempts", "cure"),
        [
            pytest.param(2, "delete the version in Azure, and it is built again: `az rest", id="builds-left"),
            pytest.param(3, "then delete and apply this ImageMigration anew, to have it built: `az rest", id="none"),
        ],
    )
    def test_the_cure_is_one_that_works(self, attempts: int, cure: str) -> None:
        """Deleting the version alone brings it back only while there are builds left (`BuildBudgetExhausted`)."""
        seen = build.facts(version=failed_build(block_deletion_before_end_of_life=True))
        step, _ = build.settle(build.migration(BOTH, followed(attempts=attempts)), seen)

        assert cure in build.message(step.status, "Stalled")

    @pytest.mark.parametrize(
        ("status", "why"),
        [
            pytest.param({}, "it is not known that no region", id="status-lost"),
            pytest.param(followed(repairs=None), "it is not known that no region", id="completed-once-or-unknown"),
            pytest.param(followed(attempts=None), "it is not known how often", id="builds-unknown"),
            pytest.param(followed(attempts=3), "it was built 3 times", id="budget-used-up"),
            pytest.param(
                followed(deletion={"requestedAt": NOW.isoformat()}), "the deletion of the image", id="deletion-before"
            ),
            pytest.param(
                followed(**build.announced(ActionName.DELETE_IMAGE, age=OLD)), "the deletion", id="deletion-open"
            ),
            pytest.param(
                followed(**build.announced(ActionName.DELETE_VERSION, age=OLD, attempt=3)),
                "that was asked for 3 times",
                id="asked-for-often",
            ),
        ],
    )
    def test_what_is_remembered_forbids_it(self, status: Json, why: str) -> None:
        """Where the status is lost it forbids too."""
        stalls(build.migration(BOTH, status), why, build.facts(version=failed_build()))

    def test_another_migration_that_deletes_the_image_forbids_it(self) -> None:
        """What was built of it could not be built again."""
        context = peer(build.announced(ActionName.DELETE_IMAGE))
        stalls(
            build.migration(BOTH, followed()), "the deletion of the image", build.facts(version=failed_build()), context
        )

    def test_forged_memories_allow_nothing_that_azure_does_not_show(self) -> None:
        """All that a status can say for it, over a version that serves, or was built once."""
        forged = build.migration(BOTH, followed(attempts=1))
        for there in (
            failed_build(replication={"westeurope": GOOD, "northeurope": FAILED}),
            failed_build(built=True),
            build.version("westeurope", "northeurope"),
        ):
            step, _ = build.settle(forged, build.facts(version=there))
            assert not isinstance(step, Act)

    @pytest.mark.parametrize("spec", [{"suspend": True}, {"mode": "Plan"}], ids=["suspended", "plan"])
    def test_not_while_it_must_not_change_azure(self, spec: Json) -> None:
        """Suspension and mode Plan."""
        step, _ = build.settle(build.migration(BOTH | spec, followed()), build.facts(version=failed_build()))
        assert isinstance(step, Wait)

    def test_not_while_another_works_on_the_version(self) -> None:
        """One writer a version: the older one comes first."""
        context = peer(build.announced(ActionName.UPDATE_VERSION), created="2020-01-01T00:00:00Z")
        step = build.wait(build.migration(BOTH, followed()), build.facts(version=failed_build()), context)
        assert build.reason(step.status, "Ready") == "WaitingForVersion"

    @pytest.mark.parametrize("action", [ActionName.CREATE_VERSION, ActionName.DELETE_VERSION])
    def test_what_may_be_older_than_the_last_write_is_not_believed(self, action: ActionName) -> None:
        """A failed build seen right after the request may be the one before it; nothing is counted by it."""
        subject = build.migration(BOTH, followed(**build.announced(action)))
        step = build.wait(subject, build.facts(version=failed_build()))

        assert step.status.operation == subject.status.operation
        assert step.status.version is not None
        assert step.status.version.attempts == 1
        assert step.after == TIMING.building

    def test_a_deletion_that_does_not_show_is_announced_anew(self) -> None:
        """With the next attempt's number, and not before five minutes."""
        subject = build.migration(BOTH, followed(**build.announced(ActionName.DELETE_VERSION, age=OLD)))
        step = build.act(subject, build.facts(version=failed_build()))
        assert (step.action.name, step.attempt) == (ActionName.DELETE_VERSION, 2)

    @pytest.mark.parametrize("state", ["Failed", "Deleting"])
    def test_a_deletion_stays_announced_until_it_shows(self, state: str) -> None:
        """Also over a stall, so that the tries are counted."""
        status = followed(**build.announced(ActionName.DELETE_VERSION, age=OLD, attempt=3))
        subject, seen = build.migration(BOTH, status), build.facts(version=failed_build(provisioning_state=state))
        assert build.wait(subject, seen).status.operation == subject.status.operation

    @pytest.mark.parametrize("final", [{}, build.receipt()], ids=["source", "source-deleted"])
    def test_a_version_that_is_being_deleted_is_no_failure(self, final: Json) -> None:
        """It is followed until it is gone, without a stall in between."""
        status = followed(**build.announced(ActionName.DELETE_VERSION), **final)
        step = build.wait(
            build.migration(BOTH, status), build.facts(version=failed_build(provisioning_state="Deleting"))
        )
        assert build.states(step.status)["Reconciling"] == "True"

    def test_a_build_is_known_to_serve_nowhere_from_its_request_on(self) -> None:
        """So a restart between the request and the first look loses nothing."""
        requested = build.migration(BOTH, build.announced(ActionName.CREATE_VERSION, age=OLD))
        there = failed_build(provisioning_state="Creating", replication={})
        seen = build.stored(requested, build.wait(requested, build.facts(version=there)))
        assert build.act(seen, build.facts(version=failed_build())).action.name is ActionName.DELETE_VERSION

    def test_without_it_the_normal_path_builds_again(self) -> None:
        """At once: a 404 is what was wanted. The build counts, and what was requested of the image stays said."""
        status = followed(attempts=2, **build.announced(ActionName.DELETE_VERSION))
        step = build.act(build.migration(BOTH, status), build.facts(version=MISSING))

        assert step.action.name is ActionName.CREATE_VERSION
        assert step.status.version is not None
        assert step.status.version.attempts == 2


class TestFailedRegion:
    """A region goes only if this migration added it, it never was Completed, and it is not the version's own."""

    def test_it_is_removed(self) -> None:
        """In the one PUT that may remove regions; all else goes back as it is."""
        step = build.act(build.migration(BOTH, followed()), build.facts(version=failed_region()))

        assert step.action.name is ActionName.REMOVE_REGIONS
        body = _body(step)
        assert _regions(body) == ["westeurope"]
        assert body["properties"]["safetyProfile"] == {"allowDeletionOfReplicatedLocations": True}
        assert body["properties"]["storageProfile"] == {}
        assert body["tags"] == failed_region().tags

    def test_it_is_removed_after_the_source_is_gone(self) -> None:
        """The version serves at home, whatever becomes of the region."""
        subject = build.migration(BOTH, followed(**build.receipt()))
        step, looked = build.settle(subject, build.facts(version=failed_region()))
        assert isinstance(step, Act)
        assert step.action.name is ActionName.REMOVE_REGIONS
        assert [what.value for what in looked] == ["version"]

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            pytest.param({"tags": tags(migration="other")}, "another migration, or nobody", id="of-another-migration"),
            pytest.param({"tags": tags(cluster="b")}, "it belongs to another cluster (b)", id="of-another-cluster"),
            pytest.param(
                {"replication": {"westeurope": FAILED, "northeurope": GOOD}, "tags": tags(added="westeurope")},
                "westeurope is the version's own region",
                id="own-region",
            ),
            pytest.param(
                {"location": "uksouth", "replication": {"westeurope": GOOD, "northeurope": FAILED, "uksouth": MOVING}},
                "northeurope failed before the version's own region was Completed",
                id="home-not-completed",
            ),
            pytest.param(
                {"location": "uksouth"}, "northeurope failed before the version's own region", id="home-not-told"
            ),
            pytest.param({"tags": tags(added=None)}, "northeurope was not added by this migration", id="not-added"),
            pytest.param({"tags": tags(added="uksouth")}, "northeurope was not added by", id="another-was-added"),
            pytest.param(
                {"target_regions": (_target("westeurope"), _target("northeurope", regionalReplicaCount=5))},
                "northeurope has settings in Azure",
                id="replicas-of-others",
            ),
            pytest.param(
                {"target_regions": (_target("westeurope"), _target("northeurope", additionalReplicaSets=[{"a": 1}]))},
                "northeurope has settings in Azure",
                id="what-we-do-not-know",
            ),
            pytest.param(
                {"target_regions": (_target("westeurope"), _target("northeurope", excludeFromLatest=True))},
                "northeurope has settings in Azure",
                id="excluded-by-others",
            ),
        ],
    )
    @pytest.mark.parametrize("source", [{}, build.receipt()], ids=["source", "source-deleted"])
    def test_what_azure_shows_forbids_it(self, changes: Json, why: str, source: Json) -> None:
        """Each of these alone, before and after the source is gone."""
        subject = build.migration(BOTH, followed(**source))
        step, _ = build.settle(subject, build.facts(version=failed_region(**changes)))
        assert isinstance(step, Wait), step.action
        assert build.reason(step.status, "Stalled") == "RegionFailed"
        assert f"it is not repaired: {why}" in build.message(step.status, "Stalled")

    @pytest.mark.parametrize(
        ("status", "why"),
        [
            pytest.param({}, "northeurope may have been Completed before", id="status-lost"),
            pytest.param(followed(repairs=None), "northeurope may have been Completed before", id="completed-once"),
            pytest.param(followed(repairs=healing.REPAIRS), "northeurope was repaired 3 times", id="budget-used-up"),
            pytest.param(
                followed(**build.announced(ActionName.REMOVE_REGIONS, age=OLD, attempt=3)),
                "that was asked for 3 times",
                id="asked-for-often",
            ),
        ],
    )
    def test_what_is_remembered_forbids_it(self, status: Json, why: str) -> None:
        """The command is there, with what stays in the version."""
        subject, seen = build.migration(BOTH, status), build.facts(version=failed_region())
        stalls(subject, why, seen)
        told = build.message(build.wait(subject, seen).status, "Stalled")
        assert (
            f"--ids {build.VERSION_ID} --allow-replicated-location-deletion true --target-regions westeurope=1`" in told
        )

    def test_a_removal_stays_announced_until_it_shows(self) -> None:
        """Also over a stall, so that the tries are counted."""
        subject = build.migration(BOTH, followed(**build.announced(ActionName.REMOVE_REGIONS, age=OLD, attempt=3)))
        step = build.wait(subject, build.facts(version=failed_region()))
        assert step.status.operation == subject.status.operation

    def test_all_failed_regions_or_none(self) -> None:
        """One that may not be removed would hold up that the other is added again."""
        targets = (_target("westeurope"), _target("northeurope"), _target("uksouth"))
        there = failed_region(
            target_regions=targets,
            replication={"westeurope": GOOD, "northeurope": FAILED, "uksouth": FAILED},
        )
        subject = build.migration(build.in_regions("westeurope", "northeurope", "uksouth"), followed())
        stalls(subject, "uksouth was not added by this migration", build.facts(version=there))

    def test_one_writer_at_a_time(self) -> None:
        """While Azure is not through with the last write it waits, and is no error yet."""
        step = build.wait(
            build.migration(BOTH, followed()), build.facts(version=failed_region(provisioning_state="Updating"))
        )
        assert build.states(step.status)["Reconciling"] == "True"

    @pytest.mark.parametrize("spec", [{"suspend": True}, {"mode": "Plan"}], ids=["suspended", "plan"])
    @pytest.mark.parametrize("source", [{}, build.receipt()], ids=["source", "source-deleted"])
    def test_not_while_it_must_not_change_azure(self, spec: Json, source: Json) -> None:
        """Suspension and mode Plan."""
        subject = build.migration(BOTH | spec, followed(**source))
        step, _ = build.settle(subject, build.facts(version=failed_region()))
        assert isinstance(step, Wait)

    @pytest.mark.parametrize("action", [ActionName.UPDATE_VERSION, ActionName.REMOVE_REGIONS])
    def test_what_may_be_older_than_the_last_write_is_not_believed(self, action: ActionName) -> None:
        """A failure seen right after a write may be the one before it."""
        subject = build.migration(BOTH, followed(**build.announced(action)))
        step = build.wait(subject, build.facts(version=failed_region()))
        assert step.status.operation == subject.status.operation


class TestRound:
    """Removed, added again, and counted; the protection is never left off."""

    @staticmethod
    def removed(**changes: Any) -> GalleryVersion:
        """Return the version without the region, as a repair leaves it."""
        there = failed_region()
        targets = there.target_regions[:1]
        given: Json = {
            "target_regions": targets,
            "publishing_profile": {**there.publishing_profile, "targetRegions": list(targets)},
            "replication": {"westeurope": GOOD},
            "allow_deletion_of_replicated_locations": True,
        }
        return replace(there, **(given | changes))

    def test_the_next_update_adds_it_and_protects_the_regions_again(self) -> None:
        """One PUT does both, also for a process that knows nothing of the repair."""
        for status in (followed(**build.announced(ActionName.REMOVE_REGIONS)), {}):
            step = build.act(build.migration(BOTH, status), build.facts(version=self.removed()))
            assert step.action.name is ActionName.UPDATE_VERSION
            assert _regions(_body(step)) == ["westeurope", "northeurope"]
            assert _body(step)["properties"]["safetyProfile"] == {"allowDeletionOfReplicatedLocations": False}

    def test_a_repair_counts_once_it_shows(self) -> None:
        """Not when it is asked for: Azure may refuse it."""
        subject = build.migration(BOTH, followed())
        asked = build.stored(subject, build.act(subject, build.facts(version=failed_region())))
        assert _repairs(asked) == 0
        busy = build.facts(version=self.removed(provisioning_state="Updating"))
        shown = build.stored(asked, build.wait(asked, busy))
        assert _repairs(shown) == 1
        assert shown.status.operation is None
        again = build.stored(shown, build.wait(shown, busy))
        assert _repairs(again) == 1

    def test_what_was_completed_is_never_repaired_again(self) -> None:
        """The count goes, for good."""
        subject = build.migration(BOTH, followed(repairs=1))
        there = failed_region(replication={"westeurope": GOOD, "northeurope": GOOD})
        complete = build.stored(subject, build.wait(subject, build.facts(version=there)))
        assert _repairs(complete) is None
        stalls(complete, "northeurope may have been Completed before", build.facts(version=failed_region()))

    def test_a_region_that_others_added_is_not_known(self) -> None:
        """It was there when it was first seen: nobody knows what it served before."""
        subject = build.migration(BOTH)
        moving = failed_region(replication={"westeurope": GOOD, "northeurope": MOVING})
        seen = build.stored(subject, build.wait(subject, build.facts(version=moving)))
        assert _repairs(seen) is None

    def test_a_spec_that_dropped_the_region_closes_the_repair_too(self) -> None:
        """Nothing is to be added, and the protection comes back all the same."""
        step = build.act(build.migration(), build.facts(version=self.removed()))
        assert _regions(_body(step)) == ["westeurope"]
        assert _body(step)["properties"]["safetyProfile"] == {"allowDeletionOfReplicatedLocations": False}

    @pytest.mark.parametrize("state", ["Succeeded", "Failed"])
    def test_another_failure_does_not_keep_it_open(self, state: str) -> None:
        """A region that may not be repaired fails meanwhile: the open one is closed before the migration stalls."""
        both = (_target("westeurope"), _target("uksouth"))
        there = self.removed(
            provisioning_state=state, target_regions=both, replication={"westeurope": GOOD, "uksouth": FAILED}
        )
        subject = build.migration(build.in_regions("westeurope", "northeurope", "uksouth"))
        step = build.act(subject, build.facts(version=there))
        assert _regions(_body(step)) == ["westeurope", "uksouth", "northeurope"]
        assert _body(step)["properties"]["safetyProfile"] == {"allowDeletionOfReplicatedLocations": False}

    @pytest.mark.parametrize(
        "given",
        [
            pytest.param(tags(migration="other"), id="of-another-migration"),
            pytest.param(tags(cluster="b"), id="of-another-cluster"),
            pytest.param({}, id="adopted"),
        ],
    )
    def test_what_others_built_is_theirs_to_protect(self, given: dict[str, str]) -> None:
        """Nothing is written."""
        step = build.wait(build.migration(), build.facts(version=self.removed(tags=given)))
        assert build.reason(step.status, "Ready") == "AwaitingVerification"

    def test_a_version_of_others_that_failed_stalls_all_the_same(self) -> None:
        """Whatever its protection is."""
        there = failed_region(tags=tags(migration="other"), allow_deletion_of_replicated_locations=True)
        stalls(build.migration(BOTH, followed()), "another migration", build.facts(version=there))

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"provisioning_state": "Failed"}, id="the-removal-failed"),
            pytest.param({"replication": {"westeurope": GOOD, "northeurope": FAILED}}, id="its-failure-still-shows"),
        ],
    )
    def test_a_region_that_is_not_there_is_added(self, changes: Json) -> None:
        """Whatever else Azure says of it."""
        there = self.removed(allow_deletion_of_replicated_locations=False, **changes)
        step = build.act(build.migration(BOTH, followed()), build.facts(version=there))
        assert step.action.name is ActionName.UPDATE_VERSION

    def test_protection_is_not_fought_for_without_end(self) -> None:
        """Three updates that do not show, then a person has to look."""
        status = build.announced(ActionName.UPDATE_VERSION, age=OLD, attempt=3) | {"observedGeneration": 3}
        step = build.wait(build.migration(status=status), build.facts(version=self.removed()))
        assert build.reason(step.status, "Stalled") == "UpdateDoesNotShow"

    def test_the_tag_names_what_was_added_and_never_completed(self) -> None:
        """In the PUT that adds; what is Completed leaves it."""
        there = self.removed(tags=tags(added="northeurope,westeurope"))
        step = build.act(build.migration(BOTH), build.facts(version=there))
        assert _body(step)["tags"]["imageferry-added"] == "northeurope"

    def test_a_plan_tells_the_tag_too(self) -> None:
        """Field by field, as all that would be sent."""
        step = build.wait(build.migration(BOTH | {"mode": "Plan"}), build.facts())
        changes = {each.field: each.after for each in (step.status.plan or [])[0].changes}
        assert changes["tags.imageferry-added"] == "northeurope"

    def test_the_tag_has_room(self) -> None:
        """ARM takes 50 tags of 256 characters: what does not fit is not repaired."""
        names = [f"region{number:03}" for number in range(60)]
        step = build.act(build.migration(build.in_regions("westeurope", *names)), build.facts())
        assert len(_body(step)["tags"]["imageferry-added"]) == 256 - 256 % 10 - 1
        full = build.version(tags={**build.version().tags, **{f"t{number}": "" for number in range(47)}})
        step = build.act(build.migration(BOTH), build.facts(version=full))
        assert "imageferry-added" not in _body(step)["tags"]


def test_the_announced_deletion_of_the_source_is_remembered() -> None:
    """From the announcement on, over everything that is written later."""
    seen = build.version()
    subject = build.migration(status=build.verified(seen, at=NOW - timedelta(days=1)))
    context = build.context(completion=build.completed(seen))
    deleting = build.stored(subject, build.act(subject, build.facts(version=seen), context))
    assert _requested(deleting)
    refused = replace(context, operation_since=NOW - OLD, brake=Brake(enabled=False))
    assert _requested(build.stored(deleting, build.wait(deleting, build.facts(version=seen), refused)))
    gone = build.stored(
        deleting, build.act(deleting, build.facts(version=MISSING), replace(context, operation_since=NOW - OLD))
    )
    assert _requested(gone)
    building = build.facts(
        version=failed_build(provisioning_state="Creating", published_date=build.REPUBLISHED, replication={})
    )
    assert _requested(build.stored(gone, build.wait(gone, building)))


def _requested(subject: ImageMigration) -> bool:
    deletion = subject.status.deletion
    return deletion is not None and deletion.requested_at is not None


def _repairs(subject: ImageMigration) -> int | None:
    assert subject.status.replication
    return next(each.repairs for each in subject.status.replication.regions if each.name == "northeurope")


def _body(step: Act) -> Body:
    assert step.action.body is not None
    return dict(step.action.body)


def _regions(body: Body) -> list[str]:
    return [region["name"] for region in body["properties"]["publishingProfile"]["targetRegions"]]
