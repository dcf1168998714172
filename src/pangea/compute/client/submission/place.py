"""What is asked for when a job is submitted: where it is to run, on what, and who hears how far it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pangea.compute.client.definition.any_job import AnyJob
from pangea.compute.client.submission.accounts import RunAccount, RunBook
from pangea.compute.model.errors import ManifestError
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import Progress

OnProgress = Callable[[Progress], None]
OnPrint = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job is to run.

    Attributes:
        node: address of a node, or a client of it; None: PANGEA_NODE, else this process.
        on_node_lost: "error" or "local".
        identity: key file for nodes over TCP.
        verify: whether all of it is executed again on this machine, and compared.
        on_print: is told what the job's functions print, while it runs; None: nobody is.
        engine: what runs it instead of a node, as `connecting.engine_of` takes it; None: this machine.
        book: where runs of this process are written down, for whoever looks at them; None: nowhere.
    """

    node: Any = None
    on_node_lost: str = "error"
    identity: str | os.PathLike[str] | None = None
    verify: bool = False
    engine: Any = None
    on_print: OnPrint | None = None
    book: RunBook | None = None

    def account(self, name: str, options: JobOptions) -> RunAccount:
        """The account of a run of this process that is about to begin, in the book if there is one."""
        account = RunAccount(name, options)
        if self.book is not None:
            self.book.add(account)
        return account

    @property
    def is_node(self) -> bool:
        """Whether a node is to run it.

        Raises:
            ManifestError: a node is named, and an engine, too.
        """
        if self.engine is not None and self.node is not None:
            hint = "leave one out: a node has an engine of its own (pangea node start --engine)"
            raise ManifestError("both a node and an engine are named", hint=hint, field="engine")
        return self.engine is None and (self.node is not None or bool(os.environ.get("PANGEA_NODE")))


@dataclass(frozen=True, slots=True)
class Submission:
    """One run of a job, as it was asked for.

    Attributes:
        job: what is to run.
        input_data: on what, as `submit_job` takes it.
        options: the job's own and the caller's, resolved.
        place: where.
        on_progress: hears how far it is; None: nobody does.
        is_cancelled: asked ten times a second whether the caller has given up.
    """

    job: AnyJob
    input_data: Any
    options: JobOptions
    place: Place
    on_progress: OnProgress | None
    is_cancelled: Callable[[], bool]
