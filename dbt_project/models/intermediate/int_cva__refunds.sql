-- One row per refund: the usable returns, orders with an amount below 0 and, of orders that no return
-- names, what they say themselves went back: when the row was last changed, where that is known, else when
-- the order was placed.
with returns as (select * from {{ ref('cva', 'int_cva__returns_valid') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

-- A copy of a row is no second refund.
negative as (
    select distinct order_id, store, customer_id, ordered_at, amount
    from {{ ref('cva', 'stg_cva__orders') }}
    -- The amount says so too, of most blocks of rows without a look at them.
    where reject_reason = 'counted_as_return' and amount < 0
),

named as (select distinct order_id from returns where order_id is not null),

final as (
    select customer_id, return_date, refund_amount from returns
    union all
    select customer_id, cast(ordered_at as date) as return_date, -amount as refund_amount
    from negative
    union all
    select
        orders.customer_id,
        cast(coalesce(orders.updated_at, orders.ordered_at) as date) as return_date,
        orders.refunded_amount as refund_amount
    from orders
    left join named on orders.order_id = named.order_id
    where orders.refunded_amount > 0 and orders.cancelled_at is null and named.order_id is null
)

select * from final
