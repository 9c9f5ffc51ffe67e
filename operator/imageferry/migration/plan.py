"""Mode Plan: tell which calls would be made, field by field, and make none.

The bodies are those of `requests`, made by the same code that would send them. What
depends on others (a person's verification, a guard) is said with the call.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from imageferry.api.spec import DeletionPolicy
from imageferry.api.status import Change, Phase, PlannedCall, Severity
from imageferry.migration import claims, edits, identity, inquiry, preflight, regions, requests, surroundings, upkeep
from imageferry.migration.claims import Claim
from imageferry.migration.edits import Edit
from imageferry.migration.facts import MISSING, UNSEEN, Gallery, GalleryVersion, What, value_of
from imageferry.migration.preflight import Finding, blocks
from imageferry.migration.report import FALSE, PREFLIGHT, TRUE, Says, Standing, Summary, compose
from imageferry.migration.requests import Action
from imageferry.migration.steps import Case, Look, Step, Wait
from imageferry.migration.tracking import (
    built_from_source,
    definition_edits,
    version_edits,
    version_fields,
    version_says,
)
from imageferry.migration.unbuilt import definition_finding, not_built, source_status

LONGEST = 1024
LONGEST_TOLD = 4096
ONCE_VERIFIED = "once every region is Completed, somebody has verified the version, and every guard holds"


def decide(case: Case) -> Step:
    """Look at all there is, then tell; an image whose end was seen is never looked at again."""
    for what in (What.VERSION, What.IMAGE, What.GALLERY, What.DEFINITION):
        if getattr(case.facts, what.value) is UNSEEN and not (what is What.IMAGE and case.migration.status.receipt):
            return Look(what)
    build = case.facts.version is MISSING
    if build and case.facts.surroundings is UNSEEN and inquiry.of(case.migration, case.facts):
        return Look(What.SURROUNDINGS)
    found = preflight.ordered(_findings(case))
    blocking = preflight.blocking(found)
    calls = [] if blocking else list(_calls(case))
    summary = Summary(Phase.PLANNED, "Planned", f"{len(calls)} calls would change Azure", Standing.RESTING)
    shown = [finding.status for finding in found] or None
    fields: dict[str, Any] = {"plan": calls, "findings": shown, "operation": case.migration.status.operation}
    says = {PREFLIGHT: _preflight(found)}
    if image := value_of(case.facts.image):
        fields["source"] = source_status(image)
    if version := value_of(case.facts.version):
        fields |= version_fields(case, version)
        says |= version_says(case, version)
    else:  # whatever was said before
        fields["replication"] = None
        says |= not_built("Planned")
    return Wait(compose(case.migration, summary, now=case.now, says=says, **fields), case.timing.awaiting)


def _preflight(found: tuple[Finding, ...]) -> Says:
    if preflight.blocking(found):
        return Says(FALSE, found[0].reason, preflight.told(found)[:LONGEST_TOLD])
    passed = "nothing was found that would stop the calls of status.plan"
    return Says(TRUE, "Passed", "; ".join([passed, preflight.told(found)] if found else [passed])[:LONGEST_TOLD])


def _findings(case: Case) -> Iterator[Finding]:
    """Give what would stop or surprise."""
    facts = case.facts
    image, definition, version = value_of(facts.image), value_of(facts.definition), value_of(facts.version)
    spec = case.migration.spec
    if version and not built_from_source(case, version):
        yield blocks(
            "VersionConflict",
            f"spec.version.name: version {spec.version.name} exists and was built from "
            f"{version.source_id or 'another source'}; name another version in a new ImageMigration",
        )
    if image is None and version is None and not case.migration.status.receipt:
        yield blocks("SourceMissing", f"spec.source.managedImageId: there is no image {spec.source.managed_image_id}")
    if image and not version:
        yield from preflight.examine(case.migration, image, now=case.now)
        yield from surroundings.examine(case.migration, image, facts)
    if image and definition and (finding := definition_finding(case, image, definition)):
        yield blocks("DefinitionMismatch", finding)
    if definition is None and (
        end := preflight.end_of_life("definition", spec.definition.end_of_life_date, now=case.now)
    ):
        yield end
    if value_of(case.facts.gallery) is None and spec.gallery.create is None:
        yield preflight.gallery_missing(case.migration)
    if version and built_from_source(case, version):
        yield from upkeep.findings(case, version)
    if definition:
        yield from upkeep.past_ends(definition_edits(case, definition), now=case.now)
    yield from _neighbours(case)


def _neighbours(case: Case) -> Iterator[Finding]:
    for claim in (Claim.VERSION, Claim.SOURCE):
        if holder := claims.holder(claim, case.migration, case.context.peers):
            yield Finding(Severity.NOTES, f"WaitsFor{claim.title()}", f"{holder.key} would come first: same {claim}")


def _calls(case: Case) -> Iterator[PlannedCall]:
    """Give the calls in their order."""
    migration, cluster, facts = case.migration, case.context.cluster, case.facts
    image, gallery = value_of(facts.image), value_of(facts.gallery)
    definition, version = value_of(facts.definition), value_of(facts.version)
    if not version and image:
        if gallery is None and migration.spec.gallery.create:
            yield _created(requests.create_gallery(migration, migration.spec.gallery.create, cluster=cluster))
            gallery = Gallery(migration.spec.gallery.id, migration.spec.gallery.create.location)
        if definition is None and gallery:
            plan = surroundings.purchase_plan(migration, facts)
            yield _created(requests.create_definition(migration, image, gallery, plan=plan, cluster=cluster))
        yield _created(requests.create_version(migration, image, cluster=cluster))
    if version:
        yield from _version_update(case, version)
    if definition and (changes := definition_edits(case, definition)):
        yield _updated(requests.update_definition(migration, definition, changes, now=case.now), changes)
    if image and migration.spec.source_deletion.policy is DeletionPolicy.DELETE:
        delete = requests.delete_image(image)
        yield PlannedCall(action=delete.name, resource=delete.resource, when=ONCE_VERIFIED)


def _version_update(case: Case, version: GalleryVersion) -> Iterator[PlannedCall]:
    changes = version_edits(case, version)
    added = {region.name for region in regions.missing(case.migration.spec.version, version)}
    if not changes and not added:
        return
    action = requests.update_version(case.migration, version, changes, now=case.now)
    targets = (action.body or {})["properties"]["publishingProfile"]["targetRegions"]
    new = _flat([target for target in targets if target["name"] in added], edits.REGION.removesuffix("."))
    yield _updated(
        action, (*changes, *(Edit(field, None, value) for field, value in new), *_added_tag(action, version))
    )


def _added_tag(action: Action, version: GalleryVersion) -> Iterator[Edit]:
    """Give the change of the tag that tells which regions were added."""
    before, after = version.tags.get(identity.ADDED_TAG), (action.body or {})["tags"].get(identity.ADDED_TAG)
    if before != after:
        yield Edit(f"{edits.TAG}{identity.ADDED_TAG}", before, after)


def _updated(action: Action, changes: tuple[Edit, ...]) -> PlannedCall:
    shown = [Change(field=edit.field, before=edit.before, after=edit.after) for edit in changes]
    return PlannedCall(action=action.name, resource=action.resource, changes=shown)


def _created(action: Action) -> PlannedCall:
    shown = [Change(field=path, after=value) for path, value in _flat(action.body or {})]
    return PlannedCall(action=action.name, resource=action.resource, changes=shown)


def _flat(body: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    """Give every leaf of a body with its path; entries of a list go by their name where they have one."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            yield from _flat(value, f"{path}.{name}" if path else str(name))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            name = value.get("name", index) if isinstance(value, Mapping) else index
            rest = {k: v for k, v in value.items() if k != "name"} if isinstance(value, Mapping) else value
            yield from _flat(rest, f"{path}.{name}")
    else:
        yield path, (body if isinstance(body, str) else json.dumps(body))[:LONGEST]
