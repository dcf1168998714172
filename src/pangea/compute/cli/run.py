"""`pangea run`: one job, start to result, on the engine inside this process or on a node."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from pangea.compute.cli.console import ProgressDisplay, say
from pangea.compute.cli.dashes import Output, OutputFile
from pangea.compute.cli.job_files import Inputs, JobFile, Own, open_job
from pangea.compute.cli.manifest_options import ManifestOptions
from pangea.compute.cli.node_options import NodeOptions
from pangea.compute.cli.output import check_apart, check_output, check_unread, is_stdout, write_output, write_result
from pangea.compute.cli.records import AsJson, say_data, wants_json
from pangea.compute.cli.run_files import Plot, check_report, scaled, write_report
from pangea.compute.cli.usage import options_of
from pangea.compute.model.errors import PangeaError, UnverifiedError
from pangea.compute.model.report import Report
from pangea.compute.pictures.values.options import Scale

if TYPE_CHECKING:
    from pangea.compute.client.results.result import Result
    from pangea.compute.pictures.runs.facts import RunFacts


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Leave:
    """What a run leaves beside its result."""

    plot: Annotated[list[str], Parameter(negative="")] = field(default_factory=list)
    """[WHAT:]FILE: draw a picture into FILE.png, .svg or .html. WHAT is result, tree (who did what), timeline, throughput or
    fuel; without it a FILE called tree.png is the tree, and so on, and any other the result's picture. Several may be given."""
    plot_scale: Scale | None = None
    """How the result's picture has its amounts: evenly, or by powers of ten (log); without it evenly, and a line in the picture
    offers the other where one amount dwarfs all others."""
    report: OutputFile | None = None
    "Write all about the run, with its pictures, into one page (.html) that opens with no network; of a job that fails, too."
    receipt: OutputFile | None = None
    "On a node: write the job's receipt to this file, for `pangea verify`."

    def plots(self, output: Path | None, read: Sequence[str]) -> list[Plot]:
        """The pictures to draw, once it is clear that all can be written, and `output`, with nothing of `read` replaced.

        Raises:
            PangeaError: one couldn't.
        """
        check_output(output)
        plots = scaled([Plot.of(text) for text in self.plot], self.plot_scale, "--plot-scale")
        for plot in plots:
            plot.check("--plot")
        check_report(self.report, "--report")
        check_output(self.receipt, "--receipt")
        outputs = {"--output": output, "--report": self.report, "--receipt": self.receipt}
        check_apart(outputs)
        check_unread(outputs, read)
        for plot in plots:
            check_unread({"--plot": plot.path}, read)
        return plots


def run(
    target: str,
    *,
    input: Inputs = None,  # noqa: A002
    output: Output = None,
    verify: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    on_node_lost: Literal["error", "local"] = "error",
    engine: str | None = None,
    leave: Leave | None = None,
    node: NodeOptions | None = None,
    manifest: ManifestOptions | None = None,
    as_json: AsJson = False,
    **own: Own,
) -> None:
    """Run a job, on this machine or on a node, and write its result, and nothing else, to stdout.

    Progress, what the job printed, and a closing summary go to stderr. Exit codes: 0 ok, 1 the job failed, 2 usage or
    bad input, 3 the engine can't run here or the node can't be reached, 4 the result didn't verify (and isn't written), 5 a limit
    was exceeded, 130 interrupted, 143 terminated.

    Parameters
    ----------
    target
        A job file (job.py), one job of it (job.py:name), or a module (job.wasm).
    output
        Write the result to this file instead: it appears whole or not at all.
    verify
        Execute all of it again on this machine, in fresh sandboxes, and compare byte for byte; then have the job's own check look
        at the result, if its file has one (@Job.check).
    quiet
        No progress and no summary.
    follow
        Show what the job's functions print on stderr while it runs, a task (some packs of chunks) at a time, and not at its end.
    on_node_lost
        When the node can't be reached: error, or local, which runs the job on this machine and says so.
    engine
        Run it on a cluster that you have, sandboxed there as here: dask://host:8786, ray://host:10001, or ray for this machine's.
    """
    leave, as_json = leave or Leave(), wants_json(as_json=as_json)
    plots = leave.plots(output, [target, target.rpartition(":")[0], *(input or ())])
    keywords = (manifest or ManifestOptions()).keywords() | {"receipt": True if leave.receipt is not None else None}
    keywords["job_id"] = keywords["job_id"] or str(uuid.uuid4())  # so that its node can be asked about it, however it ends
    file = _able_to_fill(output, open_job(target, input, own, options_of(run)))
    ending = _Ending(file, node or NodeOptions(), keywords)
    try:
        with ProgressDisplay(quiet=quiet or as_json) as display:
            shown = _show if follow and not as_json else None
            result = _submit(file, ending, display, verify=verify, on_node_lost=on_node_lost, engine=engine, on_print=shown)
        verified = _verified(file, result) if verify else []
    except PangeaError as error:
        if leave.report is not None:
            write_report(leave.report, ending.facts_of_failure(error), None)
        raise
    write_result(result, output)
    _leave(leave, plots, ending, result, verified, input or [])
    _tell(result.report, verified, has_prints=not follow, as_json=as_json, is_quiet=quiet)


