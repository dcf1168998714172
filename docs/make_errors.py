"""Makes docs/errors.md (`make docs`): what can't travel with a job, by example. Each is run, and what is said is written down.

A test makes the page again and compares.
"""

from __future__ import annotations

import linecache
import sys
import textwrap
import types
from pathlib import Path

from pangea.compute import Job
from pangea.compute.errors import JobDefinitionError

PAGE = Path(__file__).with_name("errors.md")
HEAD = """# What can't travel with a job

Made by `make docs` from the examples below, each of which is run. A refusal is a `JobDefinitionError`, before anything runs: it
names the function and the line that uses a thing, the path from there to it, why it can't travel, and what to do.

What may reach more than can be seen (`eval`, `exec`, `globals()`, `__import__`) isn't refused: it is a `JobDefinitionWarning`.
"""
#: Title to the text of a file; its last function is the job's `execute`.
EXAMPLES = {
    "A lock": """
        import threading
        lock = threading.Lock()
        def execute(chunk):
            with lock:
                return chunk
        """,
    "An open file, deep inside a value": """
        import sys
        class Report: pass
        report = Report()
        report.parts = {"log": [open("/dev/null")]}
        def execute(chunk):
            return report.parts["log"][0].name.encode()
        """,
    "A generator": """
        numbers = (n * n for n in range(9))
        def execute(chunk):
            return b"%d" % next(numbers)
        """,
    "An iterator that hides how far it is": """
        import itertools
        letters = itertools.islice("abc", 1, None)
        def execute(chunk):
            return next(letters).encode()
        """,
    "A module that needs an outside": """
        import socket
        def execute(chunk):
            return socket.gethostname().encode()
        """,
    "A module of this package": """
        import pangea.compute
        def execute(chunk):
            return bytes(pangea.compute.submit_job(inner, chunk))
        """,
    "A function that `exec` made": """
        exec("def double(x): return x * 2")
        def execute(chunk):
            return double(chunk)
        """,
    "A function whose code a decorator changed": """
        import types
        @types.coroutine
        def stream(x):
            yield x
        def execute(chunk):
            return bytes(next(iter(stream(chunk))))
        """,
    "A regular expression that has no text of its own": """
        import re
        words = re.Scanner([("[a-z]+", None)]).scanner
        def execute(chunk):
            return bytes(words.match(chunk.decode()).end())
        """,
    "A scanner whose rules were changed since": """
        import re
        words = re.Scanner([("[a-z]+", None)])
        words.lexicon.append((" ", None))
        def execute(chunk):
            return words.scan(chunk.decode())[1].encode()
        """,
    "A match in a text that was changed since": """
        import re
        line = bytearray(b"2024-05")
        found = re.match(rb"\\d+", line)
        line[:] = b"none"
        def execute(chunk):
            return bytes(found[0])
        """,
    "A module of a type of its own": """
        import types
        class Lazy(types.ModuleType):
            pass
        settings = Lazy("settings")
        def execute(chunk):
            return settings.__name__.encode()
        """,
    "A number that doesn't fit": """
        import array
        ids = array.array("l", [1 << 40])
        def execute(chunk):
            return ids.tobytes()
        """,
    "An object whose own way to be copied fails": """
        import threading
        class Session:
            def __init__(self):
                self.lock = threading.Lock()
            def __reduce__(self):
                raise RuntimeError("not to be copied")
        session = Session()
        def execute(chunk):
            return repr(session).encode()
        """,
    "Code itself": """
        code = compile("1 + 1", "sum", "eval")
        def execute(chunk):
            return b"%d" % eval(code)
        """,
    "A method that `dataclass` made, changed since in a way that can't be made again": """
        from dataclasses import dataclass
        @dataclass(frozen=True)
        class Point:
            x: int
        Point.__setattr__.note = "changed"
        def execute(chunk):
            return b"%d" % Point(1).x
        """,
    "A context manager that has been entered": """
        import contextlib
        @contextlib.contextmanager
        def opened():
            yield 1
        now = opened()
        now.__enter__()
        def execute(chunk):
            return b"%d" % (now is None)
        """,
    "A memory view that has been released": """
        view = memoryview(b"abc")
        view.release()
        def execute(chunk):
            return bytes(view)
        """,
    "An array of records that hold objects": """
        import numpy
        records = numpy.zeros(1, [("id", "i4"), ("what", object)])
        def execute(chunk):
            return b"%d" % records["id"][0]
        """,
    "An array in a file": """
        import numpy, tempfile
        kept = numpy.memmap(tempfile.TemporaryFile(), "i4", shape=3)
        def execute(chunk):
            return b"%d" % kept[0]
        """,
    "A frame of another library": """
        import pyarrow
        column = pyarrow.array([1, 2])
        def execute(chunk):
            return b"%d" % len(column)
        """,
    "A library with parts in C": """
        import pyarrow
        def execute(chunk):
            return pyarrow.__name__.encode()
        """,
    "An import inside a function, of a module that needs an outside": """
        def execute(chunk):
            import subprocess
            return subprocess.check_output(["date"])
        """,
    "An object of a class that is derived from one in C": """
        import queue
        class Feed(queue.SimpleQueue):
            pass
        feed = Feed()
        def execute(chunk):
            return b"%d" % feed.qsize()
        """,
    "A type that Python keeps to itself": """
        kind = type(iter([]))
        def execute(chunk):
            return kind.__name__.encode()
        """,
    "An object that says it travels by its name": """
        class Settings:
            def __init__(self):
                self.lock = __import__("threading").Lock()
            def __reduce__(self):
                return "settings"
        settings = Settings()
        def execute(chunk):
            return repr(settings).encode()
        """,
    "A member that an enumeration doesn't have": """
        import enum
        class Color(enum.Enum):
            RED = 1
        blue = object.__new__(Color)
        blue._name_, blue._value_ = "BLUE", 2
        def execute(chunk):
            return blue.name.encode()
        """,
    "An iterator that counts in steps which can't be told": """
        import fractions, itertools
        steps = itertools.count(fractions.Fraction(1, 2))
        def execute(chunk):
            return repr(next(steps)).encode()
        """,
    "A weak reference to a method of an object that is gone": """
        import weakref
        class Listener:
            def hear(self):
                return b""
        heard = weakref.WeakMethod(Listener().hear)
        def execute(chunk):
            return b"%d" % (heard() is None)
        """,
    "A time zone without a name": """
        import io, struct, zoneinfo
        data = struct.pack(">4s16x6l", b"TZif", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb4s", 3600, 0, 0, b"ABC")
        zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(data))
        def execute(chunk):
            return str(zone).encode()
        """,
    "Globals with a key that is no text": """
        space = {1: "one"}
        exec("", space)
        def execute(chunk):
            return space[1].encode()
        """,
    "A view of numbers that have another size there": """
        import numpy
        view = memoryview(numpy.zeros(2, "l"))
        def execute(chunk):
            return b"%d" % view[0]
        """,
    "A view of several dimensions, with gaps": """
        import numpy
        view = memoryview(numpy.zeros((3, 4), "u1")[:, ::2])
        def execute(chunk):
            return view.tobytes()
        """,
    "A number of NumPy's that is another one there": """
        import numpy
        small = numpy.zeros(2, numpy.longdouble)
        def execute(chunk):
            return small.tobytes()
        """,
    "A scalar of a class derived from NumPy's": """
        import numpy
        class Metres(numpy.float64):
            pass
        length = Metres(2)
        def execute(chunk):
            return repr(float(length)).encode()
        """,
    "A record that holds objects": """
        import numpy
        record = numpy.zeros(1, [("id", "i4"), ("what", object)])[0]
        def execute(chunk):
            return b"%d" % record["id"]
        """,
    "A function that waits": """
        async def execute(chunk):
            return chunk
        """,
    "An execute that yields": """
        def execute(chunk):
            yield chunk
        """,
    "A function that takes more than the chunk": """
        def execute(chunk, size):
            return chunk[:size]
        """,
    "What isn't a function": """
        execute = b"not a function"
        """,
    "Too much": """
        table = bytes(8 << 20)
        def execute(chunk):
            return table[:1]
        """,
}

