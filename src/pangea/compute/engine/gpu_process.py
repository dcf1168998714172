"""The node's side of the process that has the adapter: started at the first shader, anew for each job, killed when overdue."""

from __future__ import annotations

from typing import Any

from pangea.compute.engine.failures import HINT_ADAPTER
from pangea.compute.engine.process import WorkerProcess, failure_of
from pangea.compute.engine.task import Guest
from pangea.compute.model.errors import NoAdapterError, UnavailableError
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.plain_json import dumps

#: In place of compiled code: a shader has none.
NO_FILE = -1


class GpuProcess(WorkerProcess):
    """A running process with an adapter, for one job's shader."""

    _MODULE = "pangea.compute.engine.gpu_worker"
    _REMEDY = HINT_ADAPTER

    def __init__(self, which: str) -> None:
        """Start the process and wait until it has an adapter, and is jailed.

        Args:
            which: the kind of adapter: see `gpu.Device`.

        Raises:
            NoAdapterError: there is none; the hint names what to install.
        """
        try:
            self._start(which)
        except UnavailableError as error:
            raise NoAdapterError(f"no shader can run here: {error.message}", hint=error.hint) from error

    def serves(self, guest: Guest) -> bool:
        """Whether it can be given tasks of `guest`: it is as it was at the start, or warmed with that job."""
        return self.is_alive and self._guest_key in ("", guest.key)

    def _load(self, guest: Guest, _code_file: int, _packs: int) -> Failure | None:
        assert guest.gpu is not None, "a job without a shader"
        text = dumps({"program": guest.gpu.to_json(), "shader": guest.gpu.shader}).encode()
        self._memory.write([text])
        limits = {name: getattr(guest.limits, name) for name in guest.limits.__slots__}
        self._ask("load", {"limits": limits, "code_bytes": len(text)})
        try:
            answer: dict[str, Any] = self._answer(guest.limits.compile_time)
        except TimeoutError:
            self.kill()
            message = f"compiling the shader ran into its time limit of {guest.limits.compile_time:g} s"
            return Failure(kind=FailureKind.TIMED_OUT, message=message, limit="compile_time")
        if "loaded" in answer:
            self._guest_key = guest.key
            return None
        return failure_of(answer["failure"])
