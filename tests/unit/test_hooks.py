"""What a job file offers the command line: its input from options of its own, and a check of its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pangea.compute import Job
from pangea.compute.client.definition.hooks import Hooks, Option
from pangea.compute.client.submission.target import load_job_file
from pangea.compute.model.errors import JobDefinitionError, ManifestError, UnverifiedError

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


def made(
    size: int = 3,
    scale: float = 0.5,
    name: str = "x",
    loud: bool = False,
    place: Path | None = None,
    mode: Literal["a", "b"] = "a",
) -> Unknown:
    return size, scale, name, loud, place, mode


HOOKS = Hooks.of({"made": Job.inputs(made)})


def test_parameters_become_options() -> None:
    assert HOOKS.options == {
        "size": Option("size", int, 3),
        "scale": Option("scale", float, 0.5),
        "name": Option("name", str, "x"),
        "loud": Option("loud", bool, False),
        "place": Option("place", Path, None),
        "mode": Option("mode", ("a", "b"), "a"),
    }
    assert HOOKS.make_input(HOOKS.values({})) == (3, 0.5, "x", False, None, "a")
    given = {"size": "-512", "scale": "1e3", "name": "é", "loud": "Yes", "place": "/tmp", "mode": "b"}
    assert HOOKS.make_input(HOOKS.values(given)) == (-512, 1000.0, "é", True, Path("/tmp"), "b")


def test_without_annotations_the_default_says_it() -> None:
    def inputs(size=2, label=None):  # type: ignore[no-untyped-def]
        return size, label

    assert Hooks(inputs=inputs).options == {"size": Option("size", int, 2), "label": Option("label", str, None)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sise": "3"}, ["unknown option --sise", "did you mean --size?"]),
        ({"size": "big"}, ["--size is 'big'; it must be an integer"]),
        ({"size": "1.5"}, ["--size is '1.5'; it must be an integer"]),
        ({"scale": "wide"}, ["--scale is 'wide'; it must be a number"]),
        ({"loud": "perhaps"}, ["--loud is 'perhaps'; it must be yes or no"]),
        ({"mode": "c"}, ["--mode is 'c'; it must be one of a, b"]),
    ],
)
def test_a_value_that_is_none_is_refused(given: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ManifestError) as caught:
        HOOKS.values(given)
    for word in words:
        assert word in f"{caught.value.message} {caught.value.hint}"


def test_what_has_no_default_must_be_given() -> None:
    def inputs(row_count: int) -> int:
        return row_count

    with pytest.raises(ManifestError, match="this job needs --row-count"):
        Hooks(inputs=inputs).values({})
    assert Hooks(inputs=inputs).values({"row_count": "7"}) == {"row_count": 7}


def positional(size: int, /) -> None: ...
def many(*sizes: int) -> None: ...
def keywords(**sizes: int) -> None: ...
def nested(sizes: list[int]) -> None: ...
def unreadable(size: Nothing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("function", [positional, many, keywords, nested, unreadable])
def test_a_parameter_that_can_t_be_an_option_is_an_error_at_the_decorator(function: Callable[..., Any]) -> None:
    with pytest.raises(JobDefinitionError, match=r"can't be an option|can't be read"):
        Job.inputs(function)


def test_a_check_takes_the_result_first() -> None:
    with pytest.raises(JobDefinitionError, match="must take the result first"):
        Job.check(lambda size: None)


def test_a_check_says_what_it_looked_at() -> None:
    def check(result: bytes, size: int) -> str:
        assert len(result) == size, f"{len(result)} bytes"
        return f"{size} bytes, as asked for"

    hooks = Hooks(check=check)
    assert hooks.check_result(b"abc", {"size": 3, "seed": 1}) == "3 bytes, as asked for"
    with pytest.raises(UnverifiedError, match="the job's own check says no: 2 bytes"):
        hooks.check_result(b"ab", {"size": 3})


@pytest.mark.parametrize(("answer", "is_right"), [(None, True), (True, True), ("", True), (False, False)])
def test_a_check_may_say_nothing_or_no(answer: object, is_right: bool) -> None:
    hooks = Hooks(check=lambda result: answer)
    if is_right:
        assert "has nothing against it" in hooks.check_result(b"", {})
    else:
        with pytest.raises(UnverifiedError, match="says no"):
            hooks.check_result(b"", {})


def test_a_hook_that_raises_is_a_mistake_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(result: object = None) -> None:
        print("looking")
        raise KeyError("lost")

    for call in (lambda: Hooks(inputs=broken).make_input({}), lambda: Hooks(check=broken).check_result(b"", {})):
        with pytest.raises(JobDefinitionError, match=r"broken \(test_hooks.py:\d+\) raised KeyError: 'lost'") as caught:
            call()
        assert "hooks.py" not in caught.value.details["traceback"].replace("test_hooks.py", "")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "looking\nlooking\n"), "stdout is the result's"


FILE = """
from pangea.compute import Job

@Job.define
def one():
    @Job.execute
    def execute(chunk):
        return chunk

@Job.inputs
def inputs(size: int = 4):
    return b"x" * size
"""


def test_a_file_s_hooks_come_with_its_job(tmp_path: Path) -> None:
    path = tmp_path / "hooked.py"
    path.write_text(FILE)
    job, hooks = load_job_file(str(path))
    assert (job.name, hooks.check) == ("one", None)
    assert hooks.make_input(hooks.values({"size": "2"})) == b"xx"
    path.write_text(FILE + "\n@Job.inputs\ndef others():\n    return b''\n")
    with pytest.raises(JobDefinitionError, match=r"two functions with @Job.inputs: hooked.py:\d+ and hooked.py:\d+"):
        load_job_file(str(path))
    path.write_text(FILE.replace("@Job.inputs\n", "").replace("inputs(", "helper("))
    assert load_job_file(str(path))[1] == Hooks()
