-- Gross, the customers' historic value is the amount of the orders valid on as_of_date: to the cent, since
-- both are DECIMAL. Net of refunds it cannot be told from the sum, which is floored per customer.
{{ config(enabled=var('cva_value') == 'gross' and var('cva_spine') == 'scoring') }}

with dates as (select * from {{ ref('cva', 'int_cva__as_of_dates') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

spent as (
    select coalesce(sum(orders.amount), 0) as amount
    from orders
    inner join dates on orders.order_date < dates.as_of_date
    where
        orders.cancelled_at is null
        or orders.cancelled_at >= cast(dates.as_of_date as timestamp)
),

valued as (
    select coalesce(sum(historic_value), 0) as amount from {{ ref('cva', 'customer_value') }}
)

select spent.amount as order_amount, valued.amount as historic_value
from spent
cross join valued
where spent.amount <> valued.amount
