"""What travels with a job's functions: each job is archived, loaded as the guest loads it, and compared with a native run."""

from __future__ import annotations

import colorsys
import gc
import io
import json
import linecache
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy  # noqa: F401 (can be loaded once per process)
import pytest

from pangea.compute.capture import generated
from pangea.compute.capture.archive import build_archive  # noqa: F401 (loaded before modules are put back)
from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.client.submission.target import load_target
from pangea.compute.model.errors import JobDefinitionError, JobDefinitionWarning
from pangea.compute.runtime.guest.loading import load
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns
from tests.examples import long
from tests.unit.travelling import TRAVELLING

Define = Callable[[str], JobDefinition]

#: Runs an archive in another interpreter, where no module of the user's can be found but in the archive.
RUNNER = """
import sys
archive, chunk = open(sys.argv[1], "rb").read(), sys.argv[2].encode()
from pangea.compute.runtime.guest.loading import load
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns
sys.path[:] = [p for p in sys.path if "python3" in p and "site-packages" not in p]
packages = PackageFinder()
sys.meta_path.append(packages)
print(load(archive, packages, StandIns()).function("execute")(chunk).decode(), end="")
"""


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what loading user files and archives does to this process."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules, cache = dict(sys.modules), dict(linecache.cache)
    yield
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.modules.update(modules)
    linecache.cache.clear()
    linecache.cache.update(cache)


@pytest.fixture
def define(tmp_path: Path) -> Define:
    def write_and_load(text: str) -> JobDefinition:
        path = tmp_path / "user_job.py"
        future = "from __future__ import annotations; " if "# future" in text else ""
        path.write_text(future + "from pangea.compute.client.definition.job import Job\n" + textwrap.dedent(text))
        return load_target(str(path))

    return write_and_load


def carried(job: JobDefinition, data: bytes = b"") -> bytes:
    """Run the job's archive here, as the guest would."""
    functions: dict[str, Callable[[Any], Any]]
    main, own = sys.modules["__main__"], sys.modules.get(job.execute.__module__)
    try:
        functions = load(job.archive(), PackageFinder(), StandIns()).functions
        chunks = functions["split"](data) if job.split else [data]
        results = [functions["execute"](chunk) for chunk in chunks]
        merged = functions["merge"](results) if job.merge else b"".join(results)
    finally:
        sys.modules["__main__"] = main
        if own is not None:
            sys.modules[own.__name__] = own
    assert isinstance(merged, bytes)
    return merged


def elsewhere(job: JobDefinition, chunk: str, folder: Path) -> str:
    """Run the archive's execute in another process."""
    path = folder / "job.zip"
    path.write_bytes(job.archive())
    done = subprocess.run([sys.executable, "-c", RUNNER, str(path), chunk], capture_output=True, text=True, check=False)
    return done.stdout or done.stderr


def contents(job: JobDefinition) -> tuple[dict[str, Any], str, list[str]]:
    with zipfile.ZipFile(io.BytesIO(job.archive())) as archive:
        return json.loads(archive.read("job.json")), archive.read("job.py").decode(), archive.namelist()


def refusal(job: JobDefinition) -> JobDefinitionError:
    with pytest.raises(JobDefinitionError) as caught:
        job.archive()
    return caught.value


@pytest.mark.parametrize("text", TRAVELLING.values(), ids=TRAVELLING.keys())
def test_the_archive_gives_what_a_native_run_gives(define: Define, text: str) -> None:
    job = define(text)
    assert carried(job, b"ab cd") == job.run_local(b"ab cd")


def test_a_job_defined_in_a_test_travels() -> None:
    table = {"a": [1, 2.5, None]}

    @Job.define
    def job() -> None:
        @Job.execute
        def execute(chunk: bytes) -> bytes:
            assert chunk  # which pytest compiles its own way
            return repr(table).encode() + chunk

    assert carried(job, b"x") == job.run_local(b"x")


