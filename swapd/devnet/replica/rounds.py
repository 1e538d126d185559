"""The heartbeat of a replica that runs as a server: messages as they come in, timers as they fall due."""

from __future__ import annotations

import threading
import time

from swapd.devnet.replica.ingress import Outcome
from swapd.devnet.replica.replica import Replica

_TIMER_SECONDS = 0.05  # how often timers are looked at when nothing else happens


class Rounds:
    """A thread that carries out messages: at once, or in rounds `round_seconds` apart, as a real subnet does."""

    def __init__(self, replica: Replica, round_seconds: float = 0.0) -> None:
        self._replica = replica
        self._round_seconds = round_seconds
        self._changed = threading.Condition()
        self._wanted = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when no message is being carried out any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def wake(self) -> None:
        """There is something to do. Raises `RuntimeError` if nobody is left to do it: a fault of the replica itself."""
        if not self._thread.is_alive():
            raise RuntimeError("the replica came to a halt: its log has the reason")
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    def wait_for(self, request_id: bytes, seconds: float) -> Outcome | None:
        """The outcome of a request, None if it has none after that time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._ended:
                outcome = self._replica.outcome(request_id)
                left = deadline - time.monotonic()
                if outcome is not None or left <= 0:
                    return outcome
                self._changed.wait(left)
        return None

    def _run(self) -> None:
        while self._wait():
            if self._round_seconds:
                time.sleep(self._round_seconds)
            while not self._ended:
                more = self._replica.step()
                with self._changed:
                    self._changed.notify_all()
                if not more:
                    break

    def _wait(self) -> bool:
        with self._changed:
            if not self._wanted and not self._ended:
                self._changed.wait(_TIMER_SECONDS)
            self._wanted = False
            return not self._ended
