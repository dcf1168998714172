"""What executing a receipt's calls again takes: the receipt itself, its module, its inputs. Each is checked by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pangea.compute import runtime
from pangea.compute.client.receipts.receipt_inputs import Found, find_inputs, places, size_of, unreadable
from pangea.compute.client.receipts.reexecution import OnCall, OnFound, Reexecution
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import OnCompile, prepare
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.inputs import Inputs, open_inputs
from pangea.compute.model.errors import InputError, UnavailableError, UnverifiedError
from pangea.compute.model.limits import FUEL_PYTHON, RANGES, Limits
from pangea.compute.model.units import GIB, MIB, MODULE_BYTES_MAX, human_bytes
from pangea.compute.verification import ban_file
from pangea.compute.verification.receipt_file import dumps, loads
from pangea.compute.verification.receipt_tree import Receipt
from pangea.compute.verification.receipts import Record

#: What a call of a stranger's receipt may use here, unless the verifier allows more.
CAPS = Limits(fuel=10 * FUEL_PYTHON, memory=GIB, time=300.0)
#: A receipt has about 400 bytes for each record.
RECEIPT_BYTES_MAX = 512 * MIB


def read_receipt(path: Path) -> Receipt:
    """Read a receipt's file. What it says is still to be checked.

    Raises:
        InputError: the file can't be read.
        UnverifiedError: it isn't a receipt.
    """
    return loads(_read(path, "the receipt", RECEIPT_BYTES_MAX))


def read_proof(path: Path) -> ban_file.BanProof:
    """Read the file of a ban's proof. What it says is still to be checked.

    Raises:
        InputError: the file can't be read.
        UnverifiedError: it is none.
    """
    return ban_file.loads(_read(path, "the proof of a ban", RECEIPT_BYTES_MAX))


def placed(receipt: bytes, paths: Sequence[Path]) -> bytes:
    """A receipt's file that says where the job's inputs are, so that `pangea verify --reexecute` finds them.

    Raises:
        UnverifiedError: it isn't a receipt, or one of so many inputs.
    """
    known = loads(receipt)
    found = zip(known.job.inputs, places(paths, len(known.job.inputs)), strict=True)
    inputs = tuple(replace(each, path=str(path.absolute())) for each, path in found)
    return dumps(replace(known, job=replace(known.job, inputs=inputs)))


@dataclass(frozen=True, slots=True)
class Materials:
    """What the receipts of one job content are executed from.

    Attributes:
        module: its bytes.
        inputs: all of them, in order; or the job's own, opened by whoever has submitted it; or what opens them.
        engine: executes.
        on_compile: told what is compiled.
        caps: what a call may use here, whatever the receipt allows; None for the user's own jobs.
    """

    module: bytes = field(repr=False)
    inputs: Found | Inputs = field(repr=False)
    engine: Engine
    on_compile: OnCompile
    caps: Limits | None = None

    @classmethod
    def of(
        cls,
        receipt: Receipt,
        *,
        module: Path | None,
        inputs: Sequence[Path],
        engine: Engine,
        on_compile: OnCompile,
        caps: Limits = CAPS,
    ) -> Self:
        """What `receipt` names, its hashes checked.

        Args:
            receipt: checked.
            module: file of the module; None if the receipt has it.
            inputs: files of all inputs, in order; none if the receipt's own paths will do.
            engine: executes.
            on_compile: told what is compiled.
            caps: what a call may use here, whatever the receipt allows.

        Raises:
            InputError: a file is missing, or isn't the one that the receipt names.
            UnavailableError: this machine's results can't be compared with the receipt's.
        """
        check_runtime(receipt)
        wasm = _module_of(receipt, module)
        return cls(wasm, find_inputs(receipt.job, wasm, inputs), engine, on_compile, caps)

    @contextmanager
    def reexecution(self, receipt: Receipt, on_found: OnFound, on_call: OnCall | None = None) -> Iterator[Reexecution]:
        """Prepare to execute calls of `receipt` again; the inputs are open within the context.

        Raises:
            UnverifiedError: the module isn't what the records say.
            InputError: the inputs can't be cut as the receipt says.
            UnavailableError: a call may need more than is allowed here, or fuel is counted otherwise here.
        """
        job, options = receipt.job, receipt.job.options
        if job.meter != self.engine.meter:
            raise UnavailableError(
                f"the receipt's fuel was counted by {job.meter}, and this machine counts by {self.engine.meter}",
                hint="execute it again with the versions of pangea-compute and wasmtime that the job ran on",
            )
        limits = options.limits if self.caps is None else within_caps(options.limits, receipt.records(), self.caps)
        prepared = prepare(
            self.module, limits, self.engine, self.on_compile, name=job.name, associative=options.associative_merge
        )
        for function, is_there, has_records in (
            ("split", prepared.has_split, bool(receipt.splits)),
            ("merge", prepared.has_merge, receipt.tree.record is not None),
        ):
            if is_there != has_records:
                records, there = ("records" if has_records else "no records"), ("has one" if is_there else "has none")
                raise UnverifiedError(f"the receipt has {records} of {function}, but the module {there}")
        with ExitStack() as resources:
            opened = self.inputs
            if not isinstance(opened, Inputs):
                opened = resources.enter_context(opened() if callable(opened) else open_inputs([*opened]))
            segments = cut(opened, options, custom_max=prepared.custom_bytes_max)
            yield Reexecution(self.engine, prepared, receipt, segments, on_found=on_found, on_call=on_call)


def check_runtime(receipt: Receipt) -> None:
    """Whether this machine's results can be compared with the receipt's.

    Raises:
        UnavailableError: no.
    """
    theirs, ours = receipt.job.runtime, runtime.sha256()
    if theirs != ours:
        raise UnavailableError(
            f"the receipt is of runtime {theirs[:12]}…, and this machine has {ours[:12]}…: results and fuel compare within one"
            " runtime only",
            hint="execute it again with the version of pangea-compute that the job ran on",
        )


def within_caps(limits: Limits, records: Sequence[Record], caps: Limits) -> Limits:
    """A job's limits, and no more than is allowed here.

    What a guest may notice, its memory, can't be less than it had: its results might be others. The rest only ends a call early,
    and then nothing is said about it.

    Raises:
        UnavailableError: the job may use more memory, or has used more fuel, than is allowed.
    """
    if limits.memory > caps.memory:
        raise UnavailableError(
            f"a call of this job may use {human_bytes(limits.memory)} of memory, and {human_bytes(caps.memory)} are allowed here",
            hint="allow it with --memory",
        )
    for record in records:
        if record.fuel > caps.fuel * record.count:
            raise UnavailableError(
                f"{record.task_id} says that it used {record.fuel:,} units of fuel for {record.count:,} calls,"
                f" and {caps.fuel:,} a call are allowed here",
                hint="allow it with --fuel",
            )
    least = {name: min(getattr(limits, name), getattr(caps, name)) for name in RANGES}
    return Limits(**least)


def _module_of(receipt: Receipt, path: Path | None) -> bytes:
    if path is None:
        if receipt.module is None:
            raise InputError(
                f"the module isn't in the receipt: SHA-256 {receipt.job.module}", hint="name its file with --module FILE"
            )
        return receipt.module
    wasm = _read(path, "the module", MODULE_BYTES_MAX)
    if (found := hashlib.sha256(wasm).hexdigest()) != receipt.job.module:
        raise InputError(f"the module {path} has SHA-256 {found}; the job's had {receipt.job.module}")
    return wasm


def _read(path: Path, what: str, size_max: int) -> bytes:
    if (size := size_of(path, f"{what} {path}")) > size_max:
        raise InputError(f"{what} {path} has {human_bytes(size)}; at most {human_bytes(size_max)}")
    try:
        with open(path, "rb") as file:
            return file.read(size_max)
    except OSError as error:
        raise unreadable(path, f"{what} {path}", error) from error
