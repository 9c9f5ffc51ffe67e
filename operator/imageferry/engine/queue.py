"""Which migration is looked at next: each at most once at a time, none twice for the same news.

A key is dirty (wants a pass), active (in one), or due at a time; it has one heap entry
that counts, and an earlier wish replaces a later one. Waiting costs a heap entry and
never a task.
"""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable


class WorkQueue:
    """Keys for workers; times are those of `clock`, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._dirty: OrderedDict[str, None] = OrderedDict()
        self._active: set[str] = set()
        self._again: set[str] = set()
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._news = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """How many keys want a pass now."""
        return len(self._dirty)

    def add(self, key: str) -> None:
        """Want a pass now; during a pass: once more after it."""
        self._due.pop(key, None)
        if key in self._active:
            self._again.add(key)
            return
        self._dirty[key] = None
        self._news.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Want a pass at a time, unless one is wanted sooner anyway."""
        if key in self._dirty or key in self._again:
            return
        due = self._clock() + seconds
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            self._news.set()

    def forget(self, key: str) -> None:
        """Want no pass any more; one that is running ends."""
        self._dirty.pop(key, None)
        self._due.pop(key, None)
        self._again.discard(key)

    @property
    def closed(self) -> bool:
        """Whether no key is handed out any more."""
        return self._closed

    def close(self) -> None:
        """Hand out no key any more; workers that wait get None."""
        self._closed = True
        self._news.set()

    async def get(self) -> str | None:
        """Return the next key, which is active until `done`; None once the queue is closed."""
        while not self._closed:
            self._collect()
            if self._dirty:
                key, _ = self._dirty.popitem(last=False)
                self._active.add(key)
                return key
            await self._sleep()
        return None

    def done(self, key: str) -> None:
        """End a pass."""
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _collect(self) -> None:
        """Make dirty what has become due; entries that were replaced are dropped."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)

    async def _sleep(self) -> None:
        self._news.clear()
        timeout = max(self._heap[0][0] - self._clock(), 0) if self._heap else None
        try:
            await asyncio.wait_for(self._news.wait(), timeout)
        except TimeoutError:
            return