def test_equal_jobs_have_equal_archives_wherever_they_lie(tmp_path: Path) -> None:
    archives = []
    for folder, seed in (("a", "1"), ("b", "2")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "user_job.py"
        text = "S = {'x', 'y', 'z'}\njob = Job.from_functions(lambda c: c + repr(S).encode())"
        path.write_text(f"from pangea.compute.client.definition.job import Job\n{text}")
        script = (
            "import sys; from pangea.compute.client.submission.target import load_target;"
            f"sys.stdout.buffer.write(load_target({str(path)!r}).archive())"
        )
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        archives.append(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment).stdout)
    assert archives[0] == archives[1]
    assert str(tmp_path).encode() not in archives[0]


@pytest.mark.parametrize("starts", [[("1", "0"), ("2", "8")], *long([("2", "0"), ("1", "7")])])
def test_equal_jobs_have_equal_archives_whatever_was_imported_first(tmp_path: Path, starts: list[tuple[str, str]]) -> None:
    """Line numbers belong to a job, as its tracebacks show them; the order in which a program came to its values doesn't."""
    (tmp_path / "one.py").write_text("import enum\nclass Kind(enum.Enum):\n    A = 1\nTABLE = {'b': 1}\n")
    (tmp_path / "two.py").write_text("import one\ndef shown(kind):\n    return f'{kind}{one.TABLE}'\n")
    (tmp_path / "job.py").write_text(
        "import sys\n"
        "if sys.argv[1] == '1':\n    import one, two, json, decimal\n"
        "else:\n    import decimal, json, xml.dom.minidom, two, one\n"
        "def first(x):\n    return two.shown(x)\n"
        "def second(x):\n    return json.dumps(str(decimal.Decimal(x)))\n"
        "order = [first, second] if sys.argv[1] == '1' else [second, first]\n"
        "for each in order:\n    each.tag = each.__name__\n    globals()['used_' + each.__name__] = each\n"
        "def execute(chunk):\n    return (used_first(one.Kind.A) + used_second('1')).encode()\n"
        "if __name__ == '__main__':\n"
        "    import hashlib\n"
        "    from pangea.compute import Job\n"
        "    print(hashlib.sha256(Job.from_functions(execute).archive()).hexdigest())\n"
    )
    found = set()
    for order, seed in starts:
        command, environment = [sys.executable, "job.py", order], {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=50)
        found.add(done.stdout)
    assert len(found) == 1


def test_the_archive_is_extracted_at_each_call(define: Define) -> None:
    job = define("""
        @Job.define
        def job():
            @Job.execute
            def execute(chunk): return later(chunk)
        def later(x): return x + FACTOR
        FACTOR = b"1"
    """)
    assert carried(job) == b"1"
    vars(sys.modules["user_job"])["FACTOR"] = b"2"
    assert carried(job) == b"2"


def test_tracebacks_have_the_users_file_and_lines(define: Define) -> None:
    job = define("""
        def helper(x):

            return 1 // 0
        @Job.define
        def job():
            @Job.split
            def split(data): return [data]

            @Job.execute
            def execute(chunk):
                return helper(
                    chunk)
    """)
    with pytest.raises(ZeroDivisionError) as caught:
        carried(job)
    lines = [(entry.path, entry.lineno + 1) for entry in caught.traceback[-2:]]
    assert [(Path(path).name, line) for path, line in lines] == [("user_job.py", 13), ("user_job.py", 5)]
    description, text, names = contents(job)
    assert names == ["graph.json", "job.json", "job.py"]
    assert description["entry"] == {"split": "split", "execute": "execute"}
    assert text.startswith("# user_job.py, line ")


