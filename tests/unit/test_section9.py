"""The catalogue against section 9 of the fact sheet: every code is there, in its class, with a cure."""

import pytest

from imageferry.migration import catalogue
from imageferry.migration.errors import (
    AskUserError,
    BackOffError,
    DeniedError,
    GiveUpError,
    MigrationError,
    NotVisibleError,
    WaitForStateError,
)
from tests.section9 import LATE, OF_MACHINES, ROWS, Follows, Row

CLASSES: dict[Follows, type[MigrationError]] = {
    Follows.R: BackOffError,
    Follows.R10: DeniedError,
    Follows.W: WaitForStateError,
    Follows.W5: NotVisibleError,
    Follows.U: AskUserError,
    Follows.T: GiveUpError,
}


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.listed], ids=lambda row: f"{row.code}-{row.cure}")
def test_what_a_call_may_be_answered_has_the_class_of_the_sheet(row: Row) -> None:
    """By code, status and words; and the reader is told what to do."""
    entry = catalogue.find(row.code, status=row.status, message=row.text)

    assert entry is not None
    assert entry.kind is CLASSES[row.follows]
    assert row.cure in entry.cure
    assert str(row.status) in entry.where or "late" in entry.where


@pytest.mark.parametrize(("code", "follows"), [*OF_MACHINES.items(), *LATE.items()])
def test_what_comes_late_or_of_machines_is_listed_too(code: str, follows: Follows) -> None:
    """So that a reader finds it, and `where` says that no call of a migration is answered so."""
    entry = catalogue.find(code, status=200, message="")

    assert entry is not None
    assert entry.kind is CLASSES[follows]
    assert "late" in entry.where or "machine" in entry.where


def test_text_counts_only_where_a_code_may_mean_several_things() -> None:
    """An outage of Azure's whose text happens to name an encryption set stays an outage."""
    entry = catalogue.find("InternalServerError", status=500, message="The disk encryption set could not be read")

    assert entry is not None
    assert entry.kind is BackOffError
