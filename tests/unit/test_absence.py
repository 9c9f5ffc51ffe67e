"""When a 404 is believed: not of what somebody tells to be there, before it has stood for five minutes."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from imageferry.api.status import ActionName
from imageferry.migration import claims
from imageferry.migration.facts import MISSING, Facts, What
from imageferry.migration.steps import Act, Context, Wait
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

LONG = NOW - TIMING.disbelief
SHORT = LONG + timedelta(seconds=1)
GALLERY: Json = {"gallery": {"create": {"location": "westeurope"}}}

SEEN: dict[What, Json] = {
    What.GALLERY: {"definition": {"id": build.DEFINITION_ID}},
    What.DEFINITION: {"definition": {"id": build.DEFINITION_ID, "outcome": "Created"}},
    What.VERSION: {"version": {"id": build.VERSION_ID, "outcome": "Created", "provisioningState": "Creating"}},
}
"""What a status tells, after its announcement was cleared."""
FACTS: dict[What, Facts] = {
    What.GALLERY: build.facts(version=MISSING, definition=MISSING, gallery=MISSING),
    What.DEFINITION: build.facts(version=MISSING, definition=MISSING),
    What.VERSION: build.facts(version=MISSING),
}
CREATES = {
    What.GALLERY: ActionName.CREATE_GALLERY,
    What.DEFINITION: ActionName.CREATE_DEFINITION,
    What.VERSION: ActionName.CREATE_VERSION,
}
whats = pytest.mark.parametrize("what", SEEN, ids=str)


def _denied(what: What, since: datetime) -> Context:
    return replace(build.context(), missing_since={what: since})


@whats
def test_what_was_seen_is_not_created_again_at_a_404(what: What) -> None:
    """A cache may deny what a read has shown already."""
    step = build.wait(build.migration(GALLERY, SEEN[what]), FACTS[what], _denied(what, SHORT))

    assert step.after == TIMING.building


@whats
def test_after_five_minutes_of_404_it_is_created_again(what: What) -> None:
    """No cache is that old."""
    step = build.act(build.migration(GALLERY, SEEN[what]), FACTS[what], _denied(what, LONG))

    assert step.action.name is CREATES[what]


@whats
def test_what_another_migration_saw_is_not_created_again_either(what: What) -> None:
    """One that waited for it comes to look at once when the other is through."""
    other = build.migration(GALLERY, SEEN[what] | {"phase": "Stalled"})
    other = other.model_copy(update={"metadata": other.metadata.model_copy(update={"uid": "another"})})
    known = replace(_denied(what, SHORT), peers=(claims.of(other),))

    assert isinstance(build.settle(build.migration(GALLERY), FACTS[what], known)[0], Wait)
    assert isinstance(build.settle(build.migration(GALLERY), FACTS[what], _denied(what, SHORT))[0], Act)


@whats
def test_once_believed_nothing_tells_of_it_any_more(what: What) -> None:
    """So a process that starts now does not begin to doubt, and says the same."""
    subject = build.migration(GALLERY, SEEN[what])
    step = build.act(subject, FACTS[what], _denied(what, LONG))
    announced = build.migration(GALLERY, step.status.model_copy(update={"operation": None}).wire())

    assert isinstance(build.settle(announced, FACTS[what])[0], Act)
