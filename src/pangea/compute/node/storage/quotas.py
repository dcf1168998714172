"""What each owner holds of a node: taken before anything is awaited, given back on every way out."""

from __future__ import annotations

from collections import Counter

from pangea.compute.model.errors import QuotaError
from pangea.compute.model.units import human_bytes


class Reservation:
    """A share of a node that somebody holds, until it is released; to release it twice does nothing."""

    def __init__(self, quotas: Quotas, owner: str, *, size: int, jobs: int) -> None:
        """Hold `size` bytes and so many jobs for `owner`."""
        self._quotas = quotas
        self.owner = owner
        self.size = size
        self.jobs = jobs
        self._is_held = True
        quotas._add(self, 1)

    def release(self) -> None:
        """Give it back."""
        if self._is_held:
            self._is_held = False
            self._quotas._add(self, -1)


class Quotas:
    """The accounts of all owners."""

    def __init__(self, *, jobs_max: int, jobs_per_owner_max: int, bytes_per_owner_max: int) -> None:
        """Nobody holds anything yet; `jobs_max` is that of all owners together."""
        self._jobs_max = jobs_max
        self._jobs_per_owner_max = jobs_per_owner_max
        self._bytes_per_owner_max = bytes_per_owner_max
        self._jobs: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def bytes_of(self, owner: str) -> int:
        """Bytes that an owner holds."""
        return self._bytes[owner]

    def hold(self, owner: str, *, size: int, jobs: int = 0) -> Reservation:
        """Hold something that is there already, whatever the bounds say."""
        return Reservation(self, owner, size=size, jobs=jobs)

    def take_bytes(self, owner: str, size: int) -> Reservation:
        """Take room for `size` bytes more.

        Raises:
            QuotaError: the owner may have no more.
        """
        self._check_bytes(owner, size)
        return self.hold(owner, size=size)

    def take_job(self, owner: str, size: int, *, held: int = 0) -> Reservation:
        """Take a place for a job of `size` bytes of input, `held` of which the owner holds already and gives back for it.

        Raises:
            QuotaError: the owner or the node has as many jobs as it may have, or the owner as many bytes.
        """
        own, most = self._jobs[owner], self._jobs_per_owner_max
        if own >= most:
            raise QuotaError(
                f"{owner} has {own:,} unfinished jobs on this node, the most it may have",
                hint="wait for one to end, or cancel one",
            )
        if self._jobs.total() >= self._jobs_max:
            raise QuotaError(f"this node has {self._jobs_max:,} unfinished jobs, the most it takes", hint="try again later")
        self._check_bytes(owner, size - held)
        return self.hold(owner, size=size, jobs=1)

    def _check_bytes(self, owner: str, more: int) -> None:
        held, most = self._bytes[owner], self._bytes_per_owner_max
        if held + more > most:
            raise QuotaError(
                f"{human_bytes(more)} more would be {human_bytes(held + more)} of input for {owner};"
                f" this node holds {human_bytes(most)} at most",
                hint="wait for a job to end, or give the node less",
            )

    def _add(self, holding: Reservation, sign: int) -> None:
        for account, amount in ((self._jobs, holding.jobs), (self._bytes, holding.size)):
            account[holding.owner] += sign * amount
            if not account[holding.owner]:
                del account[holding.owner]
