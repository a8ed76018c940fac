"""A question as one statement for Athena, made from the same SQL that DuckDB runs.

sqlglot translates what it knows and lets the rest through unchanged, so a construct that Athena reads
differently, or not at all, would fail only there. Therefore every node of the statement must be in ALLOWED:
what stands there was compared in both dialects, everything else is refused before it leaves this machine.
sqlglot is needed only here, by whoever develops or operates the AWS side (requirements-dev.txt).
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp, parse_one

from clickstream.analytics.catalog import Question
from clickstream.analytics.local_time import in_zone
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.analytics.sources import FIELDS, IS_BOT_OF_EXTRA
from clickstream.analytics.views import events_view, views
from clickstream.errors import ClickstreamError
from clickstream.timestamps import DAY_MS, parse, text

# Names of sqlglot's nodes. Refused on purpose, because they pass sqlglot and mean nothing to Athena:
# GROUP BY ALL, QUALIFY, time_bucket, quantile_cont, epoch_ms, list and struct literals,
# any function unknown to sqlglot. What RegexpExtract does not find is an empty text here and null there.
_ALLOWED_NAMES: Final = (
    "Abs Add Alias And Between CTE Case Cast Coalesce Column Count DPipe DataType DataTypeParam DateDiff Distinct "
    "Div EQ Filter Floor From GT GTE Group Identifier If Interval Is JSONExtract JSONExtractScalar JSONFormat "
    "JSONPath JSONPathKey JSONPathRoot Join LT LTE Lag Lead Like Limit Literal Lower Max Min Mod Mul NEQ Not Null "
    "Nullif Or Order Ordered Paren RegexpExtract RegexpLike Replace RowNumber Select Star Sub Subquery Substring Sum "
    "Table TableAlias TimestampTrunc TryCast Union Unnest Upper Var Where Window WindowSpec With "
)
ALLOWED: Final = frozenset(_ALLOWED_NAMES.split())
# Types that both call by one name and print alike; TIMESTAMPNTZ is plain TIMESTAMP.
ALLOWED_TYPES: Final = frozenset({"TIMESTAMPNTZ", "DATE", "BIGINT", "DECIMAL", "JSON", "ARRAY", "VARCHAR", "TEXT"})
_FIRST_MS: Final = parse("0001-01-01T00:00:00Z")


class NotPortable(ClickstreamError):
    """The SQL uses a construct that is not known to mean the same in Athena."""


def statement(question: Question, scope: Scope = EVERYTHING, *, database: str, table: str = "events") -> str:
    """`question` over the lake's `database`.`table` as one Athena statement; raises NotPortable.

    Each event counts once, however often it was delivered. `since_ms` also limits the partitions that are
    read, and so the price; `until_ms` cannot, because an event may arrive any time after it happened.
    """
    events = events_view(_source(database, table, scope.since_ms), scope)
    return translate(in_zone(question.sql, scope), {"events": events, **views(scope)})


def _source(database: str, table: str, since_ms: int | None) -> str:
    fields = ", ".join(f'"{field}"' for field in FIELDS)
    # A producer's clock may be a day ahead, so an event may have arrived a day before its own time.
    arrived = "" if since_ms is None else f" WHERE dt >= '{text(max(since_ms - DAY_MS, _FIRST_MS))[:10]}'"
    return (
        f"SELECT {fields}, {IS_BOT_OF_EXTRA} FROM (SELECT {fields}, extra, "  # noqa: S608 (names of our own template)
        "row_number() OVER (PARTITION BY event_id ORDER BY received_at) "
        f'AS copy_number FROM "{database}"."{table}"{arrived}) AS copies '
        "WHERE copy_number = 1 OR event_id IS NULL"
    )


def translate(question: str, views: dict[str, str]) -> str:
    """`question` with the views it needs as common table expressions, in Athena's dialect."""
    tree = _parsed(question)
    needed = _needed(tree, views)
    own = tree.args.get("with_") or tree.args.get("with")
    ctes = [
        exp.CTE(this=needed[name], alias=exp.TableAlias(this=exp.to_identifier(name)))
        for name in views
        if name in needed
    ]
    tree.set(
        "with_" if "with_" in tree.arg_types else "with", exp.With(expressions=ctes + (own.expressions if own else []))
    )
    check(tree)
    return tree.sql(dialect="athena", comments=False, pretty=True)


def _parsed(sql: str) -> exp.Expr:
    """`sql` of DuckDB, in which the text of a JSON value is a cast; Athena's cast would take the quotes off."""
    return parse_one(sql, read="duckdb").transform(_json_format)


def _json_format(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.JSONExtract) and node.is_type("varchar", "text"):
        return exp.JSONFormat(this=node.this, is_json=True)
    return node


def check(tree: exp.Expr) -> None:
    """Raise NotPortable for the first construct of `tree` that is not in ALLOWED."""
    for node in tree.walk():
        if reason := _objection(node):
            raise NotPortable(f"`{node.sql(dialect='duckdb')[:80]}`: {reason}")


def _objection(node: exp.Expr) -> str | None:
    if type(node).__name__ not in ALLOWED:
        return f"{type(node).__name__} is not known to mean the same in Athena"
    if isinstance(node, exp.Group) and node.args.get("all"):
        return "GROUP BY ALL is not known to Athena; name the columns"
    if isinstance(node, exp.Star) and any(node.args.values()):
        return "Athena knows no * EXCLUDE, REPLACE or RENAME; name the columns"
    if isinstance(node, exp.DataType) and node.this.name not in ALLOWED_TYPES:
        return f"the type {node.this.name} is not known to mean the same in Athena"
    if isinstance(node, exp.Div) and not _is_fractional(node):
        return "write `* 1.0 /`, whole numbers divide differently"
    return None


def _is_fractional(division: exp.Expr) -> bool:
    return any("." in literal.this for literal in division.find_all(exp.Literal) if not literal.is_string)


def _needed(tree: exp.Expr, views: dict[str, str]) -> dict[str, exp.Expr]:
    """Those of `views` that `tree` stands on, parsed."""
    needed: dict[str, exp.Expr] = {}
    waiting = [tree]
    while waiting:
        for table in waiting.pop().find_all(exp.Table):
            if table.name in views and not table.db and table.name not in needed:
                needed[table.name] = _parsed(views[table.name])
                waiting.append(needed[table.name])
    return needed
