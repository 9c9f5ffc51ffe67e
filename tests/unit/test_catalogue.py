"""The catalogue of Azure's errors: the most particular entry counts, and the page of the docs is made of it."""

import pytest

from imageferry.migration import catalogue
from imageferry.migration.catalogue import CATALOGUE
from imageferry.migration.errors import AskUserError, BackOffError, MigrationError, WaitForStateError


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        pytest.param(409, "Another operation is in progress.", WaitForStateError, id="busy"),
        pytest.param(409, "Operation results in Exceeding approved Quota.", AskUserError, id="quota"),
        pytest.param(403, "exceeding the limit of galleries", AskUserError, id="limit"),
        pytest.param(429, "The server rejected the request.", BackOffError, id="throttled"),
    ],
)
def test_an_ambiguous_code_is_told_apart(status: int, message: str, kind: type[MigrationError]) -> None:
    """`OperationNotAllowed` stands for four things: its status and its words tell which."""
    entry = catalogue.find("OperationNotAllowed", status=status, message=message)

    assert entry is not None
    assert entry.kind is kind


def test_an_unknown_code_has_no_entry() -> None:
    """It backs off and is shown, whatever its status."""
    assert catalogue.find("NeverSeen", status=400, message="") is None


def test_letter_case_does_not_matter() -> None:
    """Azure's own spelling varies."""
    assert catalogue.find("scopelocked", status=409, message="") is not None


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: f"{entry.code}-{entry.status}-{entry.words}")
def test_every_entry_says_when_and_what_to_do(entry: catalogue.Entry) -> None:
    """A reader of the docs learns both, and the words are as they are compared."""
    assert entry.when
    assert entry.cure
    assert entry.words == entry.words.casefold()
    assert f"| `{entry.code}` |" in catalogue.to_markdown()
