"""Heat maps: numbers in rows and columns as colours; few with their figures written in, many as an image of means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.libraries import need
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import canvases, charts, theme, turning
from pangea.compute.pictures.values.drawings import Canvas
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.logarithms import Logarithm, offer
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Grid, Numbers
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import are_years, axis_format, distinct, figure, label_format, numeral, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Up to here each cell is a rectangle that answers to the pointer, and rows and columns have names.
CELLS_SIDE_MAX: Final = 60
#: Cells of a grid of a table's values that are put together: how many there are follows from the values, not from the rows.
_CELLS_MAX: Final = 10_000_000
#: Up to here the figure stands in the cell.
WRITTEN_MAX: Final = 12
#: Cells of the image that larger grids become, on a side.
_IMAGE_SIDE_MAX: Final = 600
_NAME_LETTERS_MAX: Final = 40
_LETTER_WIDTH: Final = 7


@dataclass(frozen=True, slots=True)
class Colours:
    """What colours stand for.

    Attributes:
        low: amount of the first colour.
        high: amount of the last.
        is_signed: whether zero lies in the middle.
        log: the scale, if it is no even one.
    """

    low: float
    high: float
    is_signed: bool
    log: Logarithm | None = None

    @classmethod
    def of(cls, values: Numbers, *, is_log: bool = False) -> Colours:
        """The colours for these amounts: on both sides of zero if they are, else from the least to the greatest."""
        low, high = float(values.min()), float(values.max())
        signed = low < 0 < high
        if signed:
            low, high = -max(-low, high), max(-low, high)
        log = replace(Logarithm.of(values), low=low, high=high) if is_log and low < high else None
        return cls(low, high if high > low else low + max(1.0, abs(low)), signed, log)

    def scale(self) -> alt.Scale:
        """They as altair's scale: of amounts, or of where those stand on a logarithmic one."""
        domain = [self.low, self.high] if self.log is None else [0.0, 1.0]
        return alt.Scale(scheme=theme.SIGNED if self.is_signed else theme.AMOUNTS, domain=domain)

    def ticks(self) -> dict[float, str] | None:
        """Figures by where they stand on a logarithmic scale."""
        return None if self.log is None else {float(self.log.placed(tick)): figure(tick, 3) for tick in self.log.ticks()}

    def ink(self, value: float) -> str:
        """Light letters on the dark colours, dark ones elsewhere."""
        share = (value - self.low) / (self.high - self.low) if self.log is None else float(self.log.placed(value))
        is_dark = not 0.22 < share < 0.86 if self.is_signed else share < 0.5
        return theme.PAPER if is_dark else theme.INK


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw a heat map.

    Raises:
        PictureError: there are no numbers in rows and columns.
    """
    if isinstance(shape, Table) and (options.x is not None or options.y is not None):
        grid, titles, notes = _pivoted(shape, options)
        return of_grid(grid, options, titles, notes)
    grid = turning.as_grid(shape, "heatmap")
    return of_grid(grid, options, ("" if grid.rows else "row", "" if grid.columns else "column"))


def of_grid(grid: Grid, options: PictureOptions, titles: tuple[str, str], before: Sequence[str] = ()) -> Picture:
    """Draw a grid whose rows and columns are what `titles` say, with the notes `before` those that it needs itself.

    Raises:
        PictureError: it has no finite number.
    """
    values, missing = turning.finite(grid.values, "the grid")
    notes = [*before, *(f"{note}; their cells are grey" for note in missing)]
    colours = Colours.of(values, is_log=options.is_log)
    notes += colours.log.notes if colours.log else [] if options.scale else offer(values)
    title = options.heading
    y_title = shown(options.y_label if options.y_label is not None else titles[0])
    x_title = shown(options.x_label if options.x_label is not None else titles[1])
    measure = shown(options.unit or "value")
    rows, columns = grid.values.shape
    reach = f"from {figure(values.min())} to {figure(values.max())}"
    words = f"{title or 'Heat map'}: {counted(rows, 'row')} of {counted(columns, 'column')}, {reach}"
    if max(rows, columns) <= CELLS_SIDE_MAX:
        cells = _cells(grid, colours)
        chart = _chart(cells, grid, (y_title, x_title), measure, values, colours)
        return charts.picture_of(chart, {"rows": cells}, kind="heatmap", title=title, alt=words, notes=notes)
    means, steps = _means(grid.values)
    if steps != (1, 1):
        notes = [*notes, f"each dot is the mean of {steps[0]} x {steps[1]} values"]
    drawing = Canvas(lambda: _paint(means, grid.values.shape, (y_title, x_title), measure, title, notes, is_log=options.is_log))
    return Picture(drawing, kind="heatmap", title=title, alt=words, notes=tuple(notes))


def _pivoted(table: Table, options: PictureOptions) -> tuple[Grid, tuple[str, str], list[str]]:
    """A grid from a table that has a row for each cell, or several, of which it shows the mean; counts if it has no amounts.

    Returns:
        The grid, what its rows and columns are, and what is to be said of it.
    """
    if options.x is None or options.y is None or not isinstance(options.y, str):
        raise PictureError("a heat map of a table needs one column for x and one for y, or neither", hint="name both")
    x, y = table.need(options.x), table.need(options.y)
    spare = [name for name in table.of("number") if name not in (x, y)]
    value = table.need(options.color, "number") if options.color is not None else next(iter(spare), None)
    (columns, column_names), (rows, row_names) = _codes(table, x), _codes(table, y)
    size = (len(row_names), len(column_names))
    if size[0] * size[1] > _CELLS_MAX:
        each = f"{size[0]:,} and {size[1]:,} different values"
        raise PictureError(
            f"columns {shown(y)!r} and {shown(x)!r} have {each}: {size[0] * size[1]:,} cells",
            hint=f"round them, so that there are at most {_CELLS_MAX:,} cells, or draw a 'scatter'",
        )
    where = rows * size[1] + columns
    numbers = table.numbers(value) if value is not None else np.ones(len(table))
    usable = np.isfinite(numbers)
    counts = np.bincount(where[usable], minlength=size[0] * size[1])
    if value is None:
        return Grid(counts.astype(np.float64).reshape(size), row_names, column_names), (y, x), ["numbers of rows"]
    sums = np.bincount(where[usable], numbers[usable], minlength=size[0] * size[1])
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    several = int((counts > 1).sum())
    notes = [f"means of {shown(value)}, over up to {counted(int(counts.max()), 'row')} a cell"] if several else []
    if left_out := len(table) - int(usable.sum()):
        notes.append(f"{counted(left_out, 'row')} of {len(table):,} left out: missing, or not finite")
    return Grid(means.reshape(size), row_names, column_names), (y, x), notes


def _codes(table: Table, name: str) -> tuple[Any, list[str]]:
    """The place of each row's value among the values of a column, in their order, and what those are called."""
    if table.sort_of(name) == "date":
        clock, moments = table.moments(name)
        values, places = _unique(moments, name)
        return places, clock.texts(values)
    if table.sort_of(name) == "number":
        column = table.arrow[name]
        is_exact = table.is_whole(name) and not column.null_count
        values, places = _unique(column.to_numpy() if is_exact else table.numbers(name), name)
        plain = are_years(values.tolist())
        return places, [str(int(value)) if plain else numeral(value) for value in values.tolist()]
    texts = [text if text is not None else "(none)" for text in table.texts(name)]
    words = list(dict.fromkeys(texts))
    if all(word.isdecimal() for word in words):
        words.sort(key=int)
    place_of = {word: place for place, word in enumerate(words)}
    return np.array([place_of[text] for text in texts]), words


