"""Azure's limits as seen from afar: how much room is left, never more than there is.

A call is counted by Azure at some instant between our sending it and its answer. So a call
under way takes a place in every stretch of time, and one that was answered is taken to
have been counted at its answer: what is sent by these meters fits Azure's own count,
however long calls are under way. What others use is learned from what Azure says is left.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile

from imageferry.migration.calls import Answer, Limit

MARGIN = 0.1
"""The part that is left free once others are seen to use the same limit."""
ANSWER_SECONDS = 0.5
"""While nothing is known of a limit one call goes alone; when to ask again whether it was answered."""
ABSENT_SECONDS = 300.0
"""Who does not come so long after its time has lost its place."""


class Line:
    """Who waits, the oldest first; places are numbers that only grow."""

    def __init__(self) -> None:
        self._places: list[int] = []
        self._due: dict[int, float] = {}

    def join(self, place: int, due: float) -> None:
        """Stand in the line, until `leave`."""
        if place not in self._due:
            insort(self._places, place)
        self._due[place] = due

    def leave(self, place: int) -> None:
        """Stand there no longer."""
        if self._due.pop(place, None) is not None:
            del self._places[bisect_left(self._places, place)]

    def ahead(self, place: float, now: float) -> int:
        """Count those who come before; who has not come for its time is dropped."""
        while self._places and self._due[self._places[0]] + ABSENT_SECONDS < now:
            self.leave(self._places[0])
        return bisect_left(self._places, place)


@dataclass(slots=True)
class Window:
    """A limit on the calls in any stretch of `span` seconds."""

    name: str
    calls: int
    span: float
    _ends: deque[float] = field(default_factory=deque)
    """When each answered call leaves the window."""
    _others: int = 0
    _others_at: float = -math.inf
    _others_until: float = -math.inf

    def opens(self, ahead: int, flying: int, now: float) -> float:
        """Give when there is room for one call more, behind `ahead` others; now or later."""
        while self._ends and self._ends[0] <= now:
            self._ends.popleft()
        room = self._room(now)
        lacking = ahead + 1 - (room - len(self._ends) - flying)
        if lacking <= 0:
            return now
        if room < 1:
            return max(self._others_until, now + 1)
        rounds, index = divmod(lacking - 1, room)
        first = self._ends[index] if index < len(self._ends) else now + self.span
        return first + rounds * self.span

    def count(self, now: float) -> None:
        """Count a call that was answered just now."""
        self._ends.append(now + self.span)

    def learn(self, left: int, flying: int, *, slowest: float, sent: float, now: float) -> None:
        """Take what Azure says is left: a limit that is larger than we knew, or what others have used.

        Calls under way may be in Azure's count already, and calls that leave our window within the time that a call
        takes may be out of it. Neither is held against others; but while there are others, no more fits than is left.
        An answer that was overtaken by another one knows less than that and gives nothing back.
        """
        self.calls = max(self.calls, left + 1)
        leaving = sum(1 for _ in takewhile(lambda end: end <= now + slowest, self._ends))
        unexplained = self.calls - left - (len(self._ends) - leaving)
        others = unexplained if unexplained > flying + leaving else 0
        if others >= self._others or sent >= self._others_at:
            self._others, self._others_at = others, now
        self._others_until = now + self.span

    def _room(self, now: float) -> int:
        if not self._others or now >= self._others_until:
            return self.calls
        ours = self.calls - self._others
        return ours - int(ours * MARGIN)


class Policy:
    """One of the provider's policies in one subscription: its windows, and who waits for them."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.line = Line()
        self._windows = [Window(limit.name, limit.calls, limit.seconds) for limit in limits]
        self._known = min((limit.seconds for limit in limits), default=0.0)
        self._known_until = -math.inf
        self._blocked = -math.inf
        self._flying = 0
        self._slowest = 0.0

    def opens(self, ahead: int, now: float) -> float:
        """Give when a call may be sent, behind `ahead` others; now or later."""
        at = max((each.opens(ahead, self._flying, now) for each in self._windows), default=now)
        if self._windows and self._flying and now >= self._known_until:
            at = max(at, now + ANSWER_SECONDS)
        return max(at, self._blocked)

    def send(self) -> None:
        """Count a call that is under way from now on."""
        self._flying += 1

    def take_back(self) -> None:
        """Count no call that was not sent after all."""
        self._flying -= 1

    def settle(self, answer: Answer, *, sent: float, now: float) -> None:
        """Count the answer of a call that was under way."""
        self._flying -= 1
        self._slowest = max(self._slowest, now - sent)
        self._known_until = now + self._known
        for window in self._windows:
            window.count(now)
            if window.name in answer.left:
                window.learn(answer.left[window.name], self._flying, slowest=self._slowest, sent=sent, now=now)
        if answer.blocked and not answer.everywhere:
            self._blocked, self._known_until = max(self._blocked, now + answer.blocked), -math.inf


class Bucket:
    """A token bucket of the front door in one subscription, and who waits for it.

    A token that is under way is missing from the bucket's size too, so that what is refilled meanwhile is at most what
    Azure's own bucket took up.
    """

    def __init__(self, size: int, rate: float, turn: int, *, now: float) -> None:
        self.line = Line()
        self._size = size
        self._rate = rate
        self._turn = turn
        """What each of those ahead is expected to take; only the time that is told depends on it."""
        self._level = float(size)
        self._at = now
        self._flying = 0

    def opens(self, ahead: int, now: float) -> float:
        """Give when there is a token for one call more, behind `ahead` others; now or later."""
        self._refill(now)
        if self._level >= ahead + 1:
            return now
        return now + max(ahead * self._turn + 1 - self._level, 0.001) / self._rate

    def send(self, now: float) -> None:
        """Take a token for a call that is under way from now on."""
        self._refill(now)
        self._level -= 1
        self._flying += 1

    def take_back(self) -> None:
        """Give the token of a call that was not sent after all back."""
        self._level += 1
        self._flying -= 1

    def settle(self, left: int | None, now: float) -> None:
        """Count the answer of a call that was under way."""
        self._refill(now)
        self._flying -= 1
        if left is None:
            return
        if left >= self._size:
            self._size = left + 1
            self._level = max(self._level, (1 - MARGIN) * left - self._flying)
        self._level = min(self._level, left - self._flying)

    def empty(self, now: float) -> None:
        """Begin with nothing, after a 429."""
        self._refill(now)
        self._level = min(self._level, 0.0)

    def _refill(self, now: float) -> None:
        self._level = min(self._size - self._flying, self._level + (now - self._at) * self._rate)
        self._at = now
