"""Ties the visits and the reviews of a sample shop to a factor of its customers, month by month.

Both functions read a table `told` (customer_id, month since the shop began, z), z of mean 0 and
deviation 1, in the connection of the shop's raw tables.
"""

from __future__ import annotations

import duckdb

# A uniform that depends on its arguments alone, strictly between 0 and 1.
UNIFORM = """
create or replace temp macro uniform_of(text, seed) as
    ((md5_number_lower(concat_ws('/', seed, text)) >> 12)::double + 0.5) / 4503599627370496;
create or replace temp macro normal_of(text, seed) as
    sqrt(-2 * ln(uniform_of(text, seed))) * cos(2 * pi() * uniform_of(text, seed || ' angle'));
"""
MONTH = "datediff('month', date '2026-01-01', {at}) + {months}"


def link_visits(con: duckdb.DuckDBPyConnection, months: int, seed: int) -> None:
    """Leaves out visits that led to no order: more of them where the factor is low."""
    con.execute(UNIFORM)
    con.execute(
        f"""
        delete from raw.events where session_id in (
            with visits as (
                select session_id, min(visitor_id) as visitor_id, min(occurred_at) as started_at
                from raw.events
                where visitor_id like 'W%' and session_id is not null
                group by session_id
                having not bool_or(event_type = 'purchase')
            )
            select session_id
            from visits
            inner join told
                on told.customer_id = 'C' || lpad((visitor_id[2:]::bigint // 2)::varchar, 6, '0')
                and told.month = {MONTH.format(at="started_at", months=months)}
            where uniform_of(session_id, '{seed}') > exp(0.8 * (z - 1))
        )"""
    ).fetchall()


def link_reviews(con: duckdb.DuckDBPyConnection, months: int, seed: int) -> None:
    """Hands ratings and texts out anew: the better, the higher the factor and some luck."""
    con.execute(UNIFORM)
    con.execute(
        f"""
        update raw.reviews set rating = given.rating, body = given.body
        from (
            with customers as (
                select review_id, row_number() over (
                    order by coalesce(z, 0) + 0.7 * normal_of(review_id, 'luck {seed}'), review_id
                ) as place
                from raw.reviews
                left join told
                    on reviews.customer_id = told.customer_id
                    and told.month = {MONTH.format(at="reviewed_at", months=months)}
            ),
            contents as (
                select rating, body, row_number() over (
                    order by rating nulls first, uniform_of(review_id, '{seed}'), review_id
                ) as place
                from raw.reviews
            )
            select review_id, rating, body from customers inner join contents using (place)
        ) as given
        where reviews.review_id = given.review_id"""
    ).fetchall()
