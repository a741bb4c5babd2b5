-- One row per order of an order_id that more than one row may have: the usable row that is kept, the one
-- updated last, else the earliest, so that a copy arriving later changes nothing. An order whose last
-- version is cancelled was so from then on. One order_id of two customers or stores is two orders.
-- Small, and a table, so that nothing else has to be sorted.
{{ config(materialized='table') }}

with repeated as (
    -- Over hashes, and all rows, usable or not: a candidate more costs nothing, long texts and a
    -- second reject rule do.
    {{ cva.repeated_keys(ref('cva', 'stg_cva__orders'), 'order_id') }}
),

-- Read twice below, and so worked out once: the whole table is not searched again for cancelled ones.
versions as (
    select orders.*
    from {{ ref('cva', 'stg_cva__orders') }} as orders
    inner join repeated on {{ cva.hash_key('orders.order_id') }} = repeated.hashed_key
),

numbered as (
    select
        orders.*,
        {{ cva.occurrence('orders', 'orders') }} as occurrence
    from versions as orders
    where orders.reject_reason is null
),

latest as (select * from numbered where occurrence = 1),

ended as (
    select latest.order_id, latest.store, latest.customer_id, min(cancelled.updated_at) as ended_at
    from latest
    inner join versions as cancelled
        on
            latest.order_id = cancelled.order_id
            and latest.customer_id = cancelled.customer_id
            and latest.store is not distinct from cancelled.store
            and latest.updated_at < cancelled.updated_at
    where cancelled.reject_reason = 'cancelled'
    group by latest.order_id, latest.store, latest.customer_id
),

final as (
    select
        latest.order_id,
        latest.customer_id,
        latest.ordered_at,
        latest.order_date,
        latest.amount,
        coalesce(latest.cancelled_at, ended.ended_at) as cancelled_at,
        latest.discount_amount,
        latest.channel,
        latest.refunded_amount,
        latest.updated_at,
        latest.store,
        count(*) over (partition by latest.order_id) as orders_of_id,
        count(*) over (partition by latest.order_id, latest.store) as orders_of_store_id
    from latest
    left join ended
        on
            latest.order_id = ended.order_id
            and latest.customer_id = ended.customer_id
            and latest.store is not distinct from ended.store
)

select * from final
