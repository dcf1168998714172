"""A Ray cluster that somebody has already, as an engine: its scheduler, its autoscaling, its dashboard, our sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError

from pangea.compute.engine.engines import hosted
from pangea.compute.engine.engines.remote import PATIENCE_SECONDS, Call, RemoteEngine
from pangea.compute.model.errors import UnavailableError


class RayEngine(RemoteEngine):
    """Runs tasks as tasks of a Ray cluster: as many at once as it has CPUs.

    Each of its worker processes starts one jailed process at its first task. Ray tries nothing again (`max_retries=0`): that a
    worker died is a failure of the machine. Where Ray's head node dies, Ray itself ends the processes that are connected to it
    directly; one that came by `ray://` gets an error.
    """

    kind = "Ray"

    def __init__(self, address: str = "", *, patience: float = PATIENCE_SECONDS, **options: Any) -> None:
        """Use the cluster that this process is connected to, or connect to one.

        Args:
            address: `ray://host:10001`; empty: this process's cluster, else that of `RAY_ADDRESS` or this machine.
            patience: seconds that tasks wait while the cluster has no worker at all.
            **options: of `ray.remote` for each task: `num_cpus` (by default 1), `resources`, `runtime_env`.

        Raises:
            UnavailableError: there is no cluster.
        """
        self._is_owner = not ray.is_initialized()
        if self._is_owner:
            _connect(address)
        self._options = {"num_cpus": 1} | options
        self._serve = ray.remote(max_retries=0, **self._options)(_serve)
        self._address = address or "this process's connection"
        try:
            super().__init__(patience=patience)
        except BaseException:
            self._leave()
            raise

    @property
    def place(self) -> str:
        return f"the Ray cluster at {self._address}"

    def _size(self) -> int:
        try:
            if ray.is_initialized():
                resources: Any = ray.cluster_resources
                return int(resources().get("CPU", 0) // max(self._options["num_cpus"], 0.001))
            reason = "this process is connected to none"
        except (RayError, ConnectionError, RuntimeError) as error:
            reason = str(error)
        raise UnavailableError(
            f"{self.place} is gone: {reason}", hint="start it with `ray start`, or leave out engine= to run here"
        )

    def _keep(self, content: bytes) -> Any:
        return ray.put(content)

    def _start(self, key: str, request: str, content: Any, frame: bytes) -> Call:
        name = key.rpartition("-")[0]
        reference = self._serve.options(name=name).remote(request, content, frame)
        return Call(reference.future(), reference)

    def _give_up(self, calls: Sequence[Call], attempts: Sequence[str]) -> None:
        for call in calls:
            with suppress(RayError, ConnectionError, RuntimeError, ValueError):  # it ended meanwhile, or the cluster did
                ray.cancel(call.handle)

    def _leave(self) -> None:
        if self._is_owner:
            ray.shutdown()


#: Ray's client (2.60) shows its token only where it is told to, and takes a refusal for silence.
_UNSHOWN = "; if it wants a token (`ray get-auth-token`), set RAY_AUTH_MODE=token here, too"


def _connect(address: str) -> None:
    try:
        ray.init(address=address or "auto")
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        raise UnavailableError(
            f"there is no Ray cluster at {address or 'this machine'}: {str(error).splitlines()[0]}",
            hint=f"start one with `ray start --head`, or connect with ray.init() first{_UNSHOWN if address else ''}",
        ) from error


def _serve(request: str, content: bytes, frame: bytes) -> dict[str, Any]:
    """Called in the main thread of a Ray worker process, where Ray's way to cancel is an exception."""
    return hosted.serve(request, content, frame, workers=1)
