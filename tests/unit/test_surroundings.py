"""A function that uses what shows otherwise in a job than at home is told so, once, by name and with its line."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pytest

from pangea.compute.client.submission.target import load_target
from pangea.compute.model.errors import JobDefinitionWarning

HEAD = """
import array, datetime, glob, linecache, locale, os, pathlib, platform, shutil, sys, time, zoneinfo
import os as system
import os.path as paths
from os.path import isfile
from pathlib import Path
HERE = Path("here")
from datetime import date, datetime as moment
from os import environ, getenv
from time import perf_counter
from pangea.compute import Job

def execute(chunk):
    return repr({}).encode()

job = Job.from_functions(execute)
"""
SAID = {
    "os.environ.get('HOME')": "uses os.environ: a job's environment is empty",
    "system.getenv('HOME')": "uses system.getenv: a job's environment is empty",
    "environ['HOME']": "uses environ: a job's environment is empty",
    "getenv('HOME')": "uses getenv: a job's environment is empty",
    "os.path.exists('a')": "uses os.path.exists: a job has no files",
    "paths.isdir('a')": "uses paths.isdir: a job has no files",
    "isfile('a')": "uses isfile: a job has no files",
    "glob.glob('*')": "uses glob.glob: a job has no files",
    "linecache.getline('a', 1)": "uses linecache.getline: a job has no files",
    "shutil.which('ls')": "uses shutil.which: a job has no files",
    "Path('a').exists()": "uses Path and exists(): a job has no files",
    "pathlib.Path('a').glob('*')": "uses pathlib and glob(): a job has no files",
    "HERE.is_file()": "uses HERE and is_file(): a job has no files",
    "sys.argv": "uses sys.argv: a job has none",
    "sys.platform": "uses sys.platform: it tells of the sandbox",
    "sys.flags.optimize": "uses sys.flags: it tells of the sandbox",
    "platform.node()": "uses platform.node: it tells of the sandbox",
    "locale.getlocale()": "uses locale.getlocale: it tells of the sandbox",
    "time.time()": "uses time.time: a job's clock begins at 1970",
    "perf_counter()": "uses perf_counter: a job's clock begins at 1970",
    "moment.now()": "uses moment.now: a job's clock begins at 1970",
    "date.today()": "uses date.today: a job's clock begins at 1970",
    "datetime.datetime.now()": "uses datetime.datetime.now: a job's clock begins at 1970",
    "hash(chunk)": "uses hash(): numbers and texts have other hashes",
    "array.array('l')": "may make an array of type 'l' or 'L'",
}
QUIET = (
    *("os.path.basename('a')", "Path('a').name", "HERE.suffix", "pathlib.PurePath('a').parts", "shutil.copyfileobj"),
    *("os.path.join('a')", "sys.maxsize", "moment(2026, 1, 1)", "datetime.timedelta(1)", "array.array('q')", "len('l')"),
    *("datetime.datetime.min", "locale.atof('1')", "time.sleep"),
)


def said(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "job.py").write_text(text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_target(str(tmp_path / "job.py")).archive()
    return [str(each.message) for each in caught if each.category is JobDefinitionWarning]


@pytest.mark.parametrize("expression", SAID)
def test_what_differs_is_said(expression: str, tmp_path: Path) -> None:
    [message] = said(tmp_path, HEAD.format(expression))
    assert message.startswith("execute (job.py:13) ")
    assert SAID[expression] in message


@pytest.mark.parametrize("expression", QUIET)
def test_what_is_the_same_is_not(expression: str, tmp_path: Path) -> None:
    assert said(tmp_path, HEAD.format(expression)) == []


def test_imports_inside_a_function_are_looked_at(tmp_path: Path) -> None:
    text = HEAD.replace("    return", "    from os import getenv as get\n    return")
    assert said(tmp_path, text.format("get('HOME')")) == [
        "execute (job.py:13) uses os.getenv: a job's environment is empty: read it outside, into a variable"
    ]


def test_a_hash_for_a_hash_is_nobodys_business(tmp_path: Path) -> None:
    text = HEAD.replace("def execute", "class Key:\n    def __hash__(self):\n        return hash('k')\n\ndef execute")
    assert said(tmp_path, text.format("{Key(): 1}")) == []


@pytest.mark.parametrize(("zone", "count"), [(0, 0), (-3600, 1)])
def test_local_time_matters_where_it_is_not_utc(zone: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "timezone", zone)
    monkeypatch.setattr(time, "daylight", 0)
    found = said(tmp_path, HEAD.format("moment.fromtimestamp(0)"))
    assert len(found) == count
    assert all("a job's local time is UTC" in each for each in found)


@pytest.mark.parametrize(("expression", "count"), [("traceback.format_exception(kept)", 1), ("str(kept)", 0)])
def test_a_traceback_that_is_read_stays_behind(expression: str, count: int, tmp_path: Path) -> None:
    head = "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError as error:\n    kept = error\n"
    found = said(tmp_path, head + HEAD.format(expression))
    assert len(found) == count
    assert all("its traceback stays behind" in each for each in found)
