"""Categories in ready jobs: groups go by places among them, and what is made of a column's values is of its categories again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.categories import Categories, check_ordered, parsed, places

#: In a table's metadata, before a column's name: it holds places, of these categories.
_PLACES = b"pangea.places."
_COUNTED = frozenset({"count", "min", "max", "first", "last"})

#: Type and categories of what a column of places stands for, by the column's name.
Coded = dict[str, tuple[str, Categories]]


def as_places(column: Column) -> Column:
    """A column of categories as whole numbers in their order; any other as it is."""
    if column.known_categories is None:
        return column
    return column.plain().made_of(places(column), "int32")


def check_figures(column: Column, whats: Iterable[str]) -> None:
    """Refuse figures that categories have not, as pandas does.

    Raises:
        DataError: names the column and the figure.
    """
    if column.known_categories is None:
        return
    wrong = next((what for what in whats if what not in _COUNTED), None)
    if wrong is not None:
        raise DataError(f"column {column.name!r} has categories, which have no {wrong}: pass it as numbers, x.astype('float64')")
    try:
        if not {"min", "max"}.isdisjoint(whats):
            check_ordered(column, "none is the least or the greatest")
    except TypeError as exc:
        raise DataError(f"{exc}; outside, x.cat.as_ordered() or x.astype(str)") from exc


def with_places(table: Table, names: Iterable[str]) -> tuple[Table, Coded]:
    """The table with places in those of its columns that have categories, and what these stand for."""
    chosen = [table[name] for name in dict.fromkeys(names)]
    coded = {column.name: (column.type, known) for column in chosen if (known := column.known_categories) is not None}
    if not coded:
        return table, coded
    return Table.of({**table.columns, **{name: as_places(table[name]) for name in coded}}), coded


def of_state(
    coded: Mapping[str, tuple[str, Categories]], keys: Iterable[str], wanted: Iterable[tuple[str, Iterable[str]]]
) -> Coded:
    """What columns of the state of `groups` stand for, by what those of the table do."""
    found = {f"key{index}": coded[name] for index, name in enumerate(keys) if name in coded}
    for index, (name, whats) in enumerate(wanted):
        found |= {f"{index}.{what}": coded[name] for what in whats if what != "count" and name in coded}
    return found


def with_values(table: Table, coded: Mapping[str, tuple[str, Categories]]) -> Table:
    """The table with what places stand for."""
    if not coded:
        return table
    columns = dict(table.columns)
    for name, (kind, known) in coded.items():
        values = [None if place is None else known.values[place] for place in columns[name].stored()]
        columns[name] = columns[name].made_of(values, kind).described_by(known)
    return Table.of(columns)


def noted(table: Table, coded: Mapping[str, tuple[str, Categories]]) -> Table:
    """The table, whose metadata says what columns of places stand for."""
    notes = [
        (_PLACES + name.encode(), kind.encode() + b"\0" + known.described()) for name, (kind, known) in sorted(coded.items())
    ]
    return Table(table.columns.values(), [len(table)], tuple(notes))


def noted_in(tables: Iterable[Table]) -> Coded:
    """What columns of places stand for, by the metadata of tables.

    Raises:
        DataError: the tables differ.
    """
    notes: dict[bytes, bytes] = {}
    for number, table in enumerate(tables):
        here = {key: value for key, value in table.metadata if key.startswith(_PLACES)}
        if number and here != notes:
            raise DataError("a column has other categories in one part of the input than in another: give all the same ones")
        notes = here
    found: Coded = {}
    for key, value in notes.items():
        kind, _, described = value.partition(b"\0")
        found[key.removeprefix(_PLACES).decode()] = (kind.decode(), parsed(described))
    return found


def described(columns: Mapping[str, object], types: Mapping[str, str], known: Mapping[str, Categories | None]) -> Table:
    """A table as `Table.of` makes it, whose columns made of lists are said to be of categories again."""
    table = Table.of(columns, types)
    return Table.of(
        {name: column.described_by(held) if (held := known.get(name)) else column for name, column in table.columns.items()}
    )