@pytest.mark.parametrize(
    ("text", "name", "reason", "hint"),
    [
        ("import threading\nv = threading.Lock()", "v", "is of type _thread.lock", "pass it in the chunk"),
        ("v = open(__file__)\nv.close()", "v", "is of type _io.TextIOWrapper", "pass it in the chunk"),
        ("v = (i for i in ())", "v", "is of type builtins.generator", "pass it in the chunk"),
        (
            "import threading\nclass C: pass\nv = C()\nv.a = {'k': [threading.Lock()]}",
            "v",
            "v.a.'k'..0. is of type",
            "in the chunk",
        ),
        ("v = (lambda: 0).__code__", "v", "is of type builtins.code", "pass it in the chunk"),
        ("import socket as v", "v", "needs files, processes, sockets", "no files, network"),
        ("from subprocess import run as v", "v", "is a function from the module subprocess", "no files, network"),
        ("from pangea.compute.client.definition import job as v", "v", "pangea itself", "define jobs outside"),
        ("v = eval('lambda x: x')", "v", "has no source text", "into a file"),
        ("exec('def v(x): return x')", "v", "has no source text", "into a file"),
        ("import types\n@types.coroutine\ndef v(x): yield", "v", "flags differ", "types.coroutine"),
        ("import pandas as v", "v", "is the module pandas", 'input="table"'),
        ("import scipy as v", "v", "is the module scipy", "pure-Python package"),
        ("import numpy\nv = numpy.longdouble(1)", "v", "is of NumPy's type", "use float64"),
        (
            "import numpy\nv = numpy.array([(1, None)], 'i4,O')",
            "v",
            "is an array of records that hold objects",
            "one for each field",
        ),
    ],
)
def test_what_cannot_travel_is_named_with_its_line(define: Define, text: str, name: str, reason: str, hint: str) -> None:
    job = define(f"{text}\ndef helper(x):\n    y = 1\n    return v\n@Job.define\ndef job():\n  Job.execute(lambda c: helper(c))")
    error = refusal(job)
    assert hint in error.hint
    line = text.count("\n") + 5
    assert error.message.startswith(f"helper (user_job.py:{line}) uses {name!r}")
    assert (error.details["variable"], error.details["function"], error.details["line"]) == (name, "helper", line)
    with pytest.raises(JobDefinitionError, match=reason):
        job.archive()


def test_what_a_library_was_given_and_cannot_travel_is_refused(define: Define, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colorsys, "rgb_to_hsv", colorsys.rgb_to_hsv)
    job = define("""
        import colorsys, threading
        lock = threading.Lock()
        def mine(x): return lock
        colorsys.rgb_to_hsv = mine
        job = Job.from_functions(lambda chunk: colorsys.rgb_to_hsv(chunk))
    """)
    with pytest.raises(JobDefinitionError, match=r"mine \(user_job.py:\d+\) uses 'lock', which is of type _thread.lock"):
        job.archive()


def test_where_this_machine_has_a_library_stays_here(define: Define) -> None:
    job = define("""
        import colorsys
        job = Job.from_functions(lambda chunk: repr((colorsys.__file__, colorsys.__name__, colorsys.ONE_THIRD)).encode())
    """)
    graph = json.loads(zipfile.ZipFile(io.BytesIO(job.archive())).read("graph.json"))
    assert "patches" not in graph


def test_statements_that_share_a_broken_line(define: Define) -> None:
    job = define("""
        a = 1; \\
        b = 2; f = lambda: \\
            a + b; \\
        \\
        g = lambda: f() * 2
        def k(): return 5  # a comment; \\
        h = lambda: k()
        job = Job.from_functions(lambda chunk: b"%d %d %d" % (f(), g(), h()))
    """)
    assert load(job.archive(), PackageFinder(), StandIns()).function("execute")(b"") == b"3 6 5"


