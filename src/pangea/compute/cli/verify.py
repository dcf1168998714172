"""`pangea verify`: check a job's receipt, offline, and execute its calls again as far as asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pangea.compute.cli.console import ProgressDisplay, say
from pangea.compute.cli.dashes import InputFile, OutputFile
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.cli.whole import Whole
from pangea.compute.model.errors import InputError, ManifestError, UnavailableError, UnverifiedError

if TYPE_CHECKING:
    from pangea.compute.client.receipts.dispute import Dispute
    from pangea.compute.client.receipts.materials import Materials
    from pangea.compute.client.receipts.page.captured import Captured
    from pangea.compute.client.receipts.verifying import Repeated
    from pangea.compute.model.limits import Limits
    from pangea.compute.verification.receipt_check import Finding
    from pangea.compute.verification.receipt_tree import Receipt
    from pangea.compute.verification.receipts import CheckSignature

#: Findings and differences that the table shows.
_SHOWN_MAX = 20


def is_ban(path: Path) -> bool:
    """Whether a file is the proof of a ban."""
    from pangea.compute.verification.ban_file import is_ban_file

    try:
        with open(path, "rb") as file:
            return is_ban_file(file.read(256))
    except OSError:
        return False  # whoever reads the receipt says why


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Sources:
    """What executing again needs beside the receipt."""

    input: Annotated[list[InputFile] | None, Parameter(name=["--input", "-i"], consume_multiple=(1, None), negative="")] = None
    "Files of all the job's inputs, in order, instead of those that the receipt names."
    module: InputFile | None = None
    "File of the job's module or archive, if it isn't in the receipt."
    fuel: str | None = None
    "Units of fuel that a call may use here, whatever the receipt allows [default: 10^12]."
    memory: str | None = None
    "Bytes of memory that a call may use here [default: 1GiB]."
    time: str | None = None
    "Time that a call may take here [default: 300s]."

    def caps(self) -> Limits:
        """What a call may use here.

        Raises:
            ManifestError: a figure is none, or out of range.
        """
        from pangea.compute.client.receipts.materials import CAPS
        from pangea.compute.model.quantities import parse_duration, parse_size

        given: dict[str, Any] = {}
        if self.fuel is not None:
            given["fuel"] = _whole(self.fuel)
        if self.memory is not None:
            given["memory"] = parse_size(self.memory, "--memory")
        if self.time is not None:
            given["time"] = parse_duration(self.time, "--time")
        return replace(CAPS, **given)


@dataclass(slots=True)
class _Outcome:
    """What is known so far."""

    receipt: Receipt
    findings: list[Finding] = field(default_factory=list)
    repeated: Repeated | None = None
    dispute: Dispute | None = None
    #: What is wrong with the other receipt: then there is nothing to settle.
    of_other: list[Finding] = field(default_factory=list)
    has_result: bool = False
    wrong: list[str] = field(default_factory=list)
    #: For a page: what calls were given, the module, and why not all can be run from it.
    captured: Captured | None = None
    module: bytes = b""
    missing: str = ""
    page: dict[str, Any] | None = None
    is_quiet: bool = False


def verify(
    receipt: InputFile,
    *,
    reexecute: str | None = None,
    seed: Whole | None = None,
    against: InputFile | None = None,
    result: InputFile | None = None,
    owner: str | None = None,
    page: OutputFile | None = None,
    sources: Sources | None = None,
    as_json: AsJson = False,
) -> None:
    """Check a job's receipt: signatures, hashes, that it is complete, and the bill. No node is needed.

    Exit codes: 0 verified, 2 usage or a missing file, 3 this machine can't execute it again, 4 verification failed.

    Parameters
    ----------
    receipt
        The receipt's file; or the proof of a ban, of which the call is always executed again.
    reexecute
        Execute so many of its records again, drawn at random, and compare result and fuel; or all, with the merges; or none.
    seed
        Draw the same records as another time.
    against
        Another receipt of the same computation: where they differ, execute one call again and say who is right.
    result
        File of the job's result, to compare with the receipt.
    owner
        Peer id of the client that must have ordered the job, or of the node that the receipt must be from; without it, any.
    page
        Write a page here that anybody opens in a browser: it checks the receipt and runs its calls again, those of --reexecute,
        or all whose inputs are found.
    """
    number = _number(reexecute)
    if is_ban(receipt):
        verify_ban(receipt, sources or Sources(), as_json=as_json)
        return
    outcome, other = _checked(receipt, against, result, owner)
    outcome.is_quiet = wants_json(as_json=as_json)
    is_soft = page is not None and reexecute is None and other is None
    number = None if is_soft else number
    if page is not None:
        _begin_page(outcome, number)
    if not outcome.findings:
        _execute_for(outcome, other if not outcome.of_other else None, number, seed, sources, is_soft=is_soft)
    if page is not None:
        _write_page(outcome, page)
    outcome.wrong = [str(each) for each in (*outcome.findings, *(outcome.repeated.differences if outcome.repeated else ()))]
    outcome.wrong += _lost(outcome.dispute)
    print_data(_record(outcome, receipt)) if wants_json(as_json=as_json) else _print(outcome, against)
    if outcome.wrong:
        more = f", and {len(outcome.wrong) - 1:,} more" if len(outcome.wrong) > 1 else ""
        raise UnverifiedError(f"the receipt doesn't stand: {outcome.wrong[0]}{more}", findings=outcome.wrong[:_SHOWN_MAX])


def _checked(path: Path, against: Path | None, result: Path | None, owner: str | None) -> tuple[_Outcome, Receipt | None]:
    """A receipt, and what is wrong with it before anything is executed; and the other one."""
    from pangea.compute.client.receipts.materials import read_receipt
    from pangea.compute.verification.receipt_check import check

    is_signed_by = signatures()
    outcome = _Outcome(read_receipt(path))
    outcome.findings = [*check(outcome.receipt, is_signed_by), *_of_owner(outcome.receipt, owner)]
    if result is not None:
        outcome.findings += _of_result(outcome.receipt, result)
        outcome.has_result = True
    other = None if against is None else read_receipt(against)
    if other is not None:
        outcome.of_other = check(other, is_signed_by)
    return outcome, other


def verify_ban(path: Path, sources: Sources, *, as_json: bool) -> None:
    """Check the proof of a ban: signatures, and that the call doesn't give what the worker signed.

    Raises:
        UnverifiedError: it proves nothing.
    """
    from pangea.compute.client.receipts.ban_check import execute_again, said_by
    from pangea.compute.client.receipts.materials import read_proof
    from pangea.compute.engine.engines import embedded

    proof = read_proof(path)
    if sources.module is not None:
        proof = replace(proof, module=sources.module.read_bytes())
    if sources.input:
        proof = replace(proof, input=sources.input[0].read_bytes())
    if findings := proof.findings(signatures()):
        raise UnverifiedError(f"the proof doesn't stand: {findings[0]}", findings=findings)
    found = execute_again(proof, embedded.engine()[0], sources.caps(), lambda _what: None)
    said, record = said_by(proof.record), proof.record
    told = {"ban": str(path), "verified": said != found, "worker": record.worker, "verdict": proof.verdict, "why": proof.why}
    if wants_json(as_json=as_json):
        print_data({**told, "task": record.task_id, "signed": asdict(said), "found": asdict(found)})
    if said == found:
        raise UnverifiedError(f"the proof doesn't stand: {record.task_id} gives here just what {record.worker} signed")
    if not wants_json(as_json=as_json):
        print_out(
            f"{record.worker} signed another answer to {record.task_id} than the call gives: the ban stands"
            f" (its verdict, {proof.verdict}, is the word of whoever banned it)"
        )


def _number(reexecute: str | None) -> int | None:
    """How many to draw: 0 for none, None for all."""
    if reexecute in (None, "all", "none"):
        return None if reexecute == "all" else 0
    if not reexecute.isdecimal() or not reexecute.isascii() or not 1 <= len(reexecute) <= 12 or not int(reexecute):
        raise ManifestError(f"--reexecute is {reexecute[:80]!r}; it must be a number of records, 1 or more, or all, or none")
    return int(reexecute)


def _whole(text: str) -> int:
    """A whole number."""
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise ManifestError(f"--fuel is {text[:80]!r}; it must be a whole number")
    return int(text)


def signatures() -> CheckSignature:
    """What checks signatures.

    Raises:
        UnavailableError: what does is not installed.
    """
    try:
        from pangea.compute.network.identity import is_signed_by
    except ImportError as error:
        raise UnavailableError("checking signatures needs cryptography", hint="pip install 'pangea-compute[node]'") from error
    return is_signed_by


def _of_owner(receipt: Receipt, owner: str | None) -> list[Finding]:
    from pangea.compute.verification.receipt_check import Finding

    order = receipt.job.order
    if owner in (None, receipt.job.owner) or (order is not None and owner == order.client):
        return []
    return [Finding("owner", f"the receipt is {receipt.job.owner}'s, not {owner}'s")]


def _of_result(receipt: Receipt, path: Path) -> list[Finding]:
    from pangea.compute.client.receipts.receipt_inputs import sha256_of
    from pangea.compute.verification.receipt_check import Finding

    digest, size = sha256_of(path)
    if (digest, size) == (receipt.job.result_sha256, receipt.job.result_size):
        return []
    return [Finding("result", f"{path} has {size:,} bytes, SHA-256 {digest}; the receipt's is {receipt.job.result_sha256}")]


def _begin_page(outcome: _Outcome, number: int | None) -> None:
    from pangea.compute.client.receipts.page.captured import Captured

    outcome.captured = Captured()
    if number is not None:
        outcome.missing = "the others were left out when it was made (--reexecute)" if number else "it was made without"


def _write_page(outcome: _Outcome, path: Path) -> None:
    """Write the receipt's page, whether the receipt stands or not."""
    from pangea.compute.cli.output import write_output
    from pangea.compute.client.receipts.page.page import page_of

    assert outcome.captured is not None, "the page was begun"
    if outcome.receipt.job.checking.tolerance:
        raise ManifestError("a page runs no shaders, and this receipt's results were compared under a tolerance", field="page")
    data = page_of(outcome.receipt, module=outcome.module, captured=outcome.captured, missing=outcome.missing)
    write_output(data, path, what="page")
    outcome.page = {"path": str(path), "bytes": len(data), "calls": len(outcome.captured.places), "missing": outcome.missing}


