"""Where a migration stops: for a person, or for another migration.

What only a person can cure is said with the field, the finding and the cure, and looked
at again all the same.
"""

from collections.abc import Mapping
from typing import Any

from imageferry.api.status import Phase
from imageferry.migration.claims import Claim, Peer
from imageferry.migration.report import Says, Standing, Summary, compose
from imageferry.migration.steps import Case, Pace, Wait


def stalled(case: Case, reason: str, message: str, *, says: Mapping[str, Says], **fields: Any) -> Wait:  # noqa: ANN401 - fields of Status, checked by its model
    """Stop here until the cure is seen; `says` are the conditions that the finding changes."""
    summary = Summary(Phase.STALLED, reason, message, Standing.STUCK)
    status = compose(case.migration, summary, now=case.now, says=says, **{"operation": None, **fields})
    return Wait(status, Pace.STALLED)


_WORDS = {
    Claim.GALLERY: "creates the same gallery",
    Claim.DEFINITION: "creates the same image definition",
    Claim.VERSION: "works on the same image version",
    Claim.SOURCE: "builds from the same managed image, which Azure does once at a time",
}


def waiting(case: Case, claim: Claim, holder: Peer, *, says: Mapping[str, Says], **fields: Any) -> Wait:  # noqa: ANN401 - as above
    """Wait for another migration; the engine looks again as soon as that one is through."""
    message = f"waiting for {holder.key}, which {_WORDS[claim]}"
    summary = Summary(Phase.PENDING, f"WaitingFor{claim.title()}", message)
    return Wait(compose(case.migration, summary, now=case.now, says=says, **fields), case.timing.awaiting)
