-- One row per order_id that more than one row may have: the usable row that is kept, the earliest, so
-- that a copy arriving later changes nothing. Small, and a table, so that nothing else has to be sorted.
{{ config(materialized='table') }}

with orders as (
    select * from {{ ref('cva', 'stg_cva__orders') }} where reject_reason is null
),

repeated as (
    -- Over hashes, and all rows, usable or not: a candidate more costs nothing, long texts and a
    -- second reject rule do.
    {{ cva.repeated_keys(ref('cva', 'stg_cva__orders'), 'order_id') }}
),

numbered as (
    select
        orders.*,
        {{ cva.occurrence('orders', 'orders') }} as occurrence
    from orders
    inner join repeated on {{ cva.hash_key('orders.order_id') }} = repeated.hashed_key
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
