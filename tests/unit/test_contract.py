"""What importing the package costs: nothing but what its name promises."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType

import pytest

HEAVY = {"wasmtime", "rich", "cyclopts", "numpy", "pandas", "pyarrow", "numba", "platformdirs"}


def imported_by(statement: str) -> set[str]:
    code = f"import sys, json\nsys.path[:] = {sys.path!r}\nbefore = set(sys.modules)\n{statement}\n"
    code += "print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True, text=True, timeout=50)
    return set(json.loads(done.stdout))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_importing_the_package_imports_none_of_its_rooms() -> None:
    found = imported_by("import pangea.compute")
    assert not packages(found) & (HEAVY | {"asyncio", "threading", "subprocess", "json", "socket"})
    assert {name for name in found if name.startswith("pangea.compute.")} == set()


def test_defining_a_job_needs_no_engine_and_no_terminal() -> None:
    found = imported_by("from pangea.compute import Job, JobOptions, Limits, LimitExceededError")
    assert not packages(found) & HEAVY


def test_submitting_needs_no_terminal_no_arrays_and_no_sandbox_in_this_process() -> None:
    found = imported_by("from pangea.compute import submit_job")
    assert not packages(found) & (HEAVY - {"platformdirs"})
    assert "pangea.compute.engine.sandbox" not in found


def test_the_command_line_starts_without_the_engine() -> None:
    found = imported_by("import pangea.compute.cli.main")
    assert not packages(found) & {"wasmtime", "numpy", "pandas", "pyarrow", "asyncio"}
    assert "pangea.compute.engine.engine" not in found


def test_every_public_name_can_be_had() -> None:
    import pangea.compute as package

    assert sorted(package.__all__) == package.__all__
    assert set(package.__all__) == set(package._HOMES)
    assert dir(package) == package.__all__
    for name in package.__all__:
        value, home = getattr(package, name), f"pangea.compute.{package._HOMES[name]}"
        own = value.__name__ if isinstance(value, ModuleType) else value.__module__
        assert own in (home, f"{home}.{name}") or name.endswith("submit_job")


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    import pangea.compute as package

    with pytest.raises(AttributeError, match=r"module 'pangea.compute' has no attribute 'Jobb'"):
        package.Jobb  # noqa: B018