#: Examples of a file that is edited after it was loaded: the text, and what is replaced by what.
EDITED = {
    "A file that was edited since it was loaded": (
        """
        def double(x):
            return x * 2
        def execute(chunk):
            return double(chunk)
        """,
        ("x * 2", "x * 3"),
    ),
    "A function that its file has no more": (
        """
        def double(x):
            return x * 2
        def execute(chunk):
            return double(chunk)
        """,
        ("def double(x)", "def twice(x)"),
    ),
}


def refusal(text: str, edit: tuple[str, str] = ("", "")) -> JobDefinitionError:
    """What a job of this file is refused with, if it is edited once it is loaded."""
    module = types.ModuleType("job")
    source = textwrap.dedent(text).strip() + "\n"
    linecache.cache["<job.py>"] = (len(source), None, source.splitlines(keepends=True), "<job.py>")
    sys.modules["job"] = module
    try:
        exec(compile(source, "<job.py>", "exec", dont_inherit=True), vars(module))
        edited = source.replace(*edit)
        linecache.cache["<job.py>"] = (len(edited), None, edited.splitlines(keepends=True), "<job.py>")
        Job.from_functions(vars(module)["execute"]).archive()
    except JobDefinitionError as error:
        return error
    finally:
        del sys.modules["job"]
        del linecache.cache["<job.py>"]
    raise AssertionError(f"this travels: {source}")


def _edit(edit: tuple[str, str]) -> str:
    return f"\nThen `{edit[0]}` becomes `{edit[1]}` in the file.\n" if edit[0] else ""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, (text, edit) in [*((title, (text, ("", ""))) for title, text in EXAMPLES.items()), *EDITED.items()]:
        error = refusal(text, edit)
        said = f"{error.message}\nhint: {error.hint}".replace("<cell>", "job.py").replace("<job.py>", "job.py")
        parts.append(f"## {title}\n\n```python\n{textwrap.dedent(text).strip()}\n```\n{_edit(edit)}\n```text\n{said}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
