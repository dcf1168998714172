"""Every bound and every wait of the orchestrator, by name. Seconds are virtual or real: whatever `now` counts."""

from __future__ import annotations

#: Hops below the owner (design, section 6).
DEPTH_MAX = 8
#: Children that one node uses for one job.
FAN_OUT_MAX = 64
#: Jobs a node holds at once, its own and its parents'.
JOBS_MAX = 1_000
#: Tasks a node holds for its parents before it refuses more.
DELEGATED_TASKS_MAX = 10_000
#: Children a node has at once; a swarm of keys may knock.
CHILDREN_MAX = 4_096
#: Tasks that a child gets before it has answered any.
SLOW_START = 256
#: Of a child's cores, so many count before it has answered at all.
CORES_UNSEEN = 8
#: A task that a child which has never answered has had for so long goes to no other such child, in seconds.
UNPROVEN_SECONDS = 1.0
#: Tasks in one `Delegate`, results in one `Answers`.
BATCH_MAX = 512
#: Workers that a parent may name whose answers to a job don't count; of more the latest.
SHUNNED_MAX = 1_000
#: Predicted seconds above which a node delegates (design, section 6).
THRESHOLD_SECONDS = 2.0
#: A task should last about this long.
TASK_SECONDS = 1.0
#: A node speaks to its parents at least this often: a bit more than a task's length, so that answers do for beats …
BEAT_SECONDS = 1.25
#: … or, while there is nothing to do, at least this often …
IDLE_BEAT_SECONDS = 3.0
#: … and is taken for lost after this long: eight beats, so that a lost message or two mean nothing.
LEASE_SECONDS = 10.0
#: How often a node that waits for others looks for what is late.
CHECK_SECONDS = 0.25
#: How long a manager gathers results before it passes them on: hides in the round trip, saves messages.
FLUSH_SECONDS = 0.05
#: A child silent for this long gets its work done elsewhere: local fallback within 2 s (design) less one check.
SUSPECT_SECONDS = 1.5
#: A backup copy is made of a task that takes this many times as long as usual, and at least so many seconds.
BACKUP_FACTOR = 2.0
BACKUP_SECONDS_MIN = 1.0
#: Copies of one task under way at once that aren't overdue, the first included; and in all.
COPIES_MAX = 2
COPIES_MAX_IN_ALL = 4
#: An attempt is overdue that takes this many times as long as this child usually does, and at least so many seconds.
OVERDUE_FACTOR = 4.0
OVERDUE_SECONDS_MIN = 4.0
#: After so many sealed answers in a row that others had to give in its place, a child is asked for none for so long.
LAPSES_MAX = 3
LAPSE_SECONDS = 30.0
#: Whoever has committed to an answer has so long to show it when asked, or as long as a task takes if that is more, for each
#: level of the tree below, and two round trips.
REVEAL_SECONDS_MIN = 1.0
#: The results of an answer that was shown have twice that to get here, and the time that so much takes at this pace.
COMING_BYTES_PER_SECOND = 64 << 10
#: First wait before another try; doubles with each, up to the maximum. Jitter is 50 % either way.
BACKOFF_SECONDS = 0.25
BACKOFF_SECONDS_MAX = 8.0
#: A manager hands back a task after this long that nobody below it may execute.
STUCK_SECONDS = 2.0
#: A child that refused work gets none for this long.
REFUSED_SECONDS = 1.0
#: Tries by a manager in the middle: beyond, the failure is its parent's to handle.
MANAGER_TRIES_MAX = 2
#: Queue entries looked at for one that suits a peer.
SCAN_MAX = 8
#: Tasks below target that the report names one by one.
REPORTED_TASKS_MAX = 100
#: Workers further below that a manager remembers the way to.
WAYS_MAX = 10_000
