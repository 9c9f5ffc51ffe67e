"""Hooks: a test's own code at the very instant before or after the effect of a call.

The answer waits for the hook. So a test can kill a client between "the cloud did it" and "the client knows".
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

_log = logging.getLogger(__name__)


class DropConnection(Exception):  # noqa: N818 -- a signal of the hook, not an error
    """Raised by a hook to cut the connection; before the effect it also prevents it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One ARM request as a hook sees it; `status` and `effect` are known only after the effect."""

    seq: int
    operation: str
    method: str
    resource_id: str
    identity: str
    when: Literal["before", "after"]
    status: int | None = None
    effect: str | None = None


Hook = Callable[[Call], None]


def run(hooks: Sequence[Hook], call: Call) -> bool:
    """Call every hook; gives whether one of them wants the connection cut. No other exception gets out."""
    cut = False
    for hook in tuple(hooks):
        try:
            hook(call)
        except DropConnection:
            cut = True
        except Exception:  # noqa: BLE001 -- a test's mistake must not look like a failure of the cloud
            _log.exception("a hook raised on %s %s", call.when, call.operation)
    return cut
