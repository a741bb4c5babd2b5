"""What a customer's score would be with facts that no table has yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import isnan
from typing import TYPE_CHECKING, Any, cast

from cva_sql.cli.score.program import HELD, STORED, attach, build, customer_of, plain_column
from cva_sql.cli.shop.connection import reason_of
from cva_sql.cli.shop.sql_text import literal, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.udfs.manifest import Manifest

OF_SHOP = "shop_"  # how features begin that are the same for every customer
Facts = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class RowScore:
    """A customer's score as customer_value has it, money in the shop's currency.

    `score` is 0 to 100, null without a trained model and for who is not eligible. Null quantiles
    where the model has none.
    """

    customer_id: str
    as_of_date: date
    score: float | None
    predicted_value: float
    predicted_value_p10: float | None
    predicted_value_p50: float | None
    predicted_value_p90: float | None
    purchase_probability: float | None
    churn_probability: float | None
    predicted_orders: float | None
    model_version: str
    model_hash: str
    is_eligible: bool = True


class Scorer:
    """Holds the shop's database for reading, and the SQL of its last run prepared.

    Use it as a context, or `close` it: nothing can write the shop meanwhile.
    """

    def __init__(self, shop: ResolvedShop) -> None:
        import duckdb

        from cva_sql.udfs.register import register

        if shop.var("cva_customer_key"):
            raise UsageError(
                "score_rows does not know whose rows are by cva_customer_key; take the scores of a"
                " run: cva run"
            )
        self._shop, self._con = shop, duckdb.connect(":memory:")
        try:
            self._con.execute("set threads = 1").fetchall()  # one customer is no work to share
            register(self._con, models_dir=shop.models_dir, encoder_tier=shop.encoder_tier)
            attach(self._con, shop.db)
            self._program = build(self._con, shop)
            self._as_of = self._run_as_of()
            self._columns = self._feature_columns()
            self._whose = {
                place: customer_of(self._con, shop, place) for place in self._program.raw
            }
        except duckdb.Error as error:
            self.close()
            raise CvaError(f"{shop.db}: {reason_of(error)}; run first: cva run") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the database."""
        from cva_sql.udfs.register import unregister

        unregister(self._con)
        self._con.close()

    def score_rows(self, customer_id: str, facts: Facts | None = None) -> RowScore:
        """The score of one customer, with `facts` on top of what is stored.

        `facts` are rows by raw table, each with the columns that the table has, e.g. {"orders":
        [{"order_id": "new", "ordered_at": "2026-01-05 10:00", "amount": 40}]}; a row without
        customer_id is this customer's. Nothing is stored. It is what a run after a load of these
        facts would say; the packaged rule goes on by what the last run knew of the shop. Raises
        UsageError for a table or column that is not there, or a customer of whom nothing is known.
        """
        import duckdb

        from cva_sql.udfs.predict import predict
        from cva_sql.udfs.sessions import deployed_folder, load_model

        self._con.begin()
        try:
            customer, ids = self._person(str(customer_id))
            self._fill_raw(ids)
            as_of = self._look_from(facts or {}, ids[0])
            features = self._features(customer)
            is_eligible = self._is_eligible()
        except duckdb.Error as error:
            raise UsageError(f"{customer_id}: {reason_of(error)}") from None
        finally:
            self._con.rollback()
        if features.num_rows != 1:
            raise UsageError(
                f"nothing is known of {customer_id} before {as_of}; expected a customer of this"
                " shop, or facts with a date before it"
            )
        model = load_model(deployed_folder(self._shop.models_dir))
        columns = {name: features.column(name).combine_chunks() for name in features.column_names}
        found = predict(model, columns, 1)
        score = _as_score(customer, as_of, found, model.manifest)
        return score if is_eligible else replace(score, score=None, is_eligible=False)

    def _person(self, raw_id: str) -> tuple[str, list[str]]:
        """The customer's id, and all raw ids that are theirs."""
        ids = f"{STORED}.{quoted(self._shop.schema)}.customer_ids"
        rows = self._con.execute(
            f"select customer_id, raw_id from {ids} where customer_id = (select coalesce("
            f"max(customer_id), $1) from {ids} where raw_id = $1)",
            [raw_id],
        ).fetchall()
        customer = rows[0][0] if rows else raw_id
        return customer, sorted({raw_id, *(row[1] for row in rows)})

    def _fill_raw(self, ids: list[str]) -> None:
        """The rows of these ids, orders first: other tables may go by those."""
        for place in sorted(self._program.raw, key=lambda one: one != self._orders):
            relation = ".".join(map(quoted, place))
            held = literal(ids[0]) if len(ids) == 1 else "''"  # every text holds that
            whose = str(self._whose[place]).replace(HELD, held)
            self._con.execute(
                f"insert into {relation} from {STORED}.{relation} where {whose}", [ids]
            ).fetchall()

    def _add(self, facts: Facts, customer: str) -> None:
        for table, rows in facts.items():
            relation = ".".join(map(quoted, self._place(table)))
            for row in rows:
                self._insert(table, relation, dict(row), customer)

    @property
    def _orders(self) -> tuple[str, str]:
        return self._shop.raw_table("orders")

    def _place(self, table: str) -> tuple[str, str]:
        """Where the raw table is; raises UsageError where facts cannot be given for it."""
        place = self._shop.raw_table(table)
        if place not in self._program.raw:
            known = ", ".join(sorted(name for _, name in self._program.raw))
            raise UsageError(f"{table} is no table of this shop with customers; there are: {known}")
        return place

    def _insert(self, table: str, relation: str, row: dict[str, Any], customer: str) -> None:
        names = {
            str(name).lower(): str(name)
            for name, *_ in self._con.execute(f"describe {relation}").fetchall()
        }
        own = plain_column(self._con, self._shop, table, "customer_id")
        column = None if own is None else own.strip('"').lower()
        if column in names and column not in {name.lower() for name in row}:
            row[names[column]] = customer
        elif own is not None and column not in names:
            raise UsageError(f"{table}: customer_id is {own}; give rows whose columns make it up")
        unknown = [name for name in row if name.lower() not in names]
        if unknown:
            raise UsageError(
                f"{table} has no column {unknown[0]}; there are: {', '.join(names.values())}"
            )
        columns = ", ".join(quoted(names[name.lower()]) for name in row)
        marks = ", ".join("?" for _ in row)
        self._con.execute(
            f"insert into {relation} ({columns}) values ({marks})", list(row.values())
        ).fetchall()

    def _features(self, customer: str) -> Any:
        """The customer's row of features."""
        for statement in self._program.statements[self._program.dateless :]:
            self._con.execute(statement).fetchall()
        return self._con.sql(
            f"select {self._columns} from {self._program.features}"
            f" where customer_id = {literal(customer)}"
        ).to_arrow_table()

    def _is_eligible(self) -> bool:
        """Whether the customer is one to be scored, by cva_eligible_customers, and agrees to it."""
        from cva_sql.cli.shop.package import opted_out

        chosen = str(self._shop.var("cva_eligible_customers"))
        said = self._con.execute(
            f"select coalesce((\n{chosen}\n), false) from {self._program.features}"
        ).fetchall()
        objects = self._con.execute(opted_out(self._program.customers)).fetchall()
        return all(row[0] for row in said) and not objects

    def _run_as_of(self) -> date:
        """The date that the last run looked from."""
        ((as_of,),) = self._con.execute(
            f"select max(as_of_date) from {STORED}.{self._program.dates}"
        ).fetchall()
        return cast("date", as_of)

    def _feature_columns(self) -> str:
        """SQL: the features, with what the last run knew of the shop for those of the shop."""
        stored = self._con.sql(f"from {STORED}.{self._program.features} limit 1")
        known = dict(zip(stored.columns, stored.fetchall()[0], strict=True))
        return ", ".join(
            f"{known[name]}::double as {quoted(name)}"
            if name.startswith(OF_SHOP) and known[name] is not None
            else quoted(name)
            for name in stored.columns
        )

    def _look_from(self, facts: Facts, customer: str) -> date:
        """As of when: as the last run, or after a newer order that is given.

        The facts are added here, so that they can be told from what is stored.
        """
        before = self._newest_order() if facts.get("orders") else None
        self._add(facts, customer)
        now = self._newest_order()
        is_given = bool(facts.get("orders")) and now is not None and now != before
        as_of = self._as_of
        if self._shop.var("cva_as_of") is None and is_given and now is not None:
            as_of = max(as_of, now + timedelta(days=1))
        self._con.execute(f"update {self._program.dates} set as_of_date = ?", [as_of]).fetchall()
        return as_of

    def _newest_order(self) -> date | None:
        """The day of the newest order that is in the tables now; they are staged for it."""
        for statement in self._program.statements[: self._program.dateless]:
            self._con.execute(statement).fetchall()
        ((newest,),) = self._con.execute(
            f"select max(order_date) from {self._program.orders} where reject_reason is null"
        ).fetchall()
        return cast("date | None", newest)


def _as_score(customer: str, as_of: date, found: Mapping[str, Any], manifest: Manifest) -> RowScore:
    def value(name: str) -> float | None:
        number = float(found[name][0]) if name in found else float("nan")
        return None if isnan(number) else number

    probability = value("purchase_probability")
    return RowScore(
        customer,
        as_of,
        None if manifest.is_baseline else value("score"),
        float(found["predicted_value"][0]),
        value("predicted_value_p10"),
        value("predicted_value_p50"),
        value("predicted_value_p90"),
        probability,
        None if probability is None else 1 - probability,
        value("predicted_orders"),
        manifest.version,
        manifest.sha256,
    )
