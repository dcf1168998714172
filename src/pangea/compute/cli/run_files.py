"""What else a run can leave behind: pictures and a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pangea.compute.cli.dashes import writable
from pangea.compute.cli.output import check_output, is_stdout, write_output
from pangea.compute.cli.usage import UsageError
from pangea.compute.model.limits import nearest
from pangea.compute.pictures.values.options import Scale

if TYPE_CHECKING:
    from pangea.compute.pictures.runs.facts import RunFacts

#: What `--plot` and `pangea job plot` can draw: as `run_pictures.pictures.RUN_PICTURES`, and the result itself.
WHATS = ("result", "tree", "timeline", "throughput", "fuel")
_PAGES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture to be drawn: one of `WHATS`, the file for it, and the scale of a result's amounts."""

    what: str
    path: Path
    scale: Scale | None = None

    @classmethod
    def of(cls, text: str) -> Plot:
        """What `[WHAT:]FILE` means: without WHAT a file that is called like one is that, any other the result's picture.

        Raises:
            UsageError: WHAT is none of those.
            OutputError: FILE is a folder's name.
        """
        writable(text, "--plot")
        what, colon, file = text.partition(":")
        if colon and what in WHATS and file:
            return cls(what, Path(file))
        if colon and what.isalpha():
            near = nearest(what, list(WHATS))
            known = f"did you mean {near}:{file}? " if near else ""
            hint = f"{known}WHAT is one of {', '.join(WHATS)}; a file of that name is ./{text}"
            raise UsageError(f"there is no picture {what!r} of a run", hint=hint)
        path = Path(text)
        return cls(path.stem if path.stem in WHATS else "result", path)

    def scaled(self, scale: Scale | None) -> Plot:
        """The same with a scale, if it is a result's picture: those of a run have one of their own."""
        return replace(self, scale=scale) if self.what == "result" else self

    def check(self, option: str) -> None:
        """Find out before the job runs whether it could be written.

        Raises:
            PictureError: the file's ending is none of a picture's.
            OutputError: the folder is missing or not writable, or the file is a folder.
        """
        from pangea.compute.pictures.values.picture import check_ending

        check_output(self.path, option)
        check_ending(self.path)

    def draw(self, facts: RunFacts, result: Any) -> None:
        """Draw it; `result` is the job's, or None.

        Raises:
            PictureError: there is no such picture.
            OutputError: it can't be written.
            UnavailableError: a library is missing.
        """
        if self.what == "result":
            from pangea.compute.pictures.runs.results import result_picture

            result_picture(result, scale=self.scale).save(self.path)
        else:
            from pangea.compute.pictures.runs.pictures import run_picture

            run_picture(facts, self.what).save(self.path)


def scaled(plots: list[Plot], scale: Scale | None, option: str) -> list[Plot]:
    """The pictures, that of the result with a scale.

    Raises:
        UsageError: there is a scale, and the result isn't drawn.
    """
    if scale is not None and all(plot.what != "result" for plot in plots):
        hint = "a picture of the result is any FILE that isn't called like one of the run: product.png, result:tree.png"
        raise UsageError(f"{option} {scale}: it is for the result's picture, and no such is drawn", hint=hint)
    return [plot.scaled(scale) for plot in plots]


def check_report(path: Path | None, option: str) -> None:
    """Find out before the job runs whether its report could be written.

    Raises:
        UsageError: the file isn't called like a page.
        OutputError: the folder is missing or not writable, or the file is a folder.
    """
    if path is not None and not is_stdout(path) and path.suffix.lower() not in _PAGES:
        raise UsageError(f"{option} {path}: a report is a page", hint=f"such as {path.with_suffix('.html').name}")
    check_output(path, option)


def write_report(path: Path, facts: RunFacts, result: Any) -> None:
    """Write the report of a run; `result` is the job's, or None.

    Raises:
        OutputError: it can't be written.
    """
    from pangea.compute.pictures.runs.report import report_html
    from pangea.compute.pictures.runs.results import picture_or_why

    picture, why = picture_or_why(result) if result is not None else (None, "")
    write_output(report_html(facts, picture=picture, no_picture=why).encode(), path, what="report")