def _able_to_fill(output: Path | None, file: JobFile) -> JobFile:
    """The job file, if its result can be of the format that the output's ending names."""
    if output is not None and not is_stdout(output):
        from pangea.compute.client.results.file_formats import check_format

        check_format(output, file.job.result_kind.kind)
    return file


def _submit(file: JobFile, ending: _Ending, display: ProgressDisplay, **place: Any) -> Result:
    from pangea.compute.client.submission.submit import submit_job

    return submit_job(
        file.job,
        file.input_data,
        node=ending.node.address(),
        identity=ending.node.identity,
        on_progress=display.update,
        **place,
        **ending.keywords,
    )


def _verified(file: JobFile, result: Result) -> list[str]:
    """What was checked, one sentence each.

    Raises:
        UnverifiedError: the job's own check says no.
    """
    found = [result.report.verification]
    if file.hooks.check is not None:
        try:
            found.append(file.hooks.check_result(result, file.values))
        except UnverifiedError as error:
            error.report = result.report
            raise
    return found


def _leave(leave: Leave, plots: list[Plot], ending: _Ending, result: Result, verified: list[str], inputs: list[str]) -> None:
    if leave.receipt is not None:
        write_output(ending.receipt(result, inputs), leave.receipt, what="receipt")
    if leave.report is not None or plots:
        _draw(leave, plots, ending.facts(result, verified), result)


def _draw(leave: Leave, plots: list[Plot], facts: RunFacts, result: Result) -> None:
    """The report first: a picture that can't be drawn must not take it along."""
    if leave.report is not None:
        write_report(leave.report, facts, result)
    for plot in plots:
        plot.draw(facts, result)


@dataclass(frozen=True, slots=True)
class _Ending:
    """Finds out what is known of a run once it has ended."""

    file: JobFile
    node: NodeOptions
    keywords: dict[str, Any]

    def facts(self, result: Result, verified: list[str]) -> RunFacts:
        """Of a run that went well."""
        from pangea.compute.pictures.runs.facts import RunFacts

        if result.report.trace is not None:  # nobody else has one
            facts = RunFacts.of_report(result.report, name=self.file.job.name, options=self._options())
        else:
            with self.node.client() as client:
                facts = RunFacts.of_job(client, result.report.job_id)
            facts = facts.with_report(result.report, self.file.options)
        return facts.with_findings(verified[1:])

    def facts_of_failure(self, error: PangeaError) -> RunFacts:
        """Of a run that didn't: what its node says, if it was on one that can still be asked, else what came with the error."""
        from pangea.compute.pictures.runs.facts import RunFacts

        here = RunFacts.of_error(error, name=self.file.job.name, options=self._options())
        if here.trace.spans:
            return here
        try:
            with self.node.client() as client:
                return RunFacts.of_job(client, self.keywords["job_id"]).with_error(error)
        except PangeaError:  # there is no node, or it doesn't know the job: the error is told anyway
            return here

    def receipt(self, result: Result, inputs: list[str]) -> bytes:
        """The receipt, with where the inputs are, if they are files that will be there later."""
        from pangea.compute.client.receipts.materials import placed

        with self.node.client() as client:
            receipt = client.job(result.report.job_id).receipt()
        paths = [*map(Path, inputs)]
        return placed(receipt, paths) if paths and all(path.is_file() for path in paths) else receipt

    def _options(self) -> dict[str, Any]:
        chosen: dict[str, Any] = self.file.job.options(self.keywords).chosen()
        return self.file.options | chosen


def _show(text: str) -> None:
    say(text.removesuffix("\n"))


def _tell(report: Report, verified: list[str], *, has_prints: bool, as_json: bool, is_quiet: bool) -> None:
    if as_json:
        say_data({"report": report.to_json(), **({"verified": verified} if verified else {})})
    elif not is_quiet:
        _summarise(report, verified, has_prints=has_prints)


def _summarise(report: Report, verified: list[str], *, has_prints: bool) -> None:
    if report.prints and has_prints:
        say("printed by the job:\n" + report.prints.rstrip("\n"))
    say(str(report))
    for finding in verified[1:]:  # the report has said the first
        say(f"verified: {finding}")