def _unique(values: Any, name: str) -> tuple[Any, Any]:
    """Each value once, in order, and the place of each row's among them."""
    if not np.isfinite(values).all():
        raise PictureError(f"column {shown(name)!r} has missing values", hint="leave those rows out")
    return np.unique(values, return_inverse=True)


def labels_of(names: Sequence[str] | None, number: int) -> list[str]:
    """What rows or columns are called, each different from the others; their numbers if they have no names."""
    return distinct(names if names is not None else map(str, range(number)), _NAME_LETTERS_MAX)


def _cells(grid: Grid, colours: Colours) -> list[dict[str, Any]]:
    rows, columns = labels_of(grid.rows, len(grid.values)), labels_of(grid.columns, grid.values.shape[1])
    cells: list[dict[str, Any]] = []
    for values, row in zip(grid.values.tolist(), rows, strict=True):
        for value, column in zip(values, columns, strict=True):
            if turning.drawable(value):
                ink = colours.ink(value)
                place = {} if colours.log is None else {"place": float(colours.log.placed(value))}
                cells.append({"row": row, "column": column, "value": value, "text": figure(value, 3), "ink": ink, **place})
            else:
                cells.append({"row": row, "column": column, "value": None, "text": "–", "ink": theme.INK})
    return cells


def _chart(
    cells: list[dict[str, Any]], grid: Grid, titles: tuple[str, str], measure: str, values: Numbers, colours: Colours
) -> Any:
    rows, columns = labels_of(grid.rows, len(grid.values)), labels_of(grid.columns, grid.values.shape[1])
    is_written = max(len(rows), len(columns)) <= WRITTEN_MAX
    high = max(10, min(44, 520 // len(rows)))
    wide = max(10, min(56, theme.WIDTH // len(columns)))
    if is_written:
        wide = max(wide, name_width([cell["text"] for cell in cells]))
    form, label_form = axis_format(values.ravel().tolist()), label_format(values.ravel().tolist())
    field = "value" if colours.log is None else "place"
    colour = charts.shades(field, measure, colours.scale(), length=high * len(rows), form=form, ticks=colours.ticks())
    tooltips = [charts.tooltip("row", titles[0] or "row"), charts.tooltip("column", titles[1] or "column")]
    tooltips.append(charts.tooltip("value", measure, label_form))
    return cell_chart((rows, columns), titles, colour, tooltips, size=(wide, high), is_written=is_written)


def cell_chart(
    names: tuple[list[str], list[str]],
    titles: tuple[str, str],
    colour: alt.Color,
    tooltips: list[Any],
    *,
    size: tuple[int, int],
    is_written: bool,
) -> alt.LayerChart:
    """Cells of a table with the columns row, column, text and ink.

    Args:
        names: of rows and columns.
        titles: what rows and columns are.
        colour: of the cells.
        tooltips: what the pointer shows.
        size: width and height of a cell, in pixels.
        is_written: whether the text stands in the cells.
    """
    rows, columns = names
    tilted = name_width(columns) > size[0]
    few = max(len(rows), len(columns)) <= 2 * WRITTEN_MAX
    base = charts.chart().encode(
        x=charts.names("X", "column", titles[1], columns, tilted=tilted, all_shown=few),
        y=charts.names("Y", "row", titles[0], rows, all_shown=few),
        tooltip=tooltips,
    )
    rim = {"stroke": theme.GRID, "strokeWidth": 1} if is_written else {}
    colour = alt.condition("!isValid(datum.value)", alt.value(theme.MISSING), colour)
    layers = [base.mark_rect(aria=False, invalid=None, **rim).encode(color=colour)]
    if is_written:
        ink = alt.Color(field="ink", type="nominal", scale=None)
        layers.append(base.mark_text(fontSize=theme.SMALL).encode(text=charts.written("text"), color=ink))
    layered: alt.LayerChart = alt.layer(*layers).resolve_scale(color="independent")
    return layered.properties(width=alt.Step(size[0]), height=alt.Step(size[1]))


def name_width(names: Sequence[str]) -> int:
    """Pixels that the longest of these names takes, about."""
    return 8 + _LETTER_WIDTH * max(map(len, names))


def _means(values: Numbers) -> tuple[Numbers, tuple[int, int]]:
    """Means of blocks, so that no side has more than `_IMAGE_SIDE_MAX`; NaN where a block has no number."""
    steps = (-(-values.shape[0] // _IMAGE_SIDE_MAX), -(-values.shape[1] // _IMAGE_SIDE_MAX))
    known = turning.drawable(values)
    sums, counts = np.where(known, values, 0.0), known.astype(np.int64)
    for axis, step in enumerate(steps):
        starts = np.arange(0, values.shape[axis], step)
        sums, counts = np.add.reduceat(sums, starts, axis=axis), np.add.reduceat(counts, starts, axis=axis)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0), steps


def _norm(colours: Colours) -> Any:
    """The colours' scale as matplotlib's."""
    scales = need("matplotlib.colors", "a picture")
    if colours.log is None:
        return scales.Normalize(colours.low, colours.high)
    return scales.FuncNorm((colours.log.placed, colours.log.unplaced), colours.low, colours.high)


def _paint(
    means: Numbers,
    size: tuple[int, ...],
    titles: tuple[str, str],
    measure: str,
    title: str,
    notes: Sequence[str],
    *,
    is_log: bool,
) -> Figure:
    matplotlib = need("matplotlib", "a picture")
    colours = Colours.of(means[np.isfinite(means)], is_log=is_log)
    wide = 520.0
    high = min(620.0, max(140.0, wide * size[0] / size[1]))
    top = canvases.head(title, notes) + 4
    sheet, _ = canvases.board(wide + 200, top + high + 58, title, notes)
    axes = canvases.part(sheet, 78, top, wide, high)
    name = theme.SIGNED_MATPLOTLIB if colours.is_signed else theme.AMOUNTS
    scheme = matplotlib.colormaps[name].with_extremes(bad=theme.MISSING)
    extent = (0, size[1], size[0], 0)
    drawn = axes.imshow(means, cmap=scheme, norm=_norm(colours), aspect="auto", interpolation="nearest", extent=extent)
    axes.set_ylabel(titles[0])
    axes.set_xlabel(titles[1])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    axes.spines[:].set_visible(False)
    bar = sheet.colorbar(
        drawn, cax=canvases.part(sheet, 78 + wide + 18, top, 14, min(high, 220.0)), format=lambda x, _: figure(x, 3)
    )
    if colours.log is not None:
        bar.set_ticks([tick for tick in colours.log.ticks() if colours.low <= tick <= colours.high])
    bar.outline.set_visible(False)
    bar.set_label(measure)
    return sheet
