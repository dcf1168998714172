"""Names of things, as types of their own: a job's name can't be passed where a peer's is meant."""

from __future__ import annotations

from typing import Literal, NewType

#: A libp2p peer id (`12D3KooW…`): the node that holds this key.
PeerId = NewType("PeerId", str)
#: A UUID.
JobId = NewType("JobId", str)
#: `<job>:<index of its first chunk>` for execute, `<job>:m<level>.<index>` for a merge step.
TaskId = NewType("TaskId", str)

#: What a job may define.
Function = Literal["split", "execute", "merge"]
