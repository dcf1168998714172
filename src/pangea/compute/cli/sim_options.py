"""The options of `pangea sim`: the fields of a scenario, in words a user types."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from pangea.compute.cli.whole import Whole
from pangea.compute.model.errors import ManifestError
from pangea.compute.model.quantities import parse_duration, parse_size

if TYPE_CHECKING:
    from pangea.compute.simulation.scenario import Scenario

_JOB, _NODES, _NETWORK = Group("Job", sort_key=1), Group("Nodes", sort_key=2), Group("Network", sort_key=3)
_LIARS, _FAULTS = Group("Liars", sort_key=4), Group("Faults", sort_key=5)
_Job, _Nodes, _Network = Parameter(group=_JOB), Parameter(group=_NODES), Parameter(group=_NETWORK)
_Liars, _Faults = Parameter(group=_LIARS), Parameter(group=_FAULTS)
_Flag = Parameter(group=_JOB, negative="")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SimOptions:
    """A scenario's fields as options. Durations take units (20ms, 1.5s), sizes too (256, 64KiB); shares are 0 to 1."""

    nodes: Annotated[Whole | None, _Nodes] = None
    "Machines, the job's owner included [default: 100]."
    cores: Annotated[Whole | None, _Nodes] = None
    "Cores of each machine but the owner [default: 1]."
    owner_cores: Annotated[Whole | None, _Nodes] = None
    "Cores of the owner [default: 16]."
    speed_spread: Annotated[float | None, _Nodes] = None
    "How many times faster the fastest machine is than the slowest [default: 1]."
    memory_bytes: Annotated[str | None, _Nodes] = None
    "Bytes of tasks that a machine holds for others; 0: no limit [default: 0]."
    fan_out: Annotated[Whole | None, _Nodes] = None
    "Children of each machine in the tree, up to 64; 0: as few levels as 64 would need [default: 0]."
    chunks: Annotated[Whole | None, _Job] = None
    "Chunks of the job [default: 10000]."
    chunk_seconds: Annotated[str | None, _Job] = None
    "Time that a chunk costs on a core of speed 1 [default: 0.1]."
    chunk_spread: Annotated[float | None, _Job] = None
    "How many times dearer the dearest chunk is than the cheapest [default: 1]."
    chunk_bytes: Annotated[str | None, _Job] = None
    "Size of a chunk [default: 256]."
    result_bytes: Annotated[str | None, _Job] = None
    "Size of a chunk's result [default: 32]."
    batches: Annotated[Whole | None, _Job] = None
    "Pieces that the chunks come in, as if cut from a long input [default: 1]."
    associative: Annotated[bool | None, _Flag] = None
    "The job's merge may be applied early, to groups of neighbouring results."
    verification: Annotated[str | None, _Job] = None
    "How results are checked: none, hash, redundancy, merkle or adaptive [default: adaptive]."
    confidence: Annotated[float | None, _Job] = None
    "Target probability that a task's result is right [default: 0.999]."
    redundancy: Annotated[Whole | None, _Job] = None
    "Votes per task under redundancy, 1 to 7 [default: 2]."
    retry_count: Annotated[Whole | None, _Job] = None
    "Tries of a task after the first, when machines fail [default: 3]."
    attempt_timeout: Annotated[str | None, _Job] = None
    "Time for one attempt at a task; 0: 30s, or more if chunks are that dear [default: 0]."
    check_share: Annotated[float | None, _Job] = None
    "Cost of the job's own check of a result, as a share of executing it; 0: it has none [default: 0]."
    latency: Annotated[str | None, _Network] = None
    "Time one way between regions, on average; a tenth of it within a region [default: 20ms]."
    jitter: Annotated[float | None, _Network] = None
    "Share by which latencies vary [default: 0.1]."
    regions: Annotated[Whole | None, _Network] = None
    "Regions that the machines are in [default: 4]."
    bandwidth: Annotated[str | None, _Network] = None
    "Bytes a second of a machine, each way; the owner has ten times as much [default: 125MB]."
    malicious: Annotated[float | None, _Liars] = None
    "Share of machines that lie [default: 0]."
    liars: Annotated[str | None, _Liars] = None
    "Kinds of liars, with commas between [default: all kinds]."
    lie_rate: Annotated[float | None, _Liars] = None
    "How often those lie that don't always do [default: 0.3]."
    sleep_tasks: Annotated[Whole | None, _Liars] = None
    "Honest answers of a sleeper before its first lie [default: 60]."
    crash: Annotated[float | None, _Faults] = None
    "Share of machines whose process dies once; neighbours notice [default: 0]."
    power_loss: Annotated[float | None, _Faults] = None
    "Share of machines that fall silent once; nobody is told [default: 0]."
    crash_at: Annotated[float | None, _Faults] = None
    "When they die, all at once, as a share of the estimated run; 0: spread over it [default: 0]."
    restart_seconds: Annotated[str | None, _Faults] = None
    "Time after which a dead machine comes back; 0: never [default: 5s]."
    churn: Annotated[float | None, _Faults] = None
    "Share of machines that leave during the run; as many new ones come [default: 0]."
    loss: Annotated[float | None, _Faults] = None
    "Probability that a message is lost [default: 0]."
    duplicate: Annotated[float | None, _Faults] = None
    "Probability that a message arrives twice [default: 0]."
    reorder: Annotated[float | None, _Faults] = None
    "Probability that a message is overtaken by later ones [default: 0]."
    clogged: Annotated[float | None, _Faults] = None
    "Share of machines one of whose directions loses most messages for a while [default: 0]."
    partitions: Annotated[Whole | None, _Faults] = None
    "How often the machines fall into two halves that can't reach each other [default: 0]."
    partition_seconds: Annotated[str | None, _Faults] = None
    "How long each time, on average [default: 4s]."
    stragglers: Annotated[float | None, _Faults] = None
    "Share of machines that are ten times slower than the rest [default: 0]."
    stalls: Annotated[float | None, _Faults] = None
    "Share of machines that stand still once [default: 0]."
    stall_seconds: Annotated[str | None, _Faults] = None
    "How long, on average [default: 3s]."
    machine_failure: Annotated[float | None, _Faults] = None
    "Probability that an execution fails through the machine's fault [default: 0]."
    fault_seconds: Annotated[str | None, _Faults] = None
    "How long faults go on after the job's start; 0: as long as the run is estimated to take [default: 0]."
    check_every: Annotated[Whole | None, _Faults] = None
    "Assert all of a node's invariants at each so many events; 0: never [default: 0]."

    def scenario(self, seed: int, *, is_mix: bool) -> Scenario:
        """The scenario that these options describe; of a mix the one that the seed draws.

        Raises:
            ManifestError: a value is out of range, or an option that a mix draws itself was given.
        """
        from pangea.compute.simulation.faults import Faults
        from pangea.compute.simulation.scenario import Scenario, draw_scenario

        given = {name: value for name, value in self._values().items() if value is not None}
        if is_mix:
            if given:
                named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
                raise ManifestError(f"--mix draws everything from the seed, {named} too", hint="leave out one or the other")
            return draw_scenario(seed)
        of_faults = {f.name for f in fields(Faults)}
        faults = Faults(**{name: value for name, value in given.items() if name in of_faults})
        return Scenario(seed=seed, faults=faults, **{name: value for name, value in given.items() if name not in of_faults})

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for names, parse in ((_DURATIONS, parse_duration), (_SIZES, parse_size)):
            values |= {name: parse(values[name], name) for name in names if values[name] is not None}
        if self.bandwidth is not None:
            values["bandwidth"] = float(values["bandwidth"])
        if self.liars is not None:
            values["liars"] = tuple(kind.strip() for kind in self.liars.split(",") if kind.strip())
        return values


_DURATIONS = (
    *("chunk_seconds", "attempt_timeout", "latency", "restart_seconds", "partition_seconds", "stall_seconds"),
    "fault_seconds",
)
_SIZES = ("memory_bytes", "chunk_bytes", "result_bytes", "bandwidth")


def replay_command(scenario: Scenario, *, is_mix: bool) -> str:
    """The command that runs this scenario again."""
    from pangea.compute.simulation.faults import Faults
    from pangea.compute.simulation.scenario import Scenario as Default
    from pangea.compute.simulation.scenario import changed

    words = ["pangea", "sim", *(["--mix"] if is_mix else [])]
    if not is_mix:
        values = changed(scenario, Default()) | changed(scenario.faults, Faults())
        for name, value in values.items():
            if name not in ("seed", "faults"):
                words += _words(f"--{name.replace('_', '-')}", value)
    return " ".join([*words, "--seed", str(scenario.seed)])


def _words(option: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [option]
    if isinstance(value, tuple):
        return [option, ",".join(value)]
    if isinstance(value, float) and value.is_integer():
        return [option, str(int(value))]
    return [option, str(value)]
