"""Statements that every call needs: compiled once for a database, and run on the driver's own connection.

SQLAlchemy takes several times as long to find and prepare a small statement as the database takes to run it. These are
written like all others and run without that. Errors are SQLAlchemy's, so that they are translated like all others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from callwright.errors import StorageError


class Cursor(Protocol):
    """What a driver gives back (PEP 249)."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one database has it."""

    text: str
    parameters: tuple[tuple[str, object], ...]
    "names in the order of the text, each with the value it has when none is given"
    processors: Mapping[str, Any]
    "of the few parameters that are not handed to the driver as they are"
    is_positional: bool


class Prepared:
    """A statement, and for an INSERT the columns that it fills."""

    def __init__(self, statement: "Insert | Update | Delete | Select[*tuple[Any, ...]]", *columns: str) -> None:
        self.statement = statement
        self._columns = columns
        self._forms: dict[str, _Form] = {}

    def run(self, connection: Connection, values: Mapping[str, object]) -> Cursor:
        """Run it within the connection's transaction. Raises SQLAlchemy's DBAPIError; KeyError for a missing value,
        TypeError for columns that are not those of the INSERT.
        """
        if not connection.in_transaction():
            raise StorageError("a prepared statement runs in a transaction")
        if self._columns and len(values) != len(self._columns):
            raise TypeError(f"{sorted(values)} are not the columns {sorted(self._columns)}")
        form = self._forms.get(connection.dialect.name) or self._compiled(connection.dialect)
        named = {name: values[name] if default is _REQUIRED else default for name, default in form.parameters}
        for name, process in form.processors.items():
            named[name] = process(named[name])
        if form.is_positional:
            return run_text(connection, form.text, [named[name] for name, _ in form.parameters])
        return run_text(connection, form.text, named)

    def _compiled(self, dialect: Dialect) -> _Form:
        compiled = self.statement.compile(dialect=dialect, column_keys=self._columns or None)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what SQL statements compile to
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError(f"this statement's text depends on its values: {compiled.string}")
        bound = {name: parameter for parameter, name in compiled.bind_names.items()}
        processors = {
            name: process
            for name, parameter in bound.items()
            if (process := parameter.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        names = compiled.positiontup if compiled.positional else tuple(bound)
        form = self._forms[dialect.name] = _Form(
            compiled.string,
            tuple((name, _REQUIRED if bound[name].required else compiled.params[name]) for name in names or ()),
            processors,
            compiled.positional,
        )
        return form


_REQUIRED = object()


def run_text(connection: Connection, text: str, values: "Sequence[object] | Mapping[str, object]" = ()) -> Cursor:
    """Run a statement in the driver's own words. Raises SQLAlchemy's DBAPIError."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _known(connection, text, error) from error
    return cast("Cursor", cursor)


def _known(connection: Connection, text: str, error: Any) -> BaseException:
    """The driver's error as SQLAlchemy has it, values left out; a connection that is lost is not used again."""
    dialect = connection.dialect
    is_lost = dialect.is_disconnect(error, connection.connection, None)
    known: BaseException = DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=dialect,
    )
    if is_lost:
        connection.invalidate(error)
    return known