def test_user_code_that_runs_on_the_way_finds_its_globals(define: Define) -> None:
    job = define("""
        import threading
        TABLE = {"a": [1, 2]}
        SALT = (31,)
        class Config:
            def __init__(self): self.step = 7
        CONFIG = Config()
        class Counted:
            def __init__(self, name):
                self.name, self.lock = name, threading.Lock()
                self.sum = total(name) + CONFIG.step
            def __reduce__(self): return Counted, (self.name,)
        def total(name): return sum(TABLE[name]) + SALT[0]
        class Key:
            def __init__(self, text): self.text = text
            def __hash__(self): return len(self.text) * SALT[0]
            def __eq__(self, other): return self.text == other.text
        kept = [Counted("a"), {"k": (Counted("a"),)}]
        found = {frozenset({Key("c")}): 4, (Key("d"), 1): 5}
        def execute(chunk):
            sums = [kept[0].sum, kept[1]["k"][0].sum, found[frozenset({Key("c")})], found[Key("d"), 1]]
            return repr(sums).encode()
        job = Job.from_functions(execute)
    """)
    assert load(job.archive(), PackageFinder(), StandIns()).function("execute")(b"") == b"[41, 41, 4, 5]"


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("socket", "it needs files, processes, sockets"),
        ("pwd", "it needs files, processes, sockets"),
        ("pandas", "it has parts that aren't Python"),
        pytest.param(
            "telnetlib", "Python 3.14", marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="run with Python 3.12")
        ),
    ],
)
def test_a_function_that_imports_what_the_guest_lacks_is_refused(define: Define, module: str, why: str) -> None:
    error = refusal(
        define(f"def execute(chunk):\n    import {module}\n    return {module}.f(chunk)\njob = Job.from_functions(execute)")
    )
    assert f"imports {module} ({why}" in str(error)
    assert error.hint
    text = f"def execute(chunk):\n    try:\n        import {module}\n    except ImportError:\n        return chunk\n"
    define(f"{text}job = Job.from_functions(execute)").archive()


def test_what_is_reached_by_name_at_run_time_is_warned_of(define: Define) -> None:
    job = define("job = Job.from_functions(lambda chunk: eval('chunk'))")
    with pytest.warns(JobDefinitionWarning, match=r"<lambda> \(user_job.py:2\) calls eval\(\)"):
        job.archive()


def test_one_name_may_have_two_values(define: Define) -> None:
    job = define("""
        def factory(n):
            def multiply(x): return x * n
            return multiply
        twice, thrice = factory(2), factory(3)
        job = Job.from_functions(lambda chunk: twice(chunk) + thrice(chunk))
    """)
    assert carried(job, b"x") == b"xxxxx"


def test_a_nonlocal_variable_travels_with_its_value(define: Define) -> None:
    job = define("""
        @Job.define
        def job():
            count = 7
            @Job.execute
            def execute(chunk):
                nonlocal count
                count += 1
                return b"%d" % count
    """)
    assert carried(job) == b"8"
    assert carried(job) == b"8"


def test_a_default_needs_nothing_that_made_it(define: Define) -> None:
    job = define("""
        def outer(limit):
            def limited(x, n=limit + 1): return x * n
            return limited
        limited = outer(2)
        job = Job.from_functions(lambda chunk: limited(chunk))
    """)
    assert carried(job, b"x") == b"xxx"


def test_warnings_about_the_users_text_come_once(define: Define, tmp_path: Path) -> None:
    with pytest.warns((DeprecationWarning, SyntaxWarning), match="invalid escape"):
        job = define("job = Job.from_functions(lambda chunk: b'\\d' + chunk)")
    assert b"chunk" in job.archive()


def test_names_that_are_nowhere_fail_when_they_are_used(define: Define) -> None:
    job = define("job = Job.from_functions(lambda chunk: chunk if chunk else no_such_name)")
    assert carried(job, b"x") == b"x"
    with pytest.raises(NameError, match="no_such_name"):
        carried(job, b"")


def test_a_changed_source_is_noticed(define: Define, tmp_path: Path) -> None:
    job = define("def helper(x): return x + b'1'\njob = Job.from_functions(lambda c: helper(c))")
    path = tmp_path / "user_job.py"
    linecache.clearcache()
    path.write_text(path.read_text().replace("b'1'", "b'2'"))
    error = refusal(job)
    assert "uses 'helper', which isn't what its source text says now (user_job.py:2): its constants differ" in error.message
    path.write_text("from pangea.compute.client.definition.job import Job\n")
    linecache.clearcache()
    assert "isn't in the source text any more" in refusal(job).message
    path.unlink()
    linecache.clearcache()
    assert "has no source text" in refusal(job).message