def _execute_for(
    outcome: _Outcome, other: Receipt | None, number: int | None, seed: int | None, sources: Sources | None, *, is_soft: bool
) -> None:
    """Execute again what is asked for; if it is `is_soft`ly asked for, what is missing for that is only noted."""
    try:
        _execute(outcome, other, number, seed, sources or Sources())
    except (InputError, UnavailableError) as error:
        if not is_soft:
            raise
        outcome.missing = error.message


def _execute(outcome: _Outcome, other: Receipt | None, number: int | None, seed: int | None, sources: Sources) -> None:
    """Execute again what is asked for."""
    if number == 0 and other is None:
        return
    from pangea.compute.client.receipts.dispute import check_same_job, settle
    from pangea.compute.client.receipts.materials import Materials
    from pangea.compute.engine.engines import embedded
    from pangea.compute.model.progress import Progress

    if other is not None:
        check_same_job(outcome.receipt, other)
    with ProgressDisplay(quiet=outcome.is_quiet) as display:
        materials = Materials.of(
            outcome.receipt,
            module=sources.module,
            inputs=sources.input or [],
            engine=embedded.engine()[0],
            on_compile=lambda what: display.update(Progress(f"compiling {what}")),
            caps=sources.caps(),
        )
        if number != 0:
            outcome.module = materials.module
            outcome.repeated = _repeat(outcome, materials, number, seed, display)
        if other is not None:
            outcome.dispute = settle(outcome.receipt, other, materials)


