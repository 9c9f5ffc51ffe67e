"""A plan is made of looks alone, of all four resources, whatever state the migration is in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageferry.api.status import ActionName, Phase
from imageferry.migration import claims
from imageferry.migration.facts import MISSING, Facts, What
from imageferry.migration.steps import Wait
from tests.unit import build
from tests.unit.build import Json

PLAN: Json = {"mode": "Plan"}
ALL = [What.VERSION, What.IMAGE, What.GALLERY, What.DEFINITION]


def planned(seen: Facts, spec: Json | None = None, status: Json | None = None) -> list[str]:
    """Return the actions that a plan tells."""
    step = build.wait(build.migration(PLAN | (spec or {}), status), seen)
    assert step.status.phase is Phase.PLANNED
    return [call.action.value for call in step.status.plan or []]


@given(
    missing=st.sets(st.sampled_from(["image", "gallery", "definition", "version"])),
    status=st.sampled_from(
        [
            {},
            build.verified(build.version()),
            build.receipt(),
            build.announced(ActionName.CREATE_VERSION),
            build.announced(ActionName.DELETE_IMAGE),
            {"phase": "Stalled"},
        ]
    ),
)
def test_a_plan_never_acts(missing: set[str], status: Json) -> None:
    """Whatever is there and whatever was done before."""
    step, _ = build.settle(build.migration(PLAN, status), build.facts(**dict.fromkeys(missing, MISSING)))

    assert isinstance(step, Wait)
    assert step.status.phase is Phase.PLANNED
    assert {"Reconciling", "Stalled"}.isdisjoint(build.states(step.status))


def test_it_looks_at_all_four() -> None:
    """Once each."""
    _, looked = build.settle(build.migration(PLAN), build.facts())

    assert looked == ALL


def test_an_image_whose_end_was_seen_is_not_looked_at() -> None:
    """Complete is final, in a plan too: no image of that name is ours to delete."""
    step, looked = build.settle(build.migration(PLAN, build.receipt()), build.facts())

    assert looked == [What.VERSION, What.GALLERY, What.DEFINITION]
    assert step.status.plan == []


@pytest.mark.parametrize(
    ("facts", "spec", "calls"),
    [
        pytest.param(build.facts(), {}, ["DeleteImage"], id="version-there"),
        pytest.param(build.facts(), {"sourceDeletion": {"policy": "Retain"}}, [], id="retained"),
        pytest.param(build.facts(version=MISSING), {}, ["CreateVersion", "DeleteImage"], id="version-missing"),
        pytest.param(build.facts(version=MISSING, gallery=MISSING, definition=MISSING), {}, [], id="gallery-missing"),
        pytest.param(build.facts(version=MISSING, image=MISSING), {}, [], id="image-missing"),
        pytest.param(build.facts(image=MISSING), {}, [], id="image-gone"),
        pytest.param(build.facts(version=build.version(source_id=build.OTHER_IMAGE_ID)), {}, [], id="other-source"),
        pytest.param(build.facts(definition=build.definition(os_type="Linux")), {}, [], id="other-definition"),
        pytest.param(
            build.facts(version=MISSING, image=build.image(provisioning_state="Updating")),
            {},
            [],
            id="image-not-settled",
        ),
    ],
)
def test_the_calls_follow_from_what_is_there(facts: Facts, spec: Json, calls: list[str]) -> None:
    """And none is told where something blocks."""
    assert planned(facts, spec) == calls


def test_what_depends_on_others_is_said_with_the_call() -> None:
    """The deletion needs a person and every guard."""
    step = build.wait(build.migration(PLAN), build.facts())
    (call,) = step.status.plan or []

    assert "somebody has verified the version" in (call.when or "")


def test_a_build_that_is_seen_while_planning_counts_once() -> None:
    """Its announcement is over; each look more would else eat from the budget of builds."""
    subject = build.migration(PLAN, build.announced(ActionName.CREATE_VERSION))
    for _ in range(3):
        subject = build.stored(subject, build.wait(subject, build.facts()))

    assert subject.status.operation is None
    assert subject.status.version is not None
    assert subject.status.version.attempts == 1


@pytest.mark.parametrize("action", [ActionName.CREATE_VERSION, ActionName.DELETE_IMAGE])
def test_an_announcement_whose_outcome_is_not_seen_is_kept(action: ActionName) -> None:
    """Whoever goes on has to resolve it."""
    facts = build.facts(version=MISSING) if action is ActionName.CREATE_VERSION else build.facts()
    step = build.wait(build.migration(PLAN, build.announced(action)), facts)

    assert step.status.operation is not None


def test_who_would_come_first_is_noted() -> None:
    """A note, which blocks nothing."""
    other = claims.of(build.migration(status=build.announced(ActionName.CREATE_VERSION), uid="other", name="other"))
    context = replace(build.context(), peers=(other,))
    step = build.wait(build.migration(PLAN), build.facts(version=MISSING), context)

    assert [(each.severity.value, each.reason) for each in step.status.findings or []] == [
        ("Notes", "WaitsForVersion"),
        ("Notes", "WaitsForSource"),
    ]
    assert build.states(step.status)["PreflightPassed"] == "True"


def test_findings_of_a_plan_end_with_it() -> None:
    """A migration under way says what is so now."""
    subject = build.migration(PLAN | build.in_regions("westeurope", "uksouth"))
    foreign = build.version(tags={"imageferry-cluster": "b"})
    blocked = build.stored(subject, build.wait(subject, build.facts(version=foreign)))
    assert build.states(blocked.status)["PreflightPassed"] == "False"

    resumed = build.migration({}, blocked.status.wire())
    step = build.wait(resumed, build.facts(version=foreign))
    assert (step.status.findings, step.status.plan) == (None, None)
    assert "PreflightPassed" not in build.states(step.status)
