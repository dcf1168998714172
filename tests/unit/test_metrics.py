from __future__ import annotations

import re
from importlib.metadata import version

from prometheus_client.parser import text_string_to_metric_families

from pangea.compute.node.service.metrics import Metrics

#: Of the process, as Prometheus' own clients call them.
_PROCESS = {f"process_{name}" for name in ("cpu_seconds_total", "open_fds", "max_fds", "start_time_seconds")}
_PROCESS |= {"process_resident_memory_bytes", "process_virtual_memory_bytes"}


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Every figure by name and label, as Prometheus reads them."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("pangea_")
    }


def test_all_begin_at_zero() -> None:
    found = samples(Metrics())
    assert found.pop(("pangea_build_info", version("pangea-compute"))) == 1
    assert set(found.values()) == {0.0}
    assert Metrics().totals == {"jobs": 0, "tasks": 0, "chunks": 0, "bytes": 0, "fuel": 0}


def test_what_is_counted_is_what_prometheus_reads_and_what_rates_are_made_of() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.job_accepted()
    metrics.job_ended("complete")
    metrics.job_ended("failed")
    metrics.task_ended("done", 0.02)
    metrics.task_ended("out of fuel", 40.0)
    metrics.task_accepted(chunks=5, size_bytes=70, fuel=900)
    metrics.loop_stall(0.25)
    metrics.blob_bytes(123)
    metrics.standing(jobs=1, running=2, waiting=3, parents=0, children=4)
    found = samples(metrics)
    assert found["pangea_jobs_accepted_total", ""] == 3
    assert found["pangea_jobs_ended_total", "complete"] == found["pangea_jobs_ended_total", "failed"] == 1
    assert found["pangea_tasks_total", "done"] == found["pangea_tasks_total", "out of fuel"] == 1
    assert (found["pangea_task_duration_seconds_count", ""], found["pangea_task_duration_seconds_sum", ""]) == (2, 40.02)
    assert (found["pangea_task_duration_seconds_bucket", "0.03"], found["pangea_task_duration_seconds_bucket", "30.0"]) == (1, 1)
    assert found["pangea_chunks_total", ""] == 5
    assert found["pangea_chunk_bytes_total", ""] == 70
    assert found["pangea_fuel_total", ""] == 900
    assert found["pangea_loop_stall_seconds", ""] == 0.25
    assert found["pangea_blob_bytes", ""] == 123
    assert found["pangea_jobs_unfinished", ""] == 1
    assert (found["pangea_tasks_under_way", "engine"], found["pangea_tasks_under_way", "node"]) == (2, 3)
    assert (found["pangea_peers", "parent"], found["pangea_peers", "child"]) == (0, 4)
    assert metrics.totals == {"jobs": 2, "tasks": 2, "chunks": 5, "bytes": 70, "fuel": 900}


def test_names_and_units_are_as_prometheus_wants_them() -> None:
    metrics = Metrics()
    metrics.task_ended("done", 0.1)
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        assert family.documentation, family.name
        names = {sample.name for sample in family.samples}
        assert not any(re.search("_(ms|millis|milliseconds|kb|mb|percent|created)(_|$)", name) for name in names), "base units"
        assert all(name.endswith("_total") == (family.type == "counter") for name in names)
        assert family.type != "histogram" or family.name.endswith("_seconds")
        assert all(name in _PROCESS or name.startswith("pangea_") for name in names)


def test_two_nodes_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.job_accepted()
    assert samples(other)["pangea_jobs_accepted_total", ""] == 0
