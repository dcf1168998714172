"""Load a job from a file, for the command line: `job.py`, or `job.py:name` where a file has several."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import sys
import tokenize
import traceback
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from pangea.compute.capture import sources
from pangea.compute.capture.hindrances import imported_modules, imports_inside
from pangea.compute.client.definition.hooks import Hooks
from pangea.compute.client.definition.job import JobDefinition
from pangea.compute.inputs.missing import hint_of_missing
from pangea.compute.model.errors import InputError, JobDefinitionError, JobDefinitionWarning, ManifestError
from pangea.compute.model.limits import nearest
from pangea.compute.model.warn import warn_caller
from pangea.compute.network.small_files import read_small

#: Modules that `load_target` has made: loading a file of the same name replaces them.
_loaded: set[str] = set()
#: Of a job file; larger than any program.
_TEXT_BYTES_MAX = 64 << 20


def load_target(path: str, name: str | None = None) -> JobDefinition:
    """The job of `load_job_file`."""
    return load_job_file(path, name)[0]


def load_job_file(path: str, name: str | None = None, text: bytes | None = None) -> tuple[JobDefinition, Hooks]:
    """Run the file at `path`; the job in it, and what it offers besides.

    The file's folder stays on `sys.path`, so that helper modules beside it can still be found when the job is extracted; of a
    pipe, the current folder. What the file prints goes to standard error.

    Args:
        path: a Python file.
        name: the variable, or the job's own name; None if the file has one job.
        text: what was read from it, if it was: a pipe gives it once.

    Raises:
        InputError: the file can't be read.
        JobDefinitionError: the file fails, has no job, several and no name, none of that name, or two hooks of a kind.
    """
    file = _checked_file(path)
    module = _run(file, _read(file) if text is None else text)
    jobs: dict[str, JobDefinition] = {}
    for variable, value in vars(module).items():
        if isinstance(value, JobDefinition) and value not in jobs.values():
            jobs[variable] = value
    if not jobs:
        hint = f"decorate a function with @Job.define; a script that itself calls map or submit_job is started as python {path}"
        raise JobDefinitionError(f"there is no job in {file.name}", hint=hint, file=str(file))
    return _choose(jobs, vars(module), name, file), Hooks.of(vars(module))


def is_python_text(path: str, content: bytes) -> bool:
    """Whether a file that isn't called *.py is Python all the same: it is text, and not called a module."""
    if path.endswith(".wasm") or not content.strip() or b"\0" in content:
        return False
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return bool(content.decode(encoding))
    except (SyntaxError, UnicodeDecodeError):
        return False


def _choose(jobs: dict[str, JobDefinition], variables: dict[str, Any], name: str | None, file: Path) -> JobDefinition:
    names = ", ".join(jobs)
    if name is None:
        if len(jobs) > 1:
            first = next(iter(jobs))
            hint = f"name one: {file.name}:{first}"
            raise JobDefinitionError(f"there are {len(jobs)} jobs in {file.name}: {names}", hint=hint, jobs=list(jobs))
        return next(iter(jobs.values()))
    if isinstance(found := variables.get(name), JobDefinition):
        return found
    for job in jobs.values():
        if job.name == name:
            return job
    near = nearest(name, list(jobs))
    hint = f"did you mean {near!r}?" if near else f"its jobs: {names}"
    raise JobDefinitionError(f"there is no job {name!r} in {file.name}", hint=hint, jobs=list(jobs))


def _checked_file(path: str) -> Path:
    file = Path(path)
    try:
        if file.is_dir():
            raise InputError(f"{path} is a folder", hint="name the Python file with the job in it", path=path)
        with file.open("rb"):
            return file.resolve() if file.is_file() else file.absolute()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", hint=hint_of_missing(path, "check the path"), path=path) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}", path=path) from error


def _read(file: Path) -> bytes:
    try:
        return read_small(file, _TEXT_BYTES_MAX, is_stream_fine=True)
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}", path=str(file)) from error


