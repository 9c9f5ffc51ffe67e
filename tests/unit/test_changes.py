"""What is written: a merge patch of what differs, and progress now and then."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageferry.api.status import ActionName, Phase, Status
from imageferry.migration import changes
from tests.unit import build
from tests.unit.build import NOW, Json

TEXT = st.text(max_size=8)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "observedGeneration": st.integers(0, 5),
        "phase": st.sampled_from(["Pending", "Replicating", "Completed"]),
        "conditions": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["Ready", "Verified"]), "status": st.sampled_from(["True", "False"])},
                optional={"reason": TEXT, "message": TEXT, "mine": TEXT},
            ),
            max_size=2,
        ),
        "source": st.fixed_dictionaries({"id": TEXT}, optional={"location": TEXT, "dataDisks": st.integers(0, 4)}),
        "definition": st.fixed_dictionaries({"id": TEXT}, optional={"outcome": st.just("Created")}),
        "verification": st.fixed_dictionaries({}, optional={"digest": TEXT, "by": TEXT, "at": st.just(NOW)}),
        "replication": st.fixed_dictionaries({"summary": TEXT}, optional={"progress": st.integers(0, 100)}),
        "deletion": st.fixed_dictionaries(
            {},
            optional={"guards": st.lists(st.fixed_dictionaries({"name": TEXT, "passed": st.booleans()}), max_size=2)},
        ),
    },
)


@settings(max_examples=60, deadline=None)
@given(STATUSES, STATUSES)
def test_the_patch_turns_the_one_into_the_other(one: Json, other: Json) -> None:
    """Applied as RFC 7386 tells, it leads from what is stored to what is wanted."""
    before, after = Status.model_validate(one), Status.model_validate(other)

    assert build.patched(before.wire(), changes.merge_patch(before, after)) == after.wire()


@settings(max_examples=60, deadline=None)
@given(STATUSES)
def test_equal_statuses_need_no_write(one: Json) -> None:
    """No difference, no patch: a restart is silent."""
    assert changes.merge_patch(Status.model_validate(one), Status.model_validate(one)) == {}


def test_fields_of_a_newer_operator_are_left_alone() -> None:
    """A field that this version does not know is neither repeated nor removed."""
    stored: Json = {"phase": "Pending", "future": {"a": 1}, "source": {"id": "x", "newer": True}}
    before = Status.model_validate(stored)
    after = before.model_copy(update={"phase": Phase.COMPLETED})

    assert build.patched(stored, changes.merge_patch(before, after)) == stored | {"phase": "Completed"}


def test_a_field_that_is_gone_is_taken_out() -> None:
    """Null removes, as a merge patch says it."""
    before = Status.model_validate({"operation": build.announced(ActionName.DELETE_IMAGE)["operation"]})

    assert changes.merge_patch(before, before.model_copy(update={"operation": None})) == {"operation": None}


def _replication(**change: Any) -> Status:
    region = {"name": "westeurope", "state": "Replicating", "progress": 10, "details": "a", "since": NOW}
    region |= {key: value for key, value in change.items() if key in region}
    whole = {"summary": change.get("summary", "0/1"), "progress": change.get("progress", 10), "regions": [region]}
    return Status.model_validate({"phase": change.get("phase", "Replicating"), "replication": whole})


@pytest.mark.parametrize(
    ("change", "only"),
    [
        pytest.param({"progress": 20}, True, id="progress"),
        pytest.param({"details": "b"}, True, id="details"),
        pytest.param({}, True, id="nothing"),
        pytest.param({"state": "Completed"}, False, id="state"),
        pytest.param({"summary": "1/1"}, False, id="summary"),
        pytest.param({"phase": "AwaitingVerification"}, False, id="phase"),
    ],
)
def test_mere_progress_is_told_apart(change: Json, *, only: bool) -> None:
    """Progress alone is written now and then; everything else at once."""
    assert changes.only_progress(_replication(), _replication(**change)) is only


def test_the_first_sight_of_a_replication_is_news() -> None:
    """From no replication to one is more than progress."""
    assert not changes.only_progress(Status.model_validate({"phase": "Replicating"}), _replication())
