"""Confirm what a node has computed: its receipt, every signature, and every call executed again on this machine."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from pangea.compute.client.receipts.materials import Materials, check_runtime
from pangea.compute.client.receipts.verifying import Repeated, repeat_all
from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.place import OnProgress
from pangea.compute.engine.engines import embedded
from pangea.compute.inputs.inputs import Input, Inputs
from pangea.compute.model.errors import UnavailableError, UnverifiedError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.progress import Progress
from pangea.compute.model.units import MIB
from pangea.compute.verification import receipt_file
from pangea.compute.verification.receipt_check import check
from pangea.compute.verification.receipt_tree import Receipt

#: Findings that an error names.
_TOLD_MAX = 20


def confirmed(result: Result, receipt: bytes, module: bytes, inputs: Inputs, on_progress: OnProgress | None) -> Result:
    """The same result, once this machine has found the same.

    Args:
        result: what a node gave.
        receipt: the job's receipt, a file.
        module: what was submitted.
        inputs: what was submitted with it, still open.
        on_progress: told of the records executed again.

    Raises:
        UnverifiedError: the receipt is forged, about something else, or not true.
        UnavailableError: this machine can't execute it again.
    """
    read = receipt_file.loads(receipt)
    wrong = _of_receipt(read, result, module, inputs)
    repeated = None
    if not wrong:
        repeated = _repeat(read, module, inputs, on_progress)
        wrong = [str(each) for each in repeated.differences]
    if wrong:
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        error = UnverifiedError(f"the node's result doesn't stand: {wrong[0]}{more}", findings=wrong[:_TOLD_MAX])
        error.report = result.report
        raise error
    assert repeated is not None, "nothing was wrong with the receipt"
    verification = f"{result.report.verification}; {_in_words(repeated, read.job.checking.tolerance)}"
    return Result(result, replace(result.report, verification=verification), ResultKind(result.kind, result.is_joined))


def _of_receipt(receipt: Receipt, result: Result, module: bytes, inputs: Inputs) -> list[str]:
    """What is wrong with a receipt before anything is executed."""
    try:
        from pangea.compute.network.identity import is_signed_by
    except ImportError as error:
        raise UnavailableError("checking signatures needs cryptography", hint="pip install 'pangea-compute[node]'") from error
    job, wrong = receipt.job, [str(each) for each in check(receipt, is_signed_by)]
    if (hashlib.sha256(result).hexdigest(), len(result)) != (job.result_sha256, job.result_size):
        wrong.append("the receipt is about another result")
    if hashlib.sha256(module).hexdigest() != job.module:
        wrong.append("the receipt is about another module")
    if [_sha256_of(item) for item in inputs] != [each.sha256 for each in job.inputs]:
        wrong.append("the receipt is about other inputs")
    return wrong


def _repeat(receipt: Receipt, module: bytes, inputs: Inputs, on_progress: OnProgress | None) -> Repeated:
    tell = on_progress or _ignore
    check_runtime(receipt)
    engine, _ = embedded.engine()
    materials = Materials(module, inputs, engine, lambda what: tell(Progress(f"compiling {what}")))

    def on_record(done: int, total: int) -> None:
        tell(Progress(f"executing again, {done:,} of {max(done, total):,} records"))

    return repeat_all(receipt, materials, on_record)


def _in_words(repeated: Repeated, tolerance: str) -> str:
    calls = ", ".join(f"{number:,} {function}" for function, number in repeated.calls.items())
    within = f", what execute gives within {tolerance}" if tolerance else ""
    again = f"all {repeated.of:,} calls were executed again here ({calls})"
    return f"its receipt's signatures are right, and {again}: all the same{within}"


def _sha256_of(item: Input) -> str:
    digest = hashlib.sha256()
    for block in item.blocks(MIB):
        digest.update(block)
    return digest.hexdigest()


def _ignore(_progress: Progress) -> None:
    pass
