"""`visualize`: the kinds of pictures by name, and which one a value is if nobody says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pangea.compute.model.errors import PictureError
from pangea.compute.model.libraries import look_for, need
from pangea.compute.pictures.values.options import Aggregate, PictureOptions, Scale
from pangea.compute.pictures.values.picture import Picture

if TYPE_CHECKING:
    from pangea.compute.pictures.values.shapes import Series
    from pangea.compute.pictures.values.turning import Shape

_HERE: Final = "pangea.compute.pictures.values"
#: What pictures are made with: looked for before anything is drawn, so that what is missing is said in words. Some kinds need no
#: chart, whose libraries take half a second to load.
_LIBRARIES: Final = ("numpy", "pyarrow", "narwhals", "PIL.Image")
_OF_CHARTS: Final = ("altair", "vl_convert")

#: Up to so many numbers without names are bars; from so many on, a histogram; lines in between.
FEW, MANY = 12, 100
_AXES: Final = frozenset({"x", "y", "color", "x_label", "y_label", "unit"})


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of picture is drawn.

    Attributes:
        module: where.
        function: by what.
        options: those of `visualize` that it has, beside the title.
    """

    module: str
    function: str
    options: frozenset[str]

    def draw(self, shape: Shape, options: PictureOptions) -> Picture:
        """The picture; its module is loaded now."""
        function: Callable[[Shape, PictureOptions], Picture] = getattr(import_module(f"{_HERE}.{self.module}"), self.function)
        return function(shape, options)


KINDS: Final = {
    "bar": Kind("bars", "draw", _AXES | {"top", "labels", "aggregate", "sort", "scale"}),
    "line": Kind("lines", "draw", _AXES | {"scale"}),
    "scatter": Kind("scatters", "draw", _AXES),
    "histogram": Kind("histograms", "draw", _AXES - {"y", "color"} | {"bins", "scale"}),
    "heatmap": Kind("heatmaps", "draw", _AXES | {"scale"}),
    "image": Kind("images", "draw", frozenset()),
    "images": Kind("images", "draw_many", frozenset({"top", "labels"})),
    "table": Kind("tables", "draw", frozenset({"top"})),
    "graph": Kind("networks", "draw", frozenset({"x", "y", "color"})),
    "coefficients": Kind("coefficients", "draw", frozenset({"top", "x_label", "y_label", "unit"})),
    "clusters": Kind("clusters", "draw", frozenset({"x_label", "y_label", "unit"})),
    "confusion": Kind("confusions", "draw", frozenset({"labels", "x_label", "y_label"})),
}


def visualize(
    value: Any,
    kind: str | None = None,
    *,
    title: str | None = None,
    x: str | None = None,
    y: str | Sequence[str] | None = None,
    color: str | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
    unit: str | None = None,
    top: int | None = None,
    bins: int | None = None,
    labels: Sequence[str] | None = None,
    aggregate: Aggregate | None = None,
    sort: bool | None = None,
    scale: Scale | None = None,
) -> Picture:
    """Draw a value: by its type, or as the `kind` that is named.

    Args:
        value: a result of a job, an array, a data frame or Arrow table, JSON values, a PIL image or a PNG file's bytes, a
            networkx graph, or a model (coefficients, centroids, a confusion matrix).
        kind: one of `KINDS`; without one, docs/visualizer.md says which it is.
        title: stands above the picture.
        x: the column across: names of bars, dates of a line, sources of edges.
        y: the column of amounts; for lines, several.
        color: the column that tells groups apart; of a graph, the attribute of nodes.
        x_label: what x is called, instead of its column.
        y_label: what the amounts are called.
        unit: in what amounts are measured, such as "ms"; stands at their axis.
        top: at most so many bars, rows, images or coefficients; 1 or more.
        bins: ranges of a histogram; 1 or more.
        labels: names of bars, images or classes, in their order.
        aggregate: how bars put rows of one name together; sums, if nothing is said.
        sort: whether bars stand by size (True) or in the order in which they come (False); by size for names, by their own
            order for numbers and dates, if nothing is said.
        scale: "log" has amounts (bars, lines, colours of a heat map) and the ranges of a histogram by powers of ten; a note
            offers it where one amount, or a tail, dwarfs the others.

    Raises:
        PictureError: there is no picture of this, or not of that kind, or an option doesn't belong to it.
        UnavailableError: a library is missing.
    """
    if kind is not None and kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, 1)
        said = f"did you mean {near[0]!r}? there are" if near else "there are"
        raise PictureError(f"there is no kind of picture called {kind!r}", hint=f"{said} {', '.join(KINDS)}")
    for library in _LIBRARIES:
        need(library, "a picture")
    for library in _OF_CHARTS:
        look_for(library, "a picture")
    options = PictureOptions(
        title=title, x=x, y=y, color=color, x_label=x_label, y_label=y_label, unit=unit, top=top, bins=bins, labels=labels,
        aggregate=aggregate, sort=sort, scale=scale,
    )  # fmt: skip
    shape: Shape = import_module(f"{_HERE}.reading").read(value)
    name = kind or kind_of(shape, options)
    options.check(name, KINDS[name].options)
    return KINDS[name].draw(shape, options)


def kind_of(shape: Shape, options: PictureOptions) -> str:
    """The kind of picture for a value, by what it is.

    Raises:
        PictureError: it is a table without numbers.
    """
    from pangea.compute.pictures.values import shapes
    from pangea.compute.pictures.values.frames import Table

    if isinstance(shape, shapes.Series):
        return _kind_of_series(shape, options)
    if isinstance(shape, shapes.Grid):
        rows, columns = shape.values.shape
        return "scatter" if columns == 2 and rows > FEW else "heatmap"
    if isinstance(shape, Table):
        return _kind_of_table(shape, options)
    simple = {
        shapes.Pixels: "image", shapes.Stack: "images", shapes.Network: "graph", shapes.Coefficients: "coefficients",
        shapes.Clusters: "clusters", shapes.Confusion: "confusion", shapes.Bins: "histogram",
    }  # fmt: skip
    return simple[type(shape)]


def _kind_of_series(series: Series, options: PictureOptions) -> str:
    if options.bins is not None:
        return "histogram"
    if options.labels is not None or len(series.values) <= FEW:
        return "bar"
    return "histogram" if len(series.values) > MANY else "line"


def _kind_of_table(table: Any, options: PictureOptions) -> str:
    from pangea.compute.pictures.values import frames, turning

    numbers, dates, texts = table.of("number"), table.of("date"), table.of("text")
    if options.x is not None:
        across = table.sort_of(table.need(options.x))
        if across != "number":
            return "line" if across == "date" and numbers else "bar"
        return "scatter" if [name for name in numbers if name != options.x] else "histogram"
    if not numbers:
        raise frames.no_numbers(table)
    if dates or not isinstance(options.y, str | None):
        return "line"
    if texts or len(table) == 1:
        return "bar"
    if len(numbers) > 1:
        return "bar" if numbers[0] == "name" and len(table) <= 60 and len(numbers) == 2 else "scatter"
    return _kind_of_series(turning.as_series(table, numbers[0], "picture"), options)
