"""When Azure's 404 is believed.

ARM answers from caches: for minutes after a resource was created a read may deny it, also
one that comes after a read that showed it (fact sheet, section 3.1). To create it again
would be a second mutation. So what is known to have been requested or seen is missing
only once this process has seen nothing but 404 for so long that no cache can be that old.
Known is what the migration's own status tells, or that of another migration. Forged, it
puts a creation off, and nothing else.
"""

from imageferry.api.status import ActionName, Status
from imageferry.migration.facts import What

_REQUESTS = {
    ActionName.CREATE_GALLERY: What.GALLERY,
    ActionName.CREATE_DEFINITION: What.DEFINITION,
    ActionName.CREATE_VERSION: What.VERSION,
}


def known(status: Status) -> frozenset[What]:
    """Return what a status tells to have been requested or seen."""
    requested = _REQUESTS.get(status.operation.action) if status.operation else None
    told = {
        What.GALLERY: status.definition is not None,  # none is announced before its gallery was seen
        What.DEFINITION: status.definition is not None and status.definition.outcome is not None,
        What.VERSION: status.version is not None and status.version.provisioning_state is not None,
    }
    return frozenset(what for what, seen in told.items() if seen or what is requested)
