"""The newest body wins, whatever order bodies come in."""

import pytest

from imageferry.engine.intake import Intake, uid_of, version_of
from tests.unit import build
from tests.unit.build import Json


def _body(version: str, uid: str = build.UID) -> Json:
    return build.body(resourceVersion=version, uid=uid)


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        pytest.param("7", "8", "8", id="newer"),
        pytest.param("8", "7", "8", id="late-echo"),
        pytest.param("9", "10", "10", id="compared-as-numbers"),
        pytest.param("10", "9", "10", id="compared-as-numbers-echo"),
    ],
)
def test_the_highest_resource_version_is_kept(first: str, second: str, kept: str) -> None:
    """A late echo never overwrites the answer to our own write."""
    intake = Intake()
    intake.offer(_body(first))
    intake.offer(_body(second))
    known = intake.get(build.UID)

    assert known is not None
    assert known["metadata"]["resourceVersion"] == kept


@pytest.mark.parametrize(("version", "news"), [("6", False), ("7", False), ("8", True)])
def test_only_what_is_newer_is_news(version: str, *, news: bool) -> None:
    """An echo of what is known asks for no pass."""
    intake = Intake()
    assert intake.offer(_body("7"))

    assert intake.offer(_body(version)) is news


def test_a_resource_created_anew_is_another_one() -> None:
    """The key is the uid, not the name."""
    intake = Intake()
    intake.offer(_body("7", "one"))
    intake.offer(_body("3", "two"))

    assert intake.uids == {"one", "two"}


def test_what_is_forgotten_is_gone() -> None:
    """Twice is no error."""
    intake = Intake()
    intake.offer(_body("7"))
    intake.forget(build.UID)
    intake.forget(build.UID)

    assert intake.get(build.UID) is None
    assert not intake.uids


def test_uid_and_version_are_read_from_the_metadata() -> None:
    """The version as a number."""
    assert (uid_of(_body("12")), version_of(_body("12"))) == (build.UID, 12)
