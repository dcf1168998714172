"""`pangea log`: the receipts that a node has given, in a log that only grows; and what others can check of it, offline."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from pangea.compute.cli.dashes import InputFile, Output
from pangea.compute.cli.records import AsJson, print_data, print_out, say_data, wants_json
from pangea.compute.cli.verify import signatures
from pangea.compute.cli.whole import Whole
from pangea.compute.model.errors import InputError, UnavailableError, UnverifiedError

if TYPE_CHECKING:
    from pangea.compute.node.storage.witnessed import Account, Witnessed
    from pangea.compute.verification.receipt_check import Finding
    from pangea.compute.verification.signed_note import Checkpoint


#: A note has no more signatures.
_WITNESSES_MAX = 100

app: App = App(name="log", help="Prove that a receipt is in its node's log, that the log has only grown; and check such proofs.")


@app.command
def prove(
    receipt: InputFile | None = None,
    *,
    since: str | None = None,
    cosigned: InputFile | None = None,
    data_dir: Path | None = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Write the proof that a receipt is in this machine's log (C2SP tlog-proof), or that the log has only grown.

    It leads to what most witnesses have signed of the log, if any have, else to what the log is now.

    Parameters
    ----------
    receipt
        The receipt's file.
    since
        In place of a receipt: file of an earlier checkpoint, or of a proof that has one, from which on growth is proved; or none.
    cosigned
        Another checkpoint of the log for the proof to lead to, as a witness has signed it (`pangea log cosign`).
    data_dir
        The node's data directory.
    output
        Where to write it [default: standard output].
    """
    from pangea.compute.cli.output import write_output
    from pangea.compute.cli.usage import UsageError

    if (receipt is None) == (since is None):
        raise UsageError("pangea log prove needs a receipt, or --since an earlier checkpoint", hint="one of the two")
    folder = _folder(data_dir)
    text = _inclusion(folder, receipt, cosigned) if receipt is not None else _growth(folder, since or "none")
    write_output(text.encode(), output, what="proof")
    if wants_json(as_json=as_json):
        say_data({"bytes": len(text.encode())})


@app.command
def check(
    proof: InputFile,
    receipt: InputFile | None = None,
    *,
    since: InputFile | None = None,
    owner: str | None = None,
    witness: list[str] | None = None,
    witnesses: Whole | None = None,
    as_json: AsJson = False,
) -> None:
    """Check a proof of `pangea log prove`, offline. Exit codes: 0 right, 2 usage or a missing file, 4 wrong.

    Parameters
    ----------
    proof
        Its file: that a receipt is in a log, or that a log has only grown; or a checkpoint, to compare with --since.
    receipt
        The receipt that it must be about; its signatures are `pangea verify`'s to check.
    since
        An earlier checkpoint, or a proof that has one, of the same log; without it growth is from nothing.
    owner
        Peer id of the node whose log it must be.
    witness
        Peer ids that must have seen the checkpoint: all of them, or as many as --witnesses says.
    witnesses
        How many must have seen it, the log's own node apart: of those that --witness names, if it does, else whoever they are.
    """
    from pangea.compute.cli.usage import UsageError
    from pangea.compute.verification.log_proof import checkpoint_in

    if witnesses is not None and not 1 <= witnesses <= (len(witness) if witness else _WITNESSES_MAX):
        most = f"{len(witness)}, as so many are named" if witness else f"{_WITNESSES_MAX}"
        raise UsageError(f"--witnesses is {witnesses:,}; it must be 1 to {most}")
    text = _read(proof)
    checkpoint = checkpoint_in(text)
    seen = checkpoint.witnesses(signatures())
    findings = [*_findings(text, receipt, since), *_demanded(checkpoint, owner, witness or [], witnesses, seen)]
    told = _told(text, checkpoint, seen, findings)
    print_data(told) if wants_json(as_json=as_json) else _print(told)
    if findings:
        raise UnverifiedError(f"the proof doesn't stand: {findings[0]}", findings=[str(each) for each in findings])


@app.command
def cosign(growth: InputFile, *, data_dir: Path | None = None, output: Output = None, as_json: AsJson = False) -> None:
    """As a witness, sign what another node's log is now, if it has only grown since this one has signed it last.

    Parameters
    ----------
    growth
        What `pangea log prove --since` wrote there: since the checkpoint that this node has signed last; at first, since none.
    data_dir
        This node's data directory: its key signs, and what it has signed is kept there.
    output
        Where to write the checkpoint with its signature [default: standard output].
    """
    from pangea.compute.cli.output import write_output
    from pangea.compute.network.identity import Identity
    from pangea.compute.node.service.daemon import KEY_NAME, data_folder
    from pangea.compute.node.storage.witnessed import Witnessed
    from pangea.compute.verification.log_proof import Growth

    folder = data_folder(_data_dir(data_dir))
    identity = Identity.load_or_create(folder / KEY_NAME)
    witnessed = Witnessed(folder, identity.peer_id, identity.sign, signatures())
    signed = witnessed.cosign(Growth.parse(_read(growth)), int(time.time())).text().encode()
    write_output(signed, output, what="checkpoint")
    if wants_json(as_json=as_json):
        say_data({"bytes": len(signed)})


