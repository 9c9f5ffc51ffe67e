"""What can go wrong in Azure, sorted by the one decision that follows from it.

    MigrationError
    ├── WaitForStateError   something in Azure has to finish first: look again soon
    │   └── NotVisibleError missing, or not visible yet: caches take minutes, then as AskUser
    ├── BackOffError        a passing fault: again, ever more slowly, or when Azure says
    │   ├── DeniedError     not (yet) allowed: rights take minutes to spread, then as AskUser
    │   └── UnlistedError   a code that the catalogue does not have: shown at once
    ├── AskUserError        only a person can cure it, in Azure or in the spec
    └── GiveUpError         this spec cannot work; another look is cheap all the same

PostponedError stands beside the tree, because nothing went wrong and nothing was sent.

Azure's own exceptions are translated into these in `azure.errors` and nowhere else.
"""

from datetime import timedelta
from typing import ClassVar


class MigrationError(Exception):
    """An error with a code (Azure's, or ours) and a sentence that names the finding and the cure.

    `definite` says that a mutation that met this error certainly had no effect; without
    it the outcome is unknown, and only looking can tell.
    """

    kind: ClassVar[str] = "BackOff"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        definite: bool = False,
        retry_after: timedelta | None = None,
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.definite = definite
        self.retry_after = retry_after
        self.correlation_id = correlation_id

    def name(self, field: str) -> None:
        """Name the part of the spec that it concerns."""
        self.message = f"{field}: {self.message}"


class WaitForStateError(MigrationError):
    """Something in Azure has to finish first."""

    kind = "WaitForState"


class NotVisibleError(WaitForStateError):
    """Something is missing, or only not visible yet."""


class BackOffError(MigrationError):
    """A passing fault."""

    def name(self, field: str) -> None:
        """Say nothing: it is about Azure, not about the spec."""


class DeniedError(BackOffError):
    """The identity may not do this, or not yet."""


class UnlistedError(BackOffError):
    """A code that `migration.catalogue` does not have."""


class AskUserError(MigrationError):
    """Only a person can cure it."""

    kind = "AskUser"


class GiveUpError(MigrationError):
    """This spec cannot work."""

    kind = "GiveUp"

    def name(self, field: str) -> None:
        """Name the part of the spec that it concerns, and the cure."""
        self.message = f"{field}: {self.message}; correct the spec"


class PostponedError(Exception):
    """A call was not sent, because Azure's limits leave no room for it now; `after` is when they do.

    Not a failure: it counts in no history and is written to no status.
    """

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"Azure's limits leave room in {after.total_seconds():.0f} s")
        self.after = after
