-- The orders that cva_rejects calls used are the orders valid on as_of_date.
{{ config(enabled=var('cva_spine') == 'scoring') }}

with dates as (select * from {{ ref('cva', 'int_cva__as_of_dates') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

valid as (
    select
        count(*) as order_count,
        count(
            distinct concat(
                orders.order_id, '#', coalesce(orders.store, ''), '#', orders.customer_id
            )
        ) as order_id_count
    from orders
    inner join dates on orders.order_date < dates.as_of_date
    where
        orders.cancelled_at is null
        or orders.cancelled_at >= cast(dates.as_of_date as timestamp)
),

counted as (
    select max(valid_row_count) as valid_row_count
    from {{ ref('cva', 'cva_rejects') }}
    where table_name = 'orders'
)

select counted.valid_row_count, valid.order_count, valid.order_id_count
from counted
cross join valid
where
    counted.valid_row_count <> valid.order_count
    or valid.order_count <> valid.order_id_count
