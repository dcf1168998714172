"""What everything in a world shares: who is there, what time it is, what has been counted, and how news and messages get about.

The world itself (`world`) decides what happens to them; cores and members see no more than this of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.core.events import Event
from pangea.compute.orchestrator.core.messages import Message
from pangea.compute.simulation.answers import Program
from pangea.compute.simulation.clock import Clock, Kind
from pangea.compute.simulation.figures import Tally
from pangea.compute.simulation.liars import Gossip
from pangea.compute.simulation.network import Network
from pangea.compute.simulation.node import Link, Node
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.simulation.trace import Trace


class Stage(ABC):
    """The nodes of one run, and what they have in common."""

    def __init__(self, scenario: Scenario, program: Program, trace: Trace) -> None:
        """A stage without nodes."""
        self.scenario = scenario
        self.program = program
        self.trace = trace
        self.clock: Clock = Clock()
        self.network: Network = Network(scenario)
        self.tally: Tally = Tally()
        self.gossip: Gossip = Gossip(plot=scenario.seed)
        self.nodes: list[Node] = []
        self.by_peer: dict[PeerId, Node] = {}

    @abstractmethod
    def tell(self, node: Node, event: Event) -> None:
        """Hand an event to a node, and carry out what it wants."""

    @abstractmethod
    def transmit(self, link: Link, event: Kind, message: Message) -> None:
        """Put a message on its way."""

    @property
    def owner(self) -> Node:
        """Whose job it is."""
        return self.nodes[0]

    def note(self, node: Node, what: str, subject: Any = None) -> None:
        """Keep a line of the trace."""
        self.trace.note(self.clock.now, node.number, what, subject)

    def is_stalled(self, node: Node, kind: Kind, subject: Any, what: Any) -> bool:
        """Whether a node stands still; then the event waits until it doesn't."""
        if node.stalled_until <= self.clock.now:
            return False
        node.deferred.append((kind, subject, what))
        return True