def test_own_modules_travel_by_value_and_what_is_not_loaded_yet_as_text(define: Define, tmp_path: Path) -> None:
    for name, text in {
        "shapes/__init__.py": "from .area import area",
        "shapes/area.py": "import sizes\ndef area(x): return sizes.times(x, 2)",
        "shapes/broken.py": "def (",
        "shapes/data.txt": "not shipped",
        "sizes.py": "def times(x, n): return x * n",
        "spaced/inner/deep.py": "from . import near\nVALUE = near.VALUE",
        "spaced/inner/near.py": "VALUE = 'deep'",
        "late.py": "WORD = 'late'",
        "unused.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    job = define("""
        import shapes
        from spaced.inner import deep
        import unused
        @Job.define
        def job():
            @Job.execute
            def execute(chunk):
                from late import WORD
                try:
                    import no_such_module
                except ImportError:
                    pass
                return shapes.area(chunk) + (WORD + deep.VALUE).encode()
    """)
    assert elsewhere(job, "x", tmp_path) == "xxlatedeep"
    assert job.run_local(b"x") == b"xxlatedeep"
    assert elsewhere(job, "x", tmp_path) == "xxlatedeep"
    sys.modules.pop("late")
    assert contents(job)[2] == ["graph.json", "job.json", "job.py", "lib/late.py"]
    assert "VALUE = near.VALUE" not in contents(job)[1]


def test_a_job_inside_a_package_uses_relative_imports(tmp_path: Path) -> None:
    package = tmp_path / "my_project"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "text.py").write_text("def shout(x): return x.upper()")
    (package / "jobs.py").write_text(
        "from pangea.compute import Job\nfrom .text import shout\njob = Job.from_functions(lambda c: shout(c))"
    )
    sys.path.insert(0, str(tmp_path))
    job: JobDefinition = __import__("my_project.jobs").jobs.job
    assert elsewhere(job, "x", tmp_path) == "X"


def test_a_named_tuple_travels_whenever_garbage_is_collected(define: Define, monkeypatch: pytest.MonkeyPatch) -> None:
    job = define(
        """
        from typing import NamedTuple

        class Place(NamedTuple):
            row: int
            column: int = 3

        @Job.define
        def job():
            @Job.execute
            def execute(chunk):
                return repr(Place(4)).encode()
        """
    )
    known = generated._is_made

    def with_collection(one: Any, other: Any) -> bool:
        gc.collect(1)  # the class made for the comparison is young
        return known(one, other)

    monkeypatch.setattr(generated, "_is_made", with_collection)
    assert carried(job) == b"Place(row=4, column=3)"


def test_too_large_an_archive_is_refused(define: Define) -> None:
    error = refusal(define("TABLE = bytes(7 << 20)\njob = Job.from_functions(lambda c: TABLE)"))
    assert "8.0 MiB is the most" in error.message
    assert error.details["bytes"] > 9_000_000


def test_jobs_in_notebook_cells() -> None:
    names: dict[str, Any] = {"__name__": "__main__", "Job": Job}
    cells = ["import math as m\nK = [1]\n", "class Scale:\n    factor = 2\n"]
    cells.append("def helper(x):\n    return x * Scale.factor + b'%d' % m.floor(K[0])\n")
    cells.append("@Job.define\ndef job():\n    @Job.execute\n    def execute(chunk):\n        return helper(chunk)\n")
    for number, text in enumerate([*cells, cells[2].replace("helper", "other")]):
        file = f"/tmp/ipykernel_1/{number}.py"  # as ipykernel names them
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), names)
    job = names["job"]
    assert carried(job, b"x") == job.run_local(b"x") == b"xx1"
    text = contents(job)[1]
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# <cell 1>, line 1", "# <cell 2>, line 1"]