def _repeat(outcome: _Outcome, materials: Materials, number: int | None, seed: int | None, display: ProgressDisplay) -> Repeated:
    from pangea.compute.client.receipts.verifying import repeat_all, repeat_some
    from pangea.compute.model.progress import Progress

    def on_progress(done: int, total: int) -> None:
        display.update(Progress(f"executing again, {done:,} of {max(done, total):,} records"))

    if number is None:
        return repeat_all(outcome.receipt, materials, on_progress, outcome.captured)
    return repeat_some(outcome.receipt, materials, number, seed, on_progress, outcome.captured)


def _lost(dispute: Dispute | None) -> list[str]:
    """What a dispute says against the receipt."""
    from pangea.compute.client.receipts.dispute import Verdict

    if dispute is None:
        return []
    undecided = "which of the two receipts is right is undecided: --reexecute all decides"
    return [*map(str, dispute.ones), *([undecided] if dispute.verdict is Verdict.OPEN else [])]


# What is said

_UNSIGNED = "a client without a key: the owner has signed for it"


def _record(outcome: _Outcome, path: Path) -> dict[str, Any]:
    receipt, dispute, repeated = outcome.receipt, outcome.dispute, outcome.repeated
    records = receipt.records()
    return {
        "receipt": str(path),
        "verified": not outcome.wrong,
        "job": receipt.job.to_json(),
        "records": len(records),
        "workers": len({record.worker for record in records}),
        "findings": [asdict(each) for each in outcome.findings],
        "reexecuted": asdict(repeated) if repeated is not None else None,
        "dispute": {
            **asdict(dispute),
            "verdict": dispute.verdict.name.lower(),
            "spans": [str(span) for span in dispute.spans],
        }
        if dispute is not None
        else None,
        "otherFindings": [asdict(each) for each in outcome.of_other],
        "page": outcome.page,
        "notChecked": _not_checked(outcome),
    }


