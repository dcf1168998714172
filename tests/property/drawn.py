"""Records for Hypothesis: any that the model allows."""

from __future__ import annotations

from hypothesis import strategies as st

from pangea.compute.model.errors import JobFailedError, QuotaError
from pangea.compute.model.ids import JobId
from pangea.compute.model.limits import Limits
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions, Locality, Priority, SplitStrategy, VerificationMode
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobStatus
from pangea.compute.model.units import GIB, MIB

COUNTS = st.integers(0, 2**62)
REALS = st.floats(0, 1e15)
TEXTS = st.text(st.characters(exclude_categories=["C"]), max_size=20)
NAMES = TEXTS.filter(str.isprintable).filter(bool)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
LIMITS = st.builds(
    Limits,
    fuel=st.integers(0, 10**15),
    memory=st.integers(64 << 10, 4 * GIB),
    time=st.floats(0, 7 * 24 * 3600) | st.integers(0, 100),
    chunk=st.integers(1, 64 * MIB),
    items=st.integers(1, 16 << 20),
)
_SIZES = st.tuples(st.integers(1, 64 * MIB), st.integers(1, 64 * MIB)).map(sorted)
_OPTIONS = st.fixed_dictionaries(
    {
        "split_strategy": st.sampled_from(SplitStrategy),
        "verification_mode": st.sampled_from(VerificationMode),
        "priority": st.sampled_from(Priority),
        "locality": st.sampled_from(Locality),
        "delimiter": st.binary(min_size=1, max_size=256),
        "timeout": st.integers(1, 7 * 24 * 3_600_000).map(lambda milliseconds: milliseconds / 1000),
        "retry_count": st.integers(0, 100),
        "redundancy": st.integers(1, 7),
        "confidence": st.floats(0.5, 0.999999999),
        "limits": LIMITS,
        "associative_merge": st.booleans(),
        "operation_type": st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True) | st.just(""),
        "estimated_flops": st.floats(0, 1e24),
        "job_id": st.uuids().map(str) | st.just(""),
    }
)
OPTIONS = st.builds(
    lambda values, sizes: JobOptions(min_chunk_size=sizes[0], max_chunk_size=sizes[1], **values), _OPTIONS, _SIZES
)
INLINE = st.builds(Content, st.binary(max_size=50))
BY_HASH = st.builds(Content, sha256=HASHES, size=COUNTS)
BY_PATH = st.builds(Content, path=NAMES)
#: Of manifests that travel; a module that is empty is none.
TRAVELLING = INLINE | BY_HASH
MODULES = st.builds(Content, st.binary(min_size=1, max_size=50)) | BY_HASH


def manifests(contents: st.SearchStrategy[Content]) -> st.SearchStrategy[JobManifest]:
    """Manifests with such inputs."""
    inputs = st.lists(contents, min_size=1, max_size=4).map(tuple)
    return st.builds(JobManifest, module=MODULES, inputs=inputs, options=OPTIONS, name=NAMES)


ERRORS = st.builds(QuotaError, TEXTS, hint=TEXTS, limit=COUNTS) | st.builds(
    JobFailedError,
    TEXTS,
    hint=TEXTS,
    traceback=TEXTS,
    function=st.sampled_from(["split", "execute", "merge"]),
    chunk_index=st.none() | COUNTS,
    fuel=COUNTS,
)
STATUSES = st.builds(
    JobStatus,
    job_id=st.uuids().map(lambda value: JobId(str(value))),
    name=NAMES,
    owner=TEXTS,
    state=st.sampled_from(JobState),
    progress=st.floats(0, 1),
    completed_chunks=COUNTS,
    total_chunks=COUNTS,
    is_total_known=st.booleans(),
    seconds_left=st.none() | st.floats(0, 1e12),
    accepted_at=REALS,
    ended_at=REALS,
    bytes_in=COUNTS,
    bytes_out=COUNTS,
    fuel=COUNTS,
    running_tasks=COUNTS,
    waiting_tasks=COUNTS,
    error=st.none() | ERRORS.map(lambda error: error.to_json()),
    restarts=COUNTS,
)
