"""The engines of all nodes: tasks take their time on a core, liars answer what they like, memory is limited."""

from __future__ import annotations

from typing import Final

from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskPacket, TaskResult, TaskStatus
from pangea.compute.orchestrator.core.commands import StartTask, StopTask
from pangea.compute.orchestrator.core.events import TaskExecuted
from pangea.compute.orchestrator.core.messages import Answers, Cancel, Delegate
from pangea.compute.orchestrator.judging.own_check import CHECK, PASSES, REFUSED
from pangea.compute.simulation.clock import Kind
from pangea.compute.simulation.node import Link, Node, Run
from pangea.compute.simulation.stage import Stage

#: Seconds that a task costs whatever is in it: a fresh sandbox (3 ms), and moving its bytes into it.
TASK_SECONDS: Final = 0.003


class Cores:
    """Starts, stops and ends executions."""

    def __init__(self, world: Stage) -> None:
        """Run the engines of a world."""
        self._world = world
        self._random = world.scenario.stream("executions")
        self.machine_failure: float = 0.0

    def start(self, node: Node, command: StartTask) -> None:
        """Execute a task as soon as a core is free."""
        run = Run(node, command.attempt, command.spec, command.packet)
        node.runs[command.attempt] = run
        if node.busy < node.cores:
            self._begin(run)
        else:
            node.waiting.append(run)

    def stop(self, node: Node, command: StopTask) -> None:
        """Stop an execution; what it has cost is lost."""
        run = node.runs.pop(command.attempt, None)
        if run is None:
            return
        if run.begun < 0.0:
            node.waiting.remove(run)
        else:
            self._free(run)

    def end(self, run: Run, _: None) -> None:
        """An execution has ended, if nobody has stopped it: tell its node."""
        node, world = run.node, self._world
        if node.runs.get(run.attempt) is not run or world.is_stalled(node, Kind.EXECUTED, run, None):
            return
        del node.runs[run.attempt]
        now = world.clock.now
        self._free(run)
        world.tally.executed(run.packet)
        world.trace.count(now, node.number, Kind.EXECUTED, run.attempt)
        world.note(node, "executed", run)
        world.tell(node, TaskExecuted(attempt=run.attempt, result=self._result(run, now - run.begun - run.fetching)))

    def lose(self, node: Node) -> None:
        """The machine dies, and all it was doing with it."""
        for run in node.runs.values():
            if run.begun >= 0.0:
                self._world.tally.stopped(max(0.0, self._world.clock.now - run.begun - run.fetching))
        node.runs.clear()
        node.waiting.clear()
        node.busy = 0

    def admit(self, node: Node, link: Link, message: Delegate | Cancel) -> Delegate | Cancel | None:
        """Of a batch, what the node's memory has room for; the rest is refused at once. None: nothing is left."""
        parent = link.source.peer
        if isinstance(message, Cancel):
            self.release(node, parent, list(message.attempts))
            return message
        taken: list[tuple[int, TaskPacket]] = []
        left: list[tuple[int, TaskPacket]] = []
        for number, packet in message.tasks:
            key = parent, number
            fits = node.held_bytes + packet.size_bytes <= node.memory or not node.held
            (taken if fits or key in node.held else left).append((number, packet))
            if fits and key not in node.held:
                node.held[key] = packet.size_bytes
                node.held_bytes += packet.size_bytes
        if left:
            self._refuse(node, link, left)
        return Delegate(spec=message.spec, budget=message.budget, tasks=tuple(taken)) if taken else None

    def release(self, node: Node, parent: PeerId, attempts: list[int]) -> None:
        """These tasks are off the node's hands."""
        for number in attempts:
            node.held_bytes -= node.held.pop((parent, number), 0)

    def _refuse(self, node: Node, link: Link, tasks: list[tuple[int, TaskPacket]]) -> None:
        results = tuple(
            (number, TaskResult(task_id=packet.task_id, status=TaskStatus.REFUSED, worker=node.peer, message="memory is full"))
            for number, packet in tasks
        )
        self._world.transmit(link.back, Kind.MESSAGE, Answers(results=results))

    def _begin(self, run: Run) -> None:
        node, world = run.node, self._world
        run.begun = now = world.clock.now
        if node.data:
            run.fetching = max(0.0, node.data.pop(run.packet.task_id, now) - now)
        node.busy += 1
        world.tally.begun()
        share = world.scenario.check_share if run.packet.function == CHECK else 1.0
        seconds = TASK_SECONDS + share * world.program.work(run.packet) / node.speed
        if node.liar is not None:
            run.deceit = node.liar.plan(run.packet)
            if run.deceit is not None:
                seconds *= run.deceit.effort
                if run.deceit.answer is None:
                    return  # nothing, ever
        world.clock.plan(now + run.fetching + min(seconds, run.spec.attempt_timeout), Kind.EXECUTED, run, None)

    def _free(self, run: Run) -> None:
        """A core is free: the next that waits for one begins."""
        node = run.node
        node.busy -= 1
        self._world.tally.stopped(max(0.0, self._world.clock.now - run.begun - run.fetching))
        if node.waiting:
            self._begin(node.waiting.popleft())

    def _result(self, run: Run, seconds: float) -> TaskResult:
        node, packet, deceit = run.node, run.packet, run.deceit
        failure: FailureKind | None = None
        if deceit is not None:
            assert deceit.answer is not None, "who withholds never ends"
            answer, failure = deceit.answer, deceit.failure
        elif seconds > run.spec.attempt_timeout - 1e-6:
            return self._failed(run, FailureKind.TIMED_OUT, seconds)
        elif self.machine_failure and self._random.random() < self.machine_failure:
            return self._failed(run, FailureKind.WORKER_LOST, seconds)
        elif packet.function == CHECK:
            return self._checked(run, seconds)
        else:
            answer = self._world.program.answer(packet)
        if failure is not None:
            return self._failed(run, failure, seconds)
        return TaskResult(
            task_id=packet.task_id,
            worker=node.peer,
            network=node.network,
            digest=answer.digest,
            leaves=answer.leaves,
            fuel=answer.fuel,
            seconds=seconds,
        )

    def _checked(self, run: Run, seconds: float) -> TaskResult:
        """What the job's own check says: it passes what is right, and nothing else."""
        value = self._world.program.value(run.packet.inputs[0])
        is_right = value is not None and not value.wrong
        return TaskResult(
            task_id=run.packet.task_id, worker=run.node.peer, digest=PASSES if is_right else REFUSED, fuel=1, seconds=seconds
        )

    @staticmethod
    def _failed(run: Run, failure: FailureKind, seconds: float) -> TaskResult:
        return TaskResult(
            task_id=run.packet.task_id,
            status=TaskStatus.FAILED,
            worker=run.node.peer,
            network=run.node.network,
            seconds=seconds,
            failure=failure,
            message=str(failure),
        )
