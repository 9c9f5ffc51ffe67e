"""What only a person can cure: said with the field, the finding and the cure, and looked at again all the same."""

from collections.abc import Mapping
from typing import Any

from imageferry.api.status import Phase
from imageferry.migration.report import Says, Standing, Summary, compose
from imageferry.migration.steps import Case, Pace, Wait


def stalled(case: Case, reason: str, message: str, *, says: Mapping[str, Says], **fields: Any) -> Wait:  # noqa: ANN401 - fields of Status, checked by its model
    """Stop here until the cure is seen; `says` are the conditions that the finding changes."""
    summary = Summary(Phase.STALLED, reason, message, Standing.STUCK)
    status = compose(case.migration, summary, now=case.now, says=says, **{"operation": None, **fields})
    return Wait(status, Pace.STALLED)
