"""Edits while the version is there: decided in one pass, bounded, and never of what others made."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imageferry.api.resource import ImageMigration
from imageferry.api.status import ActionName, Status
from imageferry.migration import claims, edits
from imageferry.migration.facts import Facts, GalleryDefinition, GalleryVersion
from imageferry.migration.steps import Act, Context
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

OURS = {"imageferry-migration": build.UID, "imageferry-cluster": build.CLUSTER}
LATER = NOW + TIMING.disbelief + timedelta(seconds=1)


def tagged(**tags: str) -> GalleryVersion:
    """Return our version with more tags."""
    there = build.version()
    return replace(there, tags={**there.tags, **tags})


def seen(spec: Json, version: GalleryVersion | None = None, **facts: Any) -> ImageMigration:
    """Return a migration whose version was followed to its end under an older spec."""
    subject = build.migration(spec)
    return build.stored(subject, build.wait(subject, build.facts(version=version or build.version(), **facts)))


def edited(subject: ImageMigration, spec: Json) -> ImageMigration:
    """Return it with another spec, of a newer generation."""
    return build.migration(spec, subject.status.wire(), generation=subject.metadata.generation + 1)


def tags(**tags: str) -> Json:
    """Return a spec with these tags of the version."""
    return {"version": {"tags": tags}}


def test_an_edit_is_sent_and_announced_with_what_it_changes() -> None:
    """The message tells field, value before and value after."""
    subject = edited(seen(tags(env="test"), tagged(env="test")), tags(env="prod"))
    step = build.act(subject, build.facts(version=tagged(env="test")))

    assert (step.action.name, step.attempt) == (ActionName.UPDATE_VERSION, 1)
    assert build.message(step.status, "Ready") == "tags.env from test to prod"
    assert build.states(step.status)["Reconciling"] == "True"


def test_an_edit_is_sent_once_and_then_over() -> None:
    """What Azure shows ends it."""
    subject = edited(seen(tags(env="test"), tagged(env="test")), tags(env="prod"))
    announced = build.stored(subject, build.act(subject, build.facts(version=tagged(env="test"))))
    waiting = build.wait(announced, build.facts(version=tagged(env="test")))
    over = build.wait(announced, build.facts(version=tagged(env="prod")))

    assert waiting.status.operation is not None
    assert over.status.operation is None
    assert over.status.version is not None
    assert over.status.version.applied is not None
    assert over.status.version.applied["tags.env"] == "prod"


def test_an_update_that_does_not_show_is_tried_three_times() -> None:
    """Then somebody else writes the same, and only a person can tell who."""
    subject, facts = seen(tags(env="test"), tagged(env="test")), build.facts(version=tagged(env="test"))
    subject, attempts, now = edited(subject, tags(env="prod")), list[int](), NOW
    while isinstance(step := _step(subject, facts, now), Act):
        attempts.append(step.attempt)
        assert len(attempts) < 10
        subject = build.stored(subject, step, now=now)
        subject, now = _seen(subject), now + TIMING.disbelief + timedelta(seconds=1)

    assert attempts == [1, 2, 3]
    assert build.reason(step.status, "Stalled") == "UpdateDoesNotShow"
    assert "was updated 3 times and does not show it (tags.env from test to prod)" in build.message(
        step.status, "Stalled"
    )
    assert step.status.operation is not None, "the count outlasts the stall"


def test_a_stalled_update_is_tried_again_when_the_spec_is_edited() -> None:
    """A person has looked at it."""
    status = seen(tags(env="test"), tagged(env="test")).status.wire() | build.announced(
        ActionName.UPDATE_VERSION, age=TIMING.disbelief * 2, attempt=3
    )
    subject = build.migration(tags(env="prod"), status, generation=9)

    assert build.act(subject, build.facts(version=tagged(env="test"))).attempt == 4


def _step(subject: ImageMigration, facts: Facts, now: Any) -> Any:
    since = subject.status.operation.requested_at if subject.status.operation else None
    return build.settle(subject, facts, replace(build.context(now), operation_since=since))[0]


def _seen(subject: ImageMigration) -> ImageMigration:
    """Return it as the API server has it: the generation was observed with the announcement."""
    status = subject.status.model_copy(update={"observed_generation": subject.metadata.generation})
    return subject.model_copy(update={"status": Status.model_validate(status.wire())})


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(build.version(tags={}), id="nobodys"),
        pytest.param(build.version(tags=OURS | {"imageferry-migration": "another"}), id="another-migrations"),
        pytest.param(
            build.version(tags=OURS | {"imageferry-cluster": "b", "imageferry-migration": "x"}), id="elsewhere"
        ),
    ],
)
def test_a_version_of_others_is_not_edited(version: GalleryVersion) -> None:
    """Whatever the spec says and whatever was applied once."""
    status: Json = {"version": {"id": build.VERSION_ID, "applied": {"tags.env": "test"}}}
    subject = build.migration(tags(env="prod") | {"sourceDeletion": {"policy": "Retain"}}, status)
    step = build.wait(subject, build.facts(version=version))

    assert step.status.version is not None
    assert step.status.version.applied is None


def test_a_definition_of_others_is_not_edited() -> None:
    """Its description stays theirs."""
    status: Json = {"definition": {"id": build.DEFINITION_ID, "applied": {"description": "x"}}}
    subject = build.migration({"definition": {"description": "y"}}, status)

    assert build.wait(subject, build.facts())


def ours(**properties: str) -> GalleryDefinition:
    """Return a definition that this migration made."""
    return build.definition(tags=OURS, properties=properties)


def test_a_definition_of_ours_is_edited_also_when_the_source_is_gone() -> None:
    """The receipt stops what concerns the image, and nothing else."""
    status: Json = {"definition": {"id": build.DEFINITION_ID, "applied": {"description": "x"}}} | build.receipt()
    subject = build.migration({"definition": {"description": "y"}}, status)
    step = build.act(subject, build.facts(definition=ours(description="x")))

    assert step.action.name is ActionName.UPDATE_DEFINITION


def test_while_the_version_is_written_nothing_else_is_sent() -> None:
    """Azure takes one writer a version."""
    subject = edited(seen(tags(env="test"), tagged(env="test")), tags(env="prod"))
    busy = replace(tagged(env="test"), provisioning_state="Updating")

    assert build.wait(subject, build.facts(version=busy)).after == TIMING.building


def test_an_edit_waits_for_another_migration_that_writes_the_same_version() -> None:
    """And says for which."""
    other = claims.of(build.migration(status=build.announced(ActionName.UPDATE_VERSION), uid="other", name="other"))
    subject = edited(seen(tags(env="test"), tagged(env="test")), tags(env="prod"))
    step = build.wait(subject, build.facts(version=tagged(env="test")), _with(other))

    assert build.reason(step.status, "Ready") == "WaitingForVersion"
    assert build.message(step.status, "Ready") == "waiting for platform/other, which works on the same image version"


def _with(*peers: claims.Peer) -> Context:
    return replace(build.context(), peers=peers)


@pytest.mark.parametrize(
    ("status", "joins"),
    [
        pytest.param({}, False, id="not-verified"),
        pytest.param(build.verified(build.version()), True, id="verified"),
        pytest.param(
            {"deletion": {"receipt": build.receipt()["deletion"]["receipt"] | {"digest": "d"}}}, True, id="deleted"
        ),
        pytest.param(build.receipt("AlreadyGone"), False, id="gone-before-anybody-verified"),
    ],
)
@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_a_version_joins_the_latest_when_it_is_verified(status: Json, policy: str, *, joins: bool) -> None:
    """Or was, when its source was deleted for it; with either policy."""
    excluded = build.version()
    excluded = replace(excluded, publishing_profile={**excluded.publishing_profile, "excludeFromLatest": True})
    spec: Json = {"version": {"latest": "JoinWhenVerified"}, "sourceDeletion": {"policy": policy}}
    applied: Json = {"version": {"id": build.VERSION_ID, "applied": {edits.EXCLUDED: "true", edits.REPLICAS: "1"}}}
    step, _ = build.settle(build.migration(spec, applied | status), build.facts(version=excluded))

    assert isinstance(step, Act) is joins
    if isinstance(step, Act):
        assert step.action.body is not None
        assert step.action.body["properties"]["publishingProfile"]["excludeFromLatest"] is False
