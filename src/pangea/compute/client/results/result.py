"""What a job gives: bytes, which know what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pangea.compute.model.errors import ResultError
from pangea.compute.model.kinds import ResultKind

if TYPE_CHECKING:
    from pangea.compute.model.report import Report

_UNKNOWN = ResultKind()


class Value(bytes):
    """A job's result: its bytes, and what they are to be read as. What `JobDefinition.run_local` returns.

    Every reading is made anew: keep it, rather than asking twice.

    Attributes:
        kind: what the job is declared to return; "bytes" if nothing is declared or known.
        is_joined: whether it is the results of the chunks, one behind the other; None: unknown.
    """

    kind: str
    is_joined: bool | None

    def __new__(cls, data: bytes, kind: ResultKind = _UNKNOWN) -> Self:
        """Wrap `data`, which is copied."""
        value = super().__new__(cls, data)
        value.kind, value.is_joined = kind
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        """Bytes and kind travel; what was read from them doesn't."""
        return type(self), (bytes(self), ResultKind(self.kind, self.is_joined))

    @property
    def value(self) -> Any:
        """The result as declared: bytes, str, a JSON value, `ndarray`, pandas `DataFrame`, PIL `Image`.

        Raises:
            ResultError: it isn't what was declared.
            UnavailableError: the library for it isn't installed.
        """
        match self.kind:
            case "array":
                return self.as_array()
            case "table":
                return self.as_frame()
            case "json" | "jsonl":
                return self.as_json()
            case "text":
                return self.as_text()
            case "image":
                return self.as_image()
            case _:
                return bytes(self)

    def as_array(self, *, copy: bool = True) -> Any:
        """The result as a NumPy array: its .npy files, joined along the first axis.

        Args:
            copy: whether it gets memory of its own, which can be written to. Otherwise it is a read-only view of the result's
                bytes if they are one array; several are copied all the same, once.

        Raises:
            ResultError: it is something else.
            UnavailableError: NumPy isn't installed.
        """
        from pangea.compute.client.results import reading

        return reading.array_of(self, copy=copy)

    def as_frame(self) -> Any:
        """The result as a pandas `DataFrame`; integers and booleans with nulls keep their type, as pandas' nullable ones.

        Raises:
            ResultError: it is no table.
            UnavailableError: pandas or pyarrow isn't installed.
        """
        from pangea.compute.client.results import reading

        return reading.frame_of(self)

    def as_arrow(self) -> Any:
        """The result as a `pyarrow.Table`, whose columns are in the result's own bytes.

        Raises:
            ResultError: it is no table.
            UnavailableError: pyarrow isn't installed.
        """
        from pangea.compute.client.results import reading

        return reading.arrow_of(self)

    def as_json(self) -> Any:
        """The result as JSON: a list if it is declared "jsonl", or "json" without a merge; else the value.

        If nothing is declared, several lines of JSON are a list, too.

        Raises:
            ResultError: it is something else.
        """
        from pangea.compute.client.results import reading

        return reading.json_of(self, self.kind, is_joined=self.is_joined)

    def as_text(self) -> str:
        """The result as text.

        Raises:
            ResultError: it isn't UTF-8.
        """
        from pangea.compute.client.results import reading

        return reading.text_of(self)

    def as_image(self) -> Any:
        """The result as a `PIL.Image.Image`: a PNG, or an array of pixels (uint8, two axes or a third of 3 or 4).

        Raises:
            ResultError: it is something else.
            UnavailableError: Pillow isn't installed.
        """
        from pangea.compute.client.results import reading

        return reading.image_of(self)

    def __int__(self) -> int:
        """The whole number that the bytes write, as of any bytes.

        Raises:
            ResultError: it is an array, a table or an image. `numpy.asarray` asks bytes for a number, whatever else they offer.
            ValueError: the bytes write no whole number.
        """
        if self.kind in ("array", "table", "image"):
            remedy = {"array": "as_array()", "table": "as_frame()", "image": "as_image()"}[self.kind]
            raise ResultError(
                f"the result is declared {self.kind!r} and is no single number; NumPy takes whatever is bytes for one",
                hint=f"write result.{remedy} or result.value, and numpy.asarray of that",
                kind=self.kind,
            )
        return int(bytes(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """The array, for libraries that ask for it; `numpy.asarray` doesn't, as bytes are a string to NumPy.

        Raises:
            ResultError: as of `as_array`.
            ValueError: `copy` is False, and it can't be had without one.
        """
        array = self.as_array(copy=bool(copy))
        has_copied = bool(copy) or array.flags.owndata
        if copy is False and (has_copied or (dtype is not None and array.dtype != dtype)):
            raise ValueError("the result is in several parts, or of another type: an array of it is a copy")
        return array if dtype is None else array.astype(dtype, copy=False)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The table, for libraries that ask for it: `pyarrow.table(result)`, `pandas.DataFrame.from_arrow(result)`.

        Raises:
            ResultError: as of `as_arrow`.
        """
        return self.as_arrow().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        """What it is, and how it begins, in notebooks."""
        from pangea.compute.client.results.showing import value_html

        return value_html(self, ResultKind(self.kind, self.is_joined))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Likewise, or the image itself."""
        from pangea.compute.client.results.showing import value_bundle

        return value_bundle(self, ResultKind(self.kind, self.is_joined))


class Result(Value):
    """What `submit_job` returns: a value that also carries how it came about.

    Attributes:
        report: time, tasks, fuel, where it ran and how it was checked.
    """

    report: Report

    def __new__(cls, data: bytes, report: Report, kind: ResultKind = _UNKNOWN) -> Self:
        """Wrap `data`, which is copied."""
        result = super().__new__(cls, data, kind)
        result.report = report
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        """Bytes, report and kind travel."""
        return type(self), (bytes(self), self.report, ResultKind(self.kind, self.is_joined))
