"""The version is there: follow it region by region, then see the image out.

While any wanted region lags, the version's own GET is all that is looked at. Once all are
Completed the image is looked at too, and the definition where it may matter: everything that leads
to a deletion has to hold in the same pass.
"""

from typing import Any

from imageferry.api.status import Phase
from imageferry.migration import cures, ending, final, guards, healing, pace, regions, stuck, upkeep, verification
from imageferry.migration.facts import MISSING, UNSEEN, Found, GalleryVersion, What
from imageferry.migration.report import Summary, compose
from imageferry.migration.stall import stalled
from imageferry.migration.steps import Case, Look, Step, Wait
from imageferry.migration.tracking import built_from_source, version_fields, version_says
from imageferry.migration.unbuilt import BUILD_BUDGET, unproven


def decide(case: Case, version: GalleryVersion) -> Step:
    """Return the next step for a version that is there."""
    spec = case.migration.spec
    if not built_from_source(case, version):
        return built_from_another(case, version)
    if upkeep.is_failed(case, version):
        healed = healing.decide(case, version)
        return _failed(case, version, why=healed) if isinstance(healed, str) else healed
    if upkeep.takes_updates(version) and (step := upkeep.version(case, version) or upkeep.definition(case, version)):
        return step
    if version.provisioning_state != guards.SUCCEEDED or regions.incomplete(spec.version, version):
        return _replicating(case, version)
    return _completed(case, version)


def built_from_another(case: Case, version: GalleryVersion) -> Wait:
    """Stall: the name is taken by a version of another source."""
    name = case.migration.spec.version.name
    message = (
        f"spec.version.name: version {name} exists and was built from {version.source_id or 'another source'}, not "
        f"from {case.migration.spec.source.managed_image_id}; name another version in a new ImageMigration, or delete "
        "that one"
    )
    return stalled(case, "VersionConflict", message, says=version_says(case, version), replication=None)


def _failed(case: Case, version: GalleryVersion, *, why: str) -> Wait:
    spec = case.migration.spec.version
    failed = regions.failed(spec, version)
    details = f" ({cures.details(failed)})" if failed else ""
    again = _to_build_again(case, version)
    if healing.is_failed_build(case, version):
        reason, what = "VersionFailed", f"the build failed in Azure{details}; it is not repaired: {why}; {again}"
    elif not failed:
        reason, what = "UpdateFailed", "the last update failed in Azure; set the field that you changed back"
    elif version.location in failed:
        reason, what = "RegionFailed", f"replication failed{details}; it is not repaired: {why}; {again}"
    else:
        command = cures.remove_regions(case, version, failed)
        cure = f"take the region out of the version in Azure, and it is added again: {command}"
        reason, what = "RegionFailed", f"replication failed{details}; it is not repaired: {why}; {cure}"
    message = f"spec.version.name: version {spec.name}: {what}"
    return stalled(case, reason, message, says=version_says(case, version), **version_fields(case, version))


def _to_build_again(case: Case, version: GalleryVersion) -> str:
    """Return what a person does to have the version built again: possible from its image, and within the builds."""
    if case.facts.image is MISSING:
        return "nothing can build it again, so do not delete it; migrate another image in a new ImageMigration"
    builds = version_fields(case, version)["version"].attempts or 0
    then = "then delete and apply this ImageMigration anew, to have it built"
    if builds < BUILD_BUDGET:
        then = "and it is built again"
    command = cures.delete_version(case)
    return f"if its image is there and nothing uses it, delete the version in Azure, {then}: {command}"


def _replicating(case: Case, version: GalleryVersion) -> Wait:
    lagging = ", ".join(regions.incomplete(case.migration.spec.version, version))
    building = version.provisioning_state != guards.SUCCEEDED
    reason = version.provisioning_state if building else "Replicating"
    message = f"the version is {version.provisioning_state}" if building else f"waiting for {lagging}"
    says = version_says(case, version)
    phase = Phase.CREATING if version.provisioning_state == "Creating" else Phase.REPLICATING
    fields = version_fields(case, version) | _unless_same_proof(case, version)
    summary = stuck.summary(case, fields["replication"].regions) or Summary(phase, reason, message)
    status = compose(case.migration, summary, now=case.now, says=says, **fields)
    shown = status.replication.regions if status.replication else ()
    return Wait(status, pace.next_look(shown, case.now, case.timing))


def _unless_same_proof(case: Case, version: GalleryVersion) -> dict[str, Any]:
    """Void what was said for another build; a version that only gets more regions keeps it."""
    proof = case.migration.status.proof
    if proof and (proof.version_id, proof.published_date) == (version.id.casefold(), version.published_date):
        return {}
    voided = verification.judge_unproven(case.migration.status, now=case.now)
    return {
        "proof": None,
        "verified": voided.condition,
        "verification": voided.verification,
        "deletion": unproven(case.migration.status),
    }


def _completed(case: Case, version: GalleryVersion) -> Step:
    if case.facts.image is UNSEEN:
        return Look(What.IMAGE)
    if not isinstance(case.facts.image, Found):
        return final.source_gone(case)
    return ending.decide(case, case.facts.image.value, version)
