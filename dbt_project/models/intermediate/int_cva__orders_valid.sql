-- One row per usable order. Valid on a date: placed before it and not cancelled before it.
with orders as (
    select * from {{ ref('cva', 'stg_cva__orders') }} where reject_reason is null
),

duplicates as (select * from {{ ref('cva', 'int_cva__duplicate_orders') }}),

final as (
    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_at,
        orders.order_date,
        orders.amount,
        orders.cancelled_at,
        orders.discount_amount,
        orders.channel,
        orders.refunded_amount,
        orders.updated_at,
        orders.store,
        cast(1 as bigint) as orders_of_id,
        cast(1 as bigint) as orders_of_store_id
    from orders
    -- Not `not in`: with no duplicates at all that costs three times the scan.
    left join duplicates on orders.order_id = duplicates.order_id
    where duplicates.order_id is null
    union all
    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        amount,
        cancelled_at,
        discount_amount,
        channel,
        refunded_amount,
        updated_at,
        store,
        orders_of_id,
        orders_of_store_id
    from duplicates
)

select * from final
