"""Whether a node works for its parents: whoever runs it may pause that, for a while or until further notice.

It is kept in a file, so that a machine which was paused stays so when it is started again. Its conditions may hold it back, too.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

from pangea.compute.engine.files import write_file
from pangea.compute.model.errors import InputError, UnavailableError

#: Longer than this is until further notice.
PAUSE_SECONDS_MAX = 366 * 86_400.0


class Lending:
    """One node's, on its event loop."""

    def __init__(self, file: Path, *, tell: Callable[[bool], None], clock: Callable[[], float] = time.time) -> None:
        """Not paused, before `restore`.

        Args:
            file: where it is kept; its content is until when, in seconds since 1970, or 0: until further notice.
            tell: told whether it is paused, when that changes.
            clock: seconds since 1970.
        """
        self._file, self._tell, self._clock = file, tell, clock
        self._timer: asyncio.TimerHandle | None = None
        #: Until when, in seconds since 1970; 0: until further notice; None: it isn't paused.
        self.until: float | None = None
        #: Why its conditions hold it back; empty: they don't.
        self.held: str = ""
        self._was_told = False

    def left(self) -> float | None:
        """Seconds until it works for others again; infinite: until further notice; None: it isn't paused."""
        if self.until is None:
            return None
        return max(0.0, self.until - self._clock()) if self.until else math.inf

    @property
    def words(self) -> str:
        """Whether the node works for its parents, in words."""
        left = self.left()
        if left is None:
            return f"not now: {self.held}" if self.held else "yes"
        return "paused until it is resumed" if left == math.inf else f"paused for {left:.0f} s more"

    def hold(self, why: str) -> None:
        """Work for others no more, for this reason, or again: empty."""
        self.held = why
        self._tell_change()

    async def restore(self) -> None:
        """Take up what the file says; what makes no sense is a pause until further notice."""
        try:
            text = await asyncio.to_thread(self._file.read_text)
        except OSError:  # there is none
            return
        try:
            until = float(text)
        except ValueError:
            until = 0.0
        until = until if math.isfinite(until) else 0.0
        if not until or until > self._clock():
            self._set(until)

    async def pause(self, seconds: float) -> None:
        """Pause for so many seconds; 0: until `resume`.

        Raises:
            InputError: that is no time.
            UnavailableError: the file can't be written, so nothing is changed.
        """
        if not 0.0 <= seconds <= PAUSE_SECONDS_MAX:
            raise InputError(f"a pause of {seconds:g} s; it may be 0 (until it is resumed) to {PAUSE_SECONDS_MAX:,.0f}")
        until = self._clock() + seconds if seconds else 0.0
        try:
            await asyncio.to_thread(write_file, self._file, f"{until}\n".encode())
        except OSError as error:
            raise UnavailableError(
                f"{self._file} can't be written: {error.strerror or error}", hint="make room on its disk"
            ) from error
        self._set(until)

    async def resume(self) -> bool:
        """Work for others again; whether that is a change."""
        was_paused = self.until is not None
        await asyncio.to_thread(lambda: self._file.unlink(missing_ok=True))
        self._set(None)
        return was_paused

    def close(self) -> None:
        """Wake up no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, until: float | None) -> None:
        self.close()
        self.until, self._timer = until, None
        if until:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, until - self._clock()), self._over)
        self._tell_change()

    def _tell_change(self) -> None:
        is_paused = self.until is not None or bool(self.held)
        if is_paused != self._was_told:
            self._was_told = is_paused
            self._tell(is_paused)

    def _over(self) -> None:
        self._set(None)  # the file names a time that is past, and pauses nothing any more
