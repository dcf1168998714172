"""Classes with methods for the user's machine beside those for a job: they travel without what can't, unless it is called."""

from __future__ import annotations

import functools
import io
import json
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from pangea.compute.capture.archive import build_archive
from pangea.compute.client.calls.batches import Calls
from pangea.compute.client.calls.functions import map as mapped
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.runtime.guest.loading import load
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns


def carried(function: Callable[[Any], Any]) -> Any:
    """What the function returns, rebuilt here as the guest would."""
    main = sys.modules["__main__"]
    try:
        return load(build_archive({"execute": function}, {}), PackageFinder(), StandIns()).functions["execute"](b"x")
    finally:
        sys.modules["__main__"] = main


class Model:
    def __init__(self, k: int) -> None:
        self.k = k

    def step(self, chunk: bytes) -> bytes:
        return self.inner(chunk) * self.k

    def inner(self, chunk: bytes) -> bytes:
        return chunk + b"!"

    def run(self) -> list[bytes]:
        return [*mapped(self.step, [b"x"])]

    def host(self) -> str:
        return socket.gethostname()

    def shell(self) -> None:
        import subprocess as own

        own.run(["true"], check=True)

    @property
    def name(self) -> str:
        return socket.gethostname()

    @functools.cached_property
    def kept(self) -> str:
        return socket.gethostname()

    @staticmethod
    def plain() -> str:
        return socket.gethostname()

    @classmethod
    def made(cls) -> str:
        return socket.gethostname()

    def asks(self, chunk: bytes) -> Any:
        return self.indirectly(chunk)

    def indirectly(self, chunk: bytes) -> Any:
        return self.host(), chunk

    def by_text(self, _chunk: bytes) -> list[str]:
        said = []
        for word in ("ru-n", "ho-st", "na-me", "ke-pt", "pla-in", "ma-de", "she-ll"):
            try:
                found = getattr(self, word.replace("-", ""))
                found()
            except RuntimeError as error:
                said.append(str(error).partition(" was left out of the job: ")[0])
        return said


class Opened(Model):
    def __init__(self) -> None:
        super().__init__(2)
        self.process = subprocess.Popen(["true"])


def test_a_method_travels_without_the_others_that_cant() -> None:
    assert carried(Model(2).step) == b"x!x!"


def test_an_instance_travels_without_the_methods_that_cant() -> None:
    model = Model(3)
    assert carried(lambda chunk: model.step(chunk) + b"?") == b"x!x!x!?"
    assert carried(lambda chunk: Model(1).step(chunk)) == b"x!"


def test_what_was_left_out_says_so_when_it_is_found_all_the_same() -> None:
    names = ("run", "host", "name", "kept", "plain", "made", "shell")
    assert carried(Model(1).by_text) == [f"Model.{name}" for name in names]


def marked(function: Callable[..., Any]) -> Callable[..., Any]:
    function.route = "/host"  # type: ignore[attr-defined]
    return function


class Routed:
    @marked
    def host(self) -> str:
        """Say where."""
        return socket.gethostname()

    @staticmethod
    def plain() -> str:
        return socket.gethostname()

    @property
    def name(self) -> str:
        """Which."""
        return socket.gethostname()

    def about(self, _chunk: bytes) -> list[Any]:
        entries = vars(type(self))
        routes = [each.__name__ for each in entries.values() if getattr(each, "route", "") == "/host"]
        kinds = [type(entries[each]).__name__ for each in ("ho" + "st", "pla" + "in", "na" + "me")]
        texts = [(each.__qualname__, each.__doc__) for each in entries.values() if getattr(each, "__doc__", "") == "Say where."]
        return [routes, kinds, texts]


def test_what_was_left_out_has_its_names_its_marks_and_its_kind() -> None:
    expected = Routed().about(b"x")
    assert expected[0] == ["host"]
    assert carried(Routed().about) == expected


def test_a_method_that_may_be_called_is_refused_by_name() -> None:
    with pytest.raises(JobDefinitionError, match=r"^host \(test_capture_left_out.py:\d+\) uses 'socket', which is the module"):
        carried(Model(1).asks)
    with pytest.raises(JobDefinitionError, match="uses 'subprocess'"):
        carried(lambda chunk: Opened().step(chunk))


def test_nothing_of_this_package_comes_along_as_a_class_of_values() -> None:
    assert Calls(Model(1).step).classes.known == ()


def test_functions_of_a_module_are_as_they_were() -> None:
    def helper(chunk: bytes) -> str:
        return socket.gethostname()

    table = {"a": helper}
    with pytest.raises(JobDefinitionError, match="socket"):
        carried(lambda chunk: table["a"](chunk) + "?")


def test_nothing_of_an_attempt_stays_behind() -> None:
    def execute(chunk: bytes) -> bytes:
        return Model(1).step(chunk)

    first, second = (build_archive({"execute": execute}, {}) for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        graph = json.loads(archive.read("graph.json"))
    assert graph["imports"] == []
    assert not [node for node in graph["nodes"] if node[0] == "module"]
    assert not [space for space in graph["spaces"] if "subprocess" in space[-1] or "gethostname" in space[-1]]


class Told:
    """Whose truth the machine says: syntax asks for it, and what it is given here is caught."""

    def step(self, chunk: bytes) -> bytes:
        try:
            return chunk if self else b"no"
        except RuntimeError:
            return b"caught"

    def __bool__(self) -> bool:
        return bool(socket.gethostname())


def test_a_class_does_not_travel_without_what_syntax_calls() -> None:
    with pytest.raises(JobDefinitionError, match="socket"):
        carried(Told().step)