def _print(outcome: _Outcome, against: Path | None) -> None:
    receipt, job = outcome.receipt, outcome.receipt.job
    records = receipt.records()
    print_out(f"receipt of job {job.job_id} ({job.name}), owner {job.owner}: {'FAILED' if outcome.wrong else 'verified'}")
    workers = len({record.worker for record in records})
    lines = {
        "records": f"signatures of {_count(workers, 'worker')} on {_count(len(records), 'record')}, and of the owner",
        "ordered by": f"{job.order.client}, who has signed the order" if job.order is not None else _UNSIGNED,
        "job": f"{_count(job.segments, 'segment')}, {_count(job.chunks, 'chunk')}, {job.fuel:,} fuel",
        "result": f"{_count(job.result_size, 'byte')}, SHA-256 {job.result_sha256}",
        "executed again": _repeated_in_words(outcome.repeated, job.checking.tolerance),
    }
    if against is not None:
        lines["dispute"] = _dispute_in_words(outcome, against)
    if outcome.page is not None:
        lines["page"] = _page_in_words(outcome.page)
    lines["not checked"] = "; ".join(_not_checked(outcome))
    for name, text in lines.items():
        print_out(f"  {name:<15} {text}")
    for line in outcome.wrong[:_SHOWN_MAX]:
        print_out(f"  wrong           {line}")
    if len(outcome.wrong) > _SHOWN_MAX:
        print_out(f"  wrong           … and {len(outcome.wrong) - _SHOWN_MAX:,} more")
    if outcome.repeated is not None and outcome.repeated.warning:
        say(f"warning: {outcome.repeated.warning}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _repeated_in_words(repeated: Repeated | None, tolerance: str) -> str:
    if repeated is None:
        return "0 records"
    what = f"{repeated.drawn:,} of {repeated.of:,} records" + (f", seed {repeated.seed}" if repeated.seed is not None else "")
    calls = ", ".join(f"{number:,} {function}" for function, number in repeated.calls.items())
    within = f"; what execute gives was compared within {tolerance}" if tolerance else ""
    return f"{what}; calls: {calls or 'none'}; {_count(len(repeated.differences), 'difference')}{within}"


def _dispute_in_words(outcome: _Outcome, against: Path) -> str:
    dispute = outcome.dispute
    if outcome.of_other:
        return f"none: {against} doesn't stand: {outcome.of_other[0]}"
    if dispute is None:
        return "not looked at"
    spans = f" about {', '.join(map(str, dispute.spans))}" if dispute.spans else ""
    executed = f" ({_count(dispute.calls, 'call')} executed again)" if dispute.calls else ""
    packed = f"; {_count(dispute.differently_packed, 'span')} packed differently" if dispute.differently_packed else ""
    liars = "".join(f"; {each}" for each in (*dispute.others, *dispute.equivocations)[:_SHOWN_MAX])
    return f"{dispute.verdict}{spans}{executed}{packed}{liars}"


def _page_in_words(page: dict[str, Any]) -> str:
    from pangea.compute.model.units import human_bytes

    missing = f"; {page['missing']}" if page["missing"] else ""
    return f"{page['path']}, {human_bytes(page['bytes'])}; {_count(page['calls'], 'call')} can be run from it{missing}"


def _not_checked(outcome: _Outcome) -> list[str]:
    repeated, records = outcome.repeated, len(outcome.receipt.records())
    is_all = repeated is not None and repeated.seed is None
    left = [] if is_all else [f"whether {_count(records - _repeated_records(repeated), 'record')} are true"]
    if not outcome.has_result:
        left.append("the result itself (--result FILE)")
    return [*left, "the owner's own account of how it checked answers"]


def _repeated_records(repeated: Repeated | None) -> int:
    return 0 if repeated is None else sum(repeated.calls.values())
