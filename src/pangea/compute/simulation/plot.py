"""A run's curves as a picture: throughput, busy cores, executions per task, bans. matplotlib is loaded when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pangea.compute.model.errors import ManifestError, OutputError, UnavailableError
from pangea.compute.simulation.figures import Outcome, Sample
from pangea.compute.simulation.scenario import Scenario

#: Endings of files that matplotlib writes everywhere.
ENDINGS: Final = (".png", ".svg", ".pdf")
#: Samples over which throughput is smoothed.
_WINDOW: Final = 10
_INCHES, _DOTS_PER_INCH = (10.0, 7.0), 120


def check_plot(path: Path) -> None:
    """Find out before the run whether a picture could be drawn.

    Raises:
        ManifestError: the file's ending names no format.
        UnavailableError: matplotlib isn't installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ManifestError(f"plot is {str(path)!r}; its name must end in {', '.join(ENDINGS)}", hint=f"such as {path.stem}.png")
    _pyplot()


def draw_plot(scenario: Scenario, outcome: Outcome, path: Path) -> None:
    """Draw the curves of a run into a file.

    Raises:
        UnavailableError: matplotlib isn't installed.
        OutputError: the file can't be written.
    """
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(2, 2, figsize=_INCHES, sharex=True, layout="constrained")
    _draw(axes.flat, outcome)
    figure.suptitle(
        f"{scenario.nodes:,} nodes, {scenario.chunks:,} chunks, {scenario.verification}, seed {scenario.seed}:"
        f" {outcome.makespan_seconds:.1f} s, {outcome.executions_per_task:.2f} executions per task,"
        f" {outcome.wrong_accepted} wrong results accepted"
    )
    try:
        figure.savefig(path, dpi=_DOTS_PER_INCH)
    except OSError as error:
        raise OutputError(f"--plot {path} can't be written: {error.strerror or error}") from error
    finally:
        pyplot.close(figure)


def _draw(axes: Any, outcome: Outcome) -> None:
    throughput, busy, executions, bans = axes
    samples = outcome.samples
    seconds = [sample.seconds for sample in samples]
    throughput.plot(seconds, _rates(samples))
    throughput.set(title="throughput", ylabel="tasks answered a second", ylim=(0, None))
    busy.plot(seconds, [sample.busy for sample in samples], label="busy")
    busy.plot(seconds, [sample.cores for sample in samples], label="there", linestyle=":")
    busy.set(title="cores", ylim=(0, None))
    busy.legend()
    executions.plot(seconds, [sample.executions / sample.tasks if sample.tasks else 0.0 for sample in samples])
    executions.axhline(outcome.executions_per_task, linestyle=":", label="bought in the end")
    executions.set(title="executions per task answered", xlabel="seconds", ylim=(0, None))
    executions.legend()
    bans.step(seconds, [sample.bans for sample in samples], where="post")
    bans.set(title="keys banned", xlabel="seconds", ylim=(0, None))


def _rates(samples: Sequence[Sample]) -> list[float]:
    """Tasks answered a second, over the last few samples at each: answers come in waves, as long as a task."""
    rates = []
    for index, sample in enumerate(samples):
        before = samples[max(0, index - _WINDOW)]
        rates.append((sample.tasks - before.tasks) / max(sample.seconds - before.seconds, 1e-9) if index else 0.0)
    return rates


def _pyplot() -> Any:
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot
    except ImportError as error:
        raise UnavailableError(
            "--plot needs matplotlib, which isn't installed", hint="pip install 'pangea-compute[plot]'"
        ) from error
    return pyplot