@app.command
def witnessed(*, data_dir: Path | None = None, as_json: AsJson = False) -> None:
    """List the logs that this machine's node is a witness of, and what is to be said against them.

    Parameters
    ----------
    data_dir
        The node's data directory.
    """
    from pangea.compute.node.storage.witnessed import Witnessed

    kept = Witnessed(_data_dir(data_dir), "", lambda _: b"", signatures())
    rows = [_account(kept, each) for each in kept.accounts()]
    if wants_json(as_json=as_json):
        print_data({"logs": rows})
        return
    for row in rows:
        print_out(f"log of {row['log']}, {row['entries']:,} entries signed: {row['story'] or 'has only grown'}")
        if row["story"]:
            print_out(f"  shown    {row['shown_entries']:,} entries: pangea log check {row['shown']} --since {row['signed']}")
    print_out(f"{len(rows):,} logs")


@app.command
def export(folder: Path, *, data_dir: Path | None = None, as_json: AsJson = False) -> None:
    """Write this machine's log as files for any web server (C2SP tlog-tiles): checkpoint, tiles of hashes, entries.

    Parameters
    ----------
    folder
        Where to write them; what is there of an earlier time is brought up to date.
    data_dir
        The node's data directory.
    """
    from pangea.compute.node.storage.receipt_log import read_checkpoint, read_entries
    from pangea.compute.verification.tiles import tiles_of

    log = _folder(data_dir)
    checkpoint = read_checkpoint(log)
    files = tiles_of(read_entries(log, checkpoint.size)) | {"checkpoint": checkpoint.text().encode()}
    for name, data in files.items():  # the checkpoint last: it must not count what isn't there yet
        _write(folder / name, data)
    if wants_json(as_json=as_json):
        print_data({"entries": checkpoint.size, "files": len(files), "folder": str(folder)})
    else:
        print_out(f"{checkpoint.size:,} entries, {len(files):,} files in {folder}")


# What these share


def _data_dir(data_dir: Path | None) -> Path:
    from pangea.compute.cli.config import settings

    return settings({"data_dir": data_dir}, None)[0].data_dir


def _folder(data_dir: Path | None) -> Path:
    from pangea.compute.node.storage.receipt_log import CHECKPOINT, FOLDER

    folder = _data_dir(data_dir) / FOLDER
    if not (folder / CHECKPOINT).is_file():
        raise UnavailableError(f"there is no log of receipts in {folder}", hint="--data-dir of a node that has given a receipt")
    return folder


def _read(path: Path) -> str:
    from pangea.compute.verification.log_proof import PROOF_BYTES_MAX

    try:
        with open(path, "rb") as file:
            data = file.read(PROOF_BYTES_MAX + 1)
        if len(data) > PROOF_BYTES_MAX:
            raise UnverifiedError(f"{path} has more than {PROOF_BYTES_MAX:,} bytes, which no proof has")
        return data.decode()
    except OSError as error:
        from pangea.compute.client.receipts.receipt_inputs import unreadable

        raise unreadable(path, str(path), error) from error
    except UnicodeDecodeError as error:
        raise UnverifiedError(f"{path} is no text") from error


def _inclusion(folder: Path, path: Path, cosigned: Path | None) -> str:
    from pangea.compute.client.receipts.materials import read_receipt
    from pangea.compute.node.storage.receipt_log import read_entries
    from pangea.compute.verification import merkle
    from pangea.compute.verification.log_proof import LogProof, checkpoint_in, entry_of, job_of

    receipt = read_receipt(path)
    entry = entry_of(receipt)
    checkpoint = _witnessed_best(folder, entry) if cosigned is None else checkpoint_in(_read(cosigned))
    entries = read_entries(folder, checkpoint.size)
    if merkle.root(entries) != checkpoint.root:
        raise UnverifiedError(f"{cosigned or folder} is no checkpoint of the log in {folder}", hint="--data-dir of its node")
    if entry not in entries:
        other = "another receipt of its job is" if any(job_of(each) == receipt.job.job_id for each in entries) else "it isn't"
        raise UnverifiedError(f"{other} in the log of {checkpoint.peer}: {path}", hint="the receipt as the job's owner gave it")
    index = entries.index(entry)
    return LogProof(entry=entry, index=index, path=merkle.path(entries, index), checkpoint=checkpoint).text()


def _witnessed_best(folder: Path, entry: bytes) -> Checkpoint:
    """What most witnesses have signed of the log, the entry included; what the log is now, if none has."""
    from pangea.compute.node.storage.cosigned import Cosigned
    from pangea.compute.node.storage.receipt_log import read_checkpoint, read_entries
    from pangea.compute.verification import merkle

    now = read_checkpoint(folder)
    entries = read_entries(folder, now.size)
    if entry not in entries:
        return now
    best = Cosigned(folder).best(entries.index(entry) + 1)
    return next((each for each in best if each.size <= now.size and merkle.root(entries[: each.size]) == each.root), now)


