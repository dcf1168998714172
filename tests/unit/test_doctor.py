"""What `pangea doctor` makes of what it finds."""

from __future__ import annotations

import pytest

from pangea.compute.cli import doctor
from pangea.compute.cli.doctor_finding import Finding
from pangea.compute.model.errors import UnavailableError


def test_doctor_marks_what_is_wrong_and_how_to_mend_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Finding("python", "3.14", True), Finding("limit", "9", None), Finding("cache", "full", False, "free some")]
    monkeypatch.setattr(doctor, "_examine", lambda: iter(found))
    with pytest.raises(UnavailableError, match="can't run jobs"):
        doctor.doctor()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["ok", "python", "3.14"], ["limit", "9"], ["FAIL", "cache", "full"], ["remedy:", "free", "some"]]
    del found[2:]
    doctor.doctor()
    assert capsys.readouterr().out.endswith("this machine can run jobs\n")
