"""`pangea job plot` and `pangea job report`: a job on a node in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pangea.compute.cli.dashes import OutputFile
from pangea.compute.cli.job_selectors import Selector, find
from pangea.compute.cli.node_options import NodeOptions
from pangea.compute.cli.records import AsJson, say_data, wants_json
from pangea.compute.cli.run_files import WHATS, Plot, check_report, scaled, write_report
from pangea.compute.cli.usage import UsageError
from pangea.compute.model.errors import ConfigError, UnknownJobError
from pangea.compute.model.limits import nearest
from pangea.compute.pictures.values.options import Scale

if TYPE_CHECKING:
    from pangea.compute.client.submission.handle import JobHandle
    from pangea.compute.pictures.runs.facts import RunFacts


def plot(
    selector: Selector,
    *what_and_file: str,
    scale: Scale | None = None,
    node: NodeOptions | None = None,
    as_json: AsJson = False,
) -> None:
    """Draw a job: `pangea job plot last timeline FILE.png`, or .svg, or .html.

    Parameters
    ----------
    what_and_file
        tree (who did what), timeline, throughput, fuel or result, and the file; without the first, a file called tree.png is the
        tree, and so on, and any other the result's picture.
    scale
        How the result's picture has its amounts: evenly, or by powers of ten (log).
    """
    (drawn,) = scaled([_plot_of(what_and_file)], scale, "--scale")
    drawn.check("plot")
    with _kept_by_a_node(), (node or NodeOptions()).client() as client:
        handle = find(client, selector)
        drawn.draw(_facts(handle), handle.result() if drawn.what == "result" else None)
    if wants_json(as_json=as_json):
        say_data({"job_id": handle.job_id, "what": drawn.what, "path": str(drawn.path)})


def report(selector: Selector, file: OutputFile, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Write all about a job, with its pictures, into one page that opens with no network.

    Parameters
    ----------
    file
        The page: FILE.html.
    """
    check_report(file, "report")
    with _kept_by_a_node(), (node or NodeOptions()).client() as client:
        handle = find(client, selector)
        facts = _facts(handle)
        write_report(file, facts, handle.result() if facts.report is not None else None)
    if wants_json(as_json=as_json):
        say_data({"job_id": handle.job_id, "path": str(file)})


def _plot_of(words: tuple[str, ...]) -> Plot:
    if len(words) == 1:
        return Plot.of(words[0])
    if len(words) != 2 or words[0] not in WHATS:
        near = nearest(words[0], [*WHATS]) if words else None
        hint = f"did you mean {near!r}?" if near and near != words[0] else f"WHAT is {', '.join(WHATS)}"
        raise UsageError("plot takes a job, what to draw, and a file: pangea job plot last timeline FILE.png", hint=hint)
    return Plot(words[0], Path(words[1]))


def _facts(handle: JobHandle) -> RunFacts:
    from pangea.compute.pictures.runs.facts import RunFacts

    return RunFacts.of_handle(handle)


@contextmanager
def _kept_by_a_node() -> Iterator[None]:
    """Who looks here for a job that ran without a node is told where its pictures come from."""
    try:
        yield
    except (UnknownJobError, ConfigError) as error:
        note = "a job that ran without a node is kept nowhere: pangea run --report FILE.html --plot FILE.png JOB"
        raise type(error)(error.message, hint=f"{error.hint}; {note}" if error.hint else note, **error.details) from error