def _growth(folder: Path, since: str) -> str:
    from pangea.compute.node.storage.receipt_log import read_checkpoint, read_entries
    from pangea.compute.verification.log_proof import Growth, checkpoint_in
    from pangea.compute.verification.merkle import consistency

    checkpoint = read_checkpoint(folder)
    old = 0 if since == "none" else checkpoint_in(_read(Path(since))).size
    if old > checkpoint.size:
        raise UnverifiedError(f"the log in {folder} has {checkpoint.size:,} entries; the earlier checkpoint counts {old:,}")
    proof = consistency(read_entries(folder, checkpoint.size), old)
    return Growth(old=old, proof=proof, checkpoint=checkpoint).text()


def _findings(text: str, receipt: Path | None, since: Path | None) -> list[Finding]:
    from pangea.compute.cli.usage import UsageError
    from pangea.compute.client.receipts.materials import read_receipt
    from pangea.compute.verification.log_proof import Growth, LogProof, checkpoint_in, nothing_before
    from pangea.compute.verification.receipt_check import Finding

    if not text.startswith("old "):
        before, now = None if since is None else checkpoint_in(_read(since)), checkpoint_in(text)
        if now.text() == text and receipt is None and before is not None:
            unsigned = [each.peer for each in (before, now) if not each.is_signed(signatures())]
            found = [Finding("checkpoint", f"{peer} didn't sign it") for peer in unsigned]
        else:
            found = LogProof.parse(text).findings(signatures(), None if receipt is None else read_receipt(receipt))
        if before is None or found:
            return found
        if (before.peer, before.size) == (now.peer, now.size) and before.root != now.root:
            return [*found, Finding("checkpoint", f"{now.peer} signed two roots for {now.size:,} entries: two stories")]
        if before.body() != now.body():
            raise UsageError("--since needs a proof of growth between the two checkpoints", hint="pangea log prove --since there")
        return found
    if receipt is not None:
        raise UsageError("a proof of growth is about no receipt", hint="pangea log check PROOF RECEIPT needs the receipt's proof")
    growth = Growth.parse(text)
    return growth.findings(signatures(), nothing_before(growth.checkpoint.peer) if since is None else checkpoint_in(_read(since)))


def _demanded(
    checkpoint: Checkpoint, owner: str | None, named: list[str], count: int | None, seen: dict[str, int]
) -> list[Finding]:
    from pangea.compute.verification.receipt_check import Finding

    found = [] if owner in (None, checkpoint.peer) else [Finding("log", f"it is {checkpoint.peer}'s, not {owner}'s")]
    if count is None:
        return [*found, *(Finding("witness", f"{peer} has not signed the checkpoint") for peer in named if peer not in seen)]
    fit = [peer for peer in seen if peer != checkpoint.peer and (not named or peer in named)]
    if len(fit) < count:
        of_those = f" of the {len(named)} named" if named else ""
        found.append(Finding("witnesses", f"{len(fit)}{of_those} have signed the checkpoint, and {count} must have"))
    return found


def _account(kept: Witnessed, account: Account) -> dict[str, Any]:
    signed, shown = kept.paths(account.signed.peer)
    told: dict[str, Any] = {"log": account.signed.peer, "entries": account.signed.size, "story": "", "signed": str(signed)}
    if account.shown is not None and account.story is not None:
        told |= {"story": str(account.story), "shown_entries": account.shown.size, "shown": str(shown)}
    return told


def _told(text: str, checkpoint: Checkpoint, seen: dict[str, int], findings: list[Finding]) -> dict[str, Any]:
    from pangea.compute.verification.log_proof import Growth, LogProof, job_of

    told: dict[str, Any] = {"verified": not findings, "log": checkpoint.peer, "entries": checkpoint.size}
    if text.startswith("old "):
        told["since"] = Growth.parse(text).old
    elif text != checkpoint.text():
        proof = LogProof.parse(text)
        told |= {"job": job_of(proof.entry), "index": proof.index}
    witnesses = {peer: datetime.fromtimestamp(seconds, UTC).isoformat() for peer, seconds in seen.items() if seconds < 1 << 36}
    count = sum(peer != checkpoint.peer for peer in witnesses)
    return told | {"witnesses": witnesses, "witness_count": count, "findings": [str(each) for each in findings]}


def _print(told: dict[str, Any]) -> None:
    what = "its checkpoint, as it was known"
    if "job" in told:
        what = f"job {told['job']} is entry {told['index']:,}"
    elif "since" in told:
        what = f"it has only grown since entry {told['since']:,}"
    stands = "verified" if told["verified"] else "FAILED"
    seen_by = f", seen by {told['witness_count']:,} witnesses" if told["witness_count"] else ", seen by no witness"
    print_out(f"log of {told['log']}, {told['entries']:,} entries: {what}: {stands}{seen_by}")
    for peer, seen in told["witnesses"].items():
        print_out(f"  seen     {seen} by {peer}")
    for line in told["findings"]:
        print_out(f"  wrong    {line}")


def _write(path: Path, data: bytes) -> None:
    from pangea.compute.engine.files import new_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path, 0o644) as file:
            file.write(data)
    except OSError as error:
        raise InputError(f"{path} can't be written: {(error.strerror or str(error)).lower()}", path=str(path)) from error
