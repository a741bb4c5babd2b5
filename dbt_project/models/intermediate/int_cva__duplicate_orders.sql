-- One row per order_id that more than one usable row has: the row that is kept, the earliest, so that
-- a copy arriving later changes nothing. Small, and a table, so that nothing else has to be sorted.
{{ config(materialized='table') }}

with orders as (
    select * from {{ ref('cva', 'stg_cva__orders') }} where reject_reason is null
),

repeated as (
    -- Over all rows, usable or not: a candidate more costs nothing, a second reject rule does.
    select order_id
    from {{ ref('cva', 'stg_cva__orders') }}
    group by order_id
    having count(*) > 1
),

numbered as (
    select
        orders.*,
        row_number() over (
            partition by orders.order_id
            order by
                orders.ordered_at, orders.customer_id, orders.amount, orders.cancelled_at,
                orders.discount_amount, orders.channel
        ) as occurrence
    from orders
    inner join repeated on orders.order_id = repeated.order_id
),

final as (
    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        amount,
        cancelled_at,
        discount_amount,
        channel
    from numbered
    where occurrence = 1
)

select * from final
