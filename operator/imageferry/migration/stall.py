"""What only a person can cure: said with the field, the finding and the cure, and looked at again all the same."""

from typing import Any

from imageferry.api.status import Phase
from imageferry.migration.report import FALSE, Says, Standing, Summary, compose
from imageferry.migration.steps import Case, Pace, Wait


def stalled(case: Case, reason: str, message: str, *, condition: str, **fields: Any) -> Wait:  # noqa: ANN401
    """Stop here until the cure is seen; `condition` is what the finding makes False."""
    summary = Summary(Phase.STALLED, reason, message, Standing.STUCK)
    says = {condition: Says(FALSE, reason, message)}
    status = compose(case.migration, summary, now=case.now, says=says, **{"operation": None, **fields})
    return Wait(status, Pace.STALLED)
