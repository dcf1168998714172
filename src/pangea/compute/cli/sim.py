"""`pangea sim`: a job on thousands of simulated machines, from a seed, with the real orchestrator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pangea.compute.cli.console import say
from pangea.compute.cli.dashes import OutputFile
from pangea.compute.cli.output import check_apart, check_output
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.cli.sim_options import SimOptions, replay_command
from pangea.compute.cli.whole import Whole
from pangea.compute.model.errors import OutputError
from pangea.compute.model.units import human_bytes

if TYPE_CHECKING:
    from pangea.compute.simulation.checkers import CheckError
    from pangea.compute.simulation.figures import Outcome
    from pangea.compute.simulation.scenario import Scenario
    from pangea.compute.simulation.trace import Trace

#: Lines of the trace shown when a checker is violated.
_TAIL_LINES = 30


def sim(
    *,
    seed: Whole = 0,
    mix: Annotated[bool, Parameter(negative="")] = False,
    plot: OutputFile | None = None,
    trace: OutputFile | None = None,
    as_json: AsJson = False,
    options: SimOptions | None = None,
) -> None:
    """Simulate a job on many machines, and say how long it takes, what it costs, and whether its result is right.

    The simulated machines run the real orchestrator; time, network, engines and misfortune are simulated, all from the seed:
    the same options give the same run. Figures go to stdout. Exit codes: 0 ok, 1 a checker is violated (the seed, a command
    that replays it and the last events are shown), 2 usage, 3 --plot needs matplotlib.

    Parameters
    ----------
    seed
        Everything drawn comes from this number.
    mix
        Draw the whole scenario from the seed: what the tests do.
    plot
        Draw curves over time into this file (.png, .svg or .pdf).
    trace
        Write a line per event to this file.
    """
    scenario = (options or SimOptions()).scenario(seed, is_mix=mix)
    check_output(trace, "--trace")
    check_apart({"the figures": Path("-"), "--trace": trace})
    check_output(plot, "--plot")
    if plot is not None:
        from pangea.compute.simulation.plot import check_plot, draw_plot

        check_plot(plot)
    as_json = wants_json(as_json=as_json)
    outcome = _simulate(scenario, trace, is_mix=mix, as_json=as_json)
    if as_json:
        print_data({"scenario": _describe(scenario), **outcome.to_json()})
    else:
        for line in _table(scenario, outcome):
            print_out(line)
        pace = outcome.events / max(outcome.wall_seconds, 1e-9)
        say(f"{outcome.virtual_seconds:,.0f} s simulated in {outcome.wall_seconds:.1f} s, {pace:,.0f} events a second")
    if plot is not None:
        draw_plot(scenario, outcome, plot)
        say(f"curves: {plot}")


def _simulate(scenario: Scenario, path: Path | None, *, is_mix: bool, as_json: bool) -> Outcome:
    """Run, with all that a violated checker calls for."""
    from pangea.compute.simulation.checkers import CheckError
    from pangea.compute.simulation.run import run
    from pangea.compute.simulation.trace import Trace

    with ExitStack() as stack:
        try:
            file = None if path is None else stack.enter_context(path.open("w", encoding="utf-8"))
        except OSError as error:
            raise OutputError(f"--trace {path} can't be written: {error.strerror}") from error
        trace = Trace(file)
        try:
            return run(scenario, trace=trace)
        except CheckError as error:
            raise _account(error, trace, replay_command(scenario, is_mix=is_mix), scenario, as_json=as_json) from error.__cause__


def _account(error: CheckError, trace: Trace, command: str, scenario: Scenario, *, as_json: bool) -> CheckError:
    """Show what led to a violation, and complete the error."""
    lines = trace.tail()[-_TAIL_LINES:]
    if not as_json:
        say("\n".join(["last events:", *lines, f"seed: {scenario.seed}", f"replay: {command}"]))
    error.hint = f"run it again: {command}"
    error.details |= {"seed": scenario.seed, "command": command, "trace": lines}
    return error


def _table(scenario: Scenario, outcome: Outcome) -> Iterator[str]:
    ideal, verified, makespan = outcome.ideal_seconds, outcome.verified_ideal_seconds, outcome.makespan_seconds
    yield f"scenario: {_describe(scenario)}"
    yield f"end: {outcome.end}"
    yield f"makespan: {makespan:.3f} s"
    yield f"ideal: {ideal:.3f} s unchecked ({_times(makespan, ideal)}), {verified:.3f} s checked ({_times(makespan, verified)})"
    yield f"utilisation: {100 * outcome.utilisation:.1f} %"
    yield f"tree: depth {outcome.tree_depth}, used to depth {outcome.depth} of 8; fan-out {outcome.fan_out} of 64"
    yield f"messages: {outcome.messages:,}, {human_bytes(outcome.message_bytes)}"
    yield f"messages per chunk: {outcome.messages_per_chunk:.3f}, {outcome.bytes_per_chunk:,.0f} bytes"
    yield f"tasks: {outcome.tasks:,}, {outcome.chunks / max(1, outcome.tasks):.1f} chunks each"
    yield f"executions: {outcome.executions:,}, merge steps: {outcome.merges:,}, checks of the job's own: {outcome.checks:,}"
    yield f"executions per chunk: {outcome.executions_per_chunk:.3f}"
    yield f"executions per task: {outcome.executions_per_task:.3f}"
    yield f"executed by the owner: {outcome.local:,}, of which audits: {outcome.audits:,}"
    yield f"disputes: {outcome.disputes:,}, withdrawn: {outcome.withdrawn:,}"
    yield f"retries: {outcome.retries:,}, backups: {outcome.backups:,}"
    yield f"wrong results accepted: {outcome.wrong_accepted}"
    yield f"bans: {outcome.banned_guilty:,} of {outcome.guilty:,} guilty keys, {outcome.banned_innocent:,} innocent"
    yield f"confidence: {_confidence(outcome)}"
    for note in outcome.notes:
        yield f"note: {note}"
    yield f"events: {outcome.events:,}"
    yield f"trace hash: {outcome.trace_hash}"


def _describe(scenario: Scenario) -> str:
    kinds = f", {100 * scenario.malicious:g} % malicious ({', '.join(scenario.kinds)})" if scenario.kinds else ""
    return (
        f"{scenario.nodes:,} nodes, {scenario.chunks:,} chunks of {scenario.chunk_seconds:g} s, {scenario.verification}"
        f"{kinds}, seed {scenario.seed}"
    )


def _times(seconds: float, ideal: float) -> str:
    return f"{seconds / ideal:.2f} times that" if ideal else "nothing to do"


def _confidence(outcome: Outcome) -> str:
    if outcome.confidence is None or outcome.lowest_confidence is None:
        return "nothing is said"
    below = f"below target: {outcome.below_target:,}"
    return f"{outcome.confidence:.6f} that all is right, lowest of a task {outcome.lowest_confidence:.6f}, {below}"