def _run(file: Path, text: bytes) -> ModuleType:
    """Run the file as a module, registered in `sys.modules` like an imported one."""
    package = _package_of(file, text)
    name = f"{package}.{file.stem}" if package else _module_name(file)
    loader = SourceFileLoader(name, str(file))  # whatever its name ends in
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None, "it has a loader"
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent)
    if not file.is_file():
        folder = str(Path.cwd())
        sources.remember(str(file), text)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # A cached .pyc may be older than an edit within the same second, so the text is always compiled.
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if package:
                import_module(package)
            sys.modules[name] = module
            _loaded.add(name)
            exec(compile(text, str(file), "exec", dont_inherit=True), vars(module))  # noqa: S102
    except (JobDefinitionError, ManifestError):  # they say already what is wrong with the job
        sys.modules.pop(name, None)
        raise
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise _failed(file, error) from error
    for each in _shadowed(file, text):
        warn_caller(
            f"{each}.py beside {file.name} isn't used: `import {each}` finds the standard library's, which is loaded; rename it",
            JobDefinitionWarning,
        )
    return module


def _package_of(file: Path, text: bytes) -> str:
    """The package that the file imports from by dots, whose folder's folder it puts on `sys.path`; "" if it does without."""
    if b"." not in text or not (file.parent / "__init__.py").is_file():
        return ""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # running it says so
        return ""
    if not any(isinstance(each, ast.ImportFrom) and each.level for each in ast.walk(tree)):
        return ""
    folders = [file.parent]
    while (folders[-1].parent / "__init__.py").is_file():
        folders.append(folders[-1].parent)
    root = str(folders[-1].parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    return ".".join(folder.name for folder in reversed(folders))


def _shadowed(file: Path, text: bytes) -> list[str]:
    """Modules beside `file` that it imports, but whose names another module has here: one of the standard library."""
    beside = {each.stem for each in file.parent.glob("*.py")} & sys.stdlib_module_names
    statements = imports_inside(ast.parse(text)) if beside else ()
    imported = {module.partition(".")[0] for statement in statements for module in imported_modules(statement, "")}
    files = {each: getattr(sys.modules.get(each), "__file__", None) for each in beside & imported}
    return sorted(each for each, found in files.items() if found != str(file.parent / f"{each}.py"))


def _module_name(file: Path) -> str:
    """The file's stem, unless that is the name of another module, which it must not replace."""
    stem = file.stem
    taken = stem in sys.stdlib_module_names or (stem in sys.modules and stem not in _loaded)
    return stem if stem.isidentifier() and not taken and stem != "pangea" else f"{stem}_job"


def _failed(file: Path, error: BaseException) -> JobDefinitionError:
    trace = traceback.TracebackException.from_exception(error)
    _drop_own_frames(trace)
    frames = [frame for frame in trace.stack if frame.filename == str(file)]
    line = (error.lineno or 0) if isinstance(error, SyntaxError) else (frames[-1].lineno or 0) if frames else 0
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    reason = "it calls sys.exit" if isinstance(error, SystemExit) else f"{type(error).__name__}: {text}"
    where = f", line {line}" if line else ""
    return JobDefinitionError(
        f"{file.name} can't be loaded{where}: {reason}",
        hint=_hint_of(error),
        file=str(file),
        line=line,
        traceback="".join(trace.format()),
    )


def _hint_of(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "put what isn't part of the job under if __name__ == '__main__'"
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return "an __init__.py beside the file makes a package of its folder; or import without the dot"
    return ""


def _drop_own_frames(trace: traceback.TracebackException | None) -> None:
    if trace is None:
        return
    own = str(Path(__file__).parents[1])
    shown = [frame for frame in trace.stack if not frame.filename.startswith((own, "<frozen importlib"))]
    trace.stack = traceback.StackSummary.from_list(shown)
    for cause in (trace.__cause__, trace.__context__, *(trace.exceptions or ())):
        _drop_own_frames(cause)
