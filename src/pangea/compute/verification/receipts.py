"""What a worker signs when it answers: one call of a job's function, by hashes.

The same signature makes the answer authentic on its way up the tree and stands in the job's receipt for ever.

| function | `input`: SHA-256 of | `output` |
|---|---|---|
| split | the framed list of its `count` segments | SHA-256 of the framed list of framed lists that split gave |
| execute | the framed list of its `count` chunks | Merkle digest of the results (`digest_of`, a leaf for each pack) |
| merge, a step | the frame handed to merge | Merkle digest of the one result (`digest_of`, one run) |
| merge, the last | the frame handed to merge | SHA-256 of the job's result |

For a merge, `start` is its number among the merges of its level, as in its packet, and `count` is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.verification.commitment import joined, number

_STATEMENT = b"pangea record 3"
_RECORD = b"pangea signed record 1"

Sign = Callable[[bytes], bytes]
#: (peer id, statement, signature) → whether that peer signed it. Any input gets an answer.
CheckSignature = Callable[[str, bytes, bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One call, as its worker signs it. Fields may be a stranger's: nothing here raises, whatever they are.

    Attributes:
        job_id: the job.
        owner: peer id of the node that owns it: the same job id at another owner is another job.
        task_id: the task; `<job>:s<first segment>` for split, `<job>:<first chunk>` for execute,
            `<job>:m<level>.<index>` for a merge step, `<job>:merge` for the last merge.
        function: `split`, `execute` or `merge`.
        module: SHA-256 of the module or job archive, in hex.
        runtime: determinism class: hashes and fuel are comparable within one class only.
        spec: hash of the job's spec (`signed_spec`), by which the worker worked; 32 bytes.
        start: number of the first segment, chunk or merge.
        count: how many.
        packs: of execute, chunks of each pack, in order; none: all of it is one.
        input: 32 bytes, see above.
        output: 32 bytes, see above; empty for a failure.
        fuel: fuel units used: part of what is signed, so a padded bill is a lie like any other.
        worker: peer id of who executed it.
        failure: a `FailureKind`, or "". A failure that isn't the machine's fault is an answer like any other.
        signature: the worker's, over `statement()`; empty until it is signed.
    """

    job_id: JobId
    owner: PeerId
    task_id: TaskId
    function: str
    module: str
    runtime: str
    spec: bytes
    start: int
    count: int
    input: bytes
    output: bytes
    fuel: int
    worker: PeerId
    failure: str = ""
    packs: tuple[int, ...] = ()
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed: every field but the signature. No two different records give the same bytes."""
        return joined(
            _STATEMENT,
            _text(self.job_id),
            _text(self.owner),
            _text(self.task_id),
            _text(self.function),
            _text(self.module),
            _text(self.runtime),
            self.spec,
            number(self.start),
            number(self.count),
            joined(*map(number, self.packs)),
            self.input,
            self.output,
            number(self.fuel),
            _text(self.worker),
            _text(self.failure),
        )

    def hash(self) -> bytes:
        """Names the signed record, 32 bytes."""
        return sha256(joined(_RECORD, self.statement(), self.signature)).digest()


def _text(value: str) -> bytes:
    """UTF-8, even of what isn't text: half a surrogate pair, from a stranger's JSON."""
    return value.encode("utf-8", "surrogatepass")
