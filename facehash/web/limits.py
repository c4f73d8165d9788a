"""Rate limits: token buckets per client."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CLIENTS = 10_000


class RateLimit:
    """A number of requests per second for each client, with bursts.

    Args:
        per_second: Sustained number of requests; 0 is no limit.
        burst: Number of requests at once.
        clock: Returns seconds.

    Example:
        >>> limit = RateLimit(1.0, burst=2, clock=lambda: 0.0)
        >>> [limit.wait("me") for _ in range(3)]
        [0.0, 0.0, 1.0]
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def wait(self, client: str) -> float:
        """Count a request; return 0.0, or the seconds to wait if there are too many."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, since = self._clients.pop(client, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - since) * self._rate)
        allowed = tokens >= 1
        self._clients[client] = (tokens - 1 if allowed else tokens, now)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._rate
