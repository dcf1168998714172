"""Has this node's neighbours sign, as witnesses, what its log of receipts is: so that it can tell one story only.

Each neighbour is asked when the log has grown since it signed last. Now and then it is asked with a proof that is wrong, in one
bit of a hash: who looks refuses it, and gets the right one next; who signs it doesn't look, and its signature is worth nothing.
It can't tell the two apart but by checking them. This node signs nothing false for it: the checkpoint is the true one in both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING

from pangea.compute.model.errors import PangeaError, PeerError, QuotaError, UnverifiedError
from pangea.compute.model.ids import PeerId
from pangea.compute.node import logs
from pangea.compute.node.storage.cosigned import Cosigned
from pangea.compute.node.storage.receipt_log import read_checkpoint, read_entries
from pangea.compute.node.tree.neighbours import Neighbour, Neighbours
from pangea.compute.verification.log_proof import Growth
from pangea.compute.verification.merkle import consistency
from pangea.compute.verification.receipts import CheckSignature
from pangea.compute.verification.signed_note import Checkpoint, signature_in

if TYPE_CHECKING:
    from random import Random

#: Share of the questions that have a wrong proof, where there can be one: a witness that signs everything is found by the
#: seventeenth growth with 99 %.
PLANTED_SHARE = 0.25
#: The log is looked at so often; a long one less often, as a proof of 100,000 entries takes a third of a second of a core. How
#: long witnesses take to answer makes no difference: a slow one would have all others asked twenty times as seldom.
_LOOK_SECONDS, _LOOKS_PER_ROUND = 1.0, 20.0
#: Who doesn't answer isn't asked for so long.
_PAUSE_SECONDS = 60.0
#: Witnesses that are asked at once, and that are remembered.
WITNESSES_MAX, _KNOWN_MAX = 64, 4_096


@dataclass(slots=True)
class Witness:
    """What this node knows of a neighbour as a witness.

    Attributes:
        known: entries that it has signed last.
        refused: entries of the checkpoint that it hasn't signed; 0 if it signs all.
        planted: wrong proofs that it was sent …
        refusals: … and those of them that it refused.
        is_blind: it has signed one.
        not_before: when to ask it again, on the loop's clock.
    """

    known: int = 0
    refused: int = 0
    planted: int = 0
    refusals: int = 0
    is_blind: bool = False
    not_before: float = 0.0

    def record(self) -> dict[str, int | bool]:
        """For people."""
        return {"signed_entries": self.known, "planted": self.planted, "refused": self.refusals, "looks": not self.is_blind}


class Cosigning:
    """Asks neighbours to witness this node's log."""

    def __init__(self, log_folder: Path, neighbours: Neighbours, check: CheckSignature, random: Random) -> None:
        """The log in `log_folder`; `check` checks signatures; `random` draws which proofs are wrong: nobody else may know it."""
        self._folder = log_folder
        self._neighbours = neighbours
        self._check = check
        self._random = random
        self._cosigned = Cosigned(log_folder)
        self._witnesses: dict[PeerId, Witness] = {}

    async def run(self) -> None:
        """Ask whenever there is something to ask; until cancelled."""
        seconds = 0.0
        blind = await asyncio.to_thread(self._cosigned.blind)
        self._witnesses |= {PeerId(each): Witness(is_blind=True) for each in blind}
        while True:
            await asyncio.sleep(max(_LOOK_SECONDS, _LOOKS_PER_ROUND * seconds))
            try:
                seconds = await self.ask_all()
            except (PangeaError, OSError) as error:  # a log that can't be read: whoever adds to it says so
                logs.get("peers").warning("no witness was asked", error=str(error))

    async def ask_all(self) -> float:
        """Ask each neighbour that hasn't signed what the log is now; how many seconds of a core the proofs took."""
        checkpoint = await asyncio.to_thread(read_checkpoint, self._folder, self._neighbours.me)
        due = [each for each in self._neighbours if self._is_due(each.peer, checkpoint)][:WITNESSES_MAX]
        if not checkpoint.size or not due:
            return 0.0
        sizes = {self._witness(each.peer).known for each in due}
        proofs, seconds = await asyncio.to_thread(self._proofs, checkpoint.by_log(), sizes)
        await asyncio.gather(*(self._ask(each, proofs[self._witness(each.peer).known]) for each in due))
        return seconds

    def record(self, peer: PeerId) -> dict[str, int | bool] | None:
        """What is known of a neighbour as a witness; None: nothing."""
        found = self._witnesses.get(peer)
        return None if found is None else found.record()

    def _witness(self, peer: PeerId) -> Witness:
        if peer not in self._witnesses and len(self._witnesses) >= _KNOWN_MAX:
            gone = (each for each, known in self._witnesses.items() if not known.is_blind and not self._neighbours.find(each))
            del self._witnesses[next(gone, next(iter(self._witnesses)))]
        return self._witnesses.setdefault(peer, Witness())

    def _is_due(self, peer: PeerId, checkpoint: Checkpoint) -> bool:
        known = self._witnesses.get(peer, Witness())
        is_open = known.known < checkpoint.size != known.refused
        return is_open and not known.is_blind and asyncio.get_running_loop().time() >= known.not_before

    def _proofs(self, checkpoint: Checkpoint, sizes: Iterable[int]) -> tuple[dict[int, Growth], float]:
        began = thread_time()
        entries = read_entries(self._folder, checkpoint.size)
        proofs = {old: Growth(old=old, proof=consistency(entries, old), checkpoint=checkpoint) for old in sizes}
        return proofs, thread_time() - began

    async def _ask(self, neighbour: Neighbour, growth: Growth) -> None:
        witness = self._witness(neighbour.peer)
        is_planted = bool(growth.proof) and self._random.random() < PLANTED_SHARE
        witness.planted += is_planted
        try:
            line, size = await neighbour.link.cosign((self._spoilt(growth) if is_planted else growth).text())
            if line:
                await self._signed(neighbour.peer, growth.checkpoint, line, is_planted=is_planted)
            else:
                self._knows(neighbour.peer, growth, size)
        except QuotaError:
            return  # it is asked again in its turn
        except UnverifiedError as error:
            witness.refusals += is_planted
            if not is_planted:
                witness.refused = growth.checkpoint.size
                logs.get("peers").error("a witness doesn't sign", witness=neighbour.peer, cause=error.message)
        except PangeaError as error:
            witness.not_before = asyncio.get_running_loop().time() + _PAUSE_SECONDS
            logs.get("peers").info("no witness", witness=neighbour.peer, cause=error.message)

    def _spoilt(self, growth: Growth) -> Growth:
        """The same with one bit of one hash of its proof changed."""
        proof = [*growth.proof]
        at, bit = self._random.randrange(len(proof)), self._random.randrange(256)
        proof[at] = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
        return replace(growth, proof=tuple(proof))

    async def _signed(self, peer: PeerId, checkpoint: Checkpoint, line: str, *, is_planted: bool) -> None:
        """Take in a witness's signature.

        Raises:
            PeerError: it isn't its own, of this checkpoint.
        """
        cosigned = replace(checkpoint, signatures=(*checkpoint.signatures, signature_in(line)))
        if peer not in cosigned.witnesses(self._check):
            raise PeerError(f"what {peer} gave is no signature of it under {checkpoint.size:,} entries")
        witness = self._witness(peer)
        if is_planted:
            await asyncio.to_thread(self._cosigned.drop, peer)
            logs.get("peers").error("a witness doesn't look", witness=peer, cause="it has signed a log whose proof was wrong")
            witness.is_blind = True
            return
        await asyncio.to_thread(self._cosigned.keep, cosigned)
        witness.known, witness.refused = checkpoint.size, 0
        logs.get("peers").info("witnessed", witness=peer, entries=checkpoint.size)

    def _knows(self, peer: PeerId, growth: Growth, size: int) -> None:
        """A witness has signed so many entries of this log: the next proof begins there."""
        witness = self._witness(peer)
        if size > growth.checkpoint.size or size == growth.old:
            raise UnverifiedError(f"it says that it has signed {size:,} entries; this log has {growth.checkpoint.size:,}")
        witness.known = size
