-- One row per usable return; the customer comes from the order where the return names none.
with returns as (
    select * from {{ ref('cva', 'stg_cva__returns') }} where reject_reason is null
),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

final as (
    select
        returns.return_id,
        returns.order_id,
        coalesce(returns.customer_id, orders.customer_id) as customer_id,
        returns.returned_at,
        returns.return_date,
        returns.refund_amount
    from returns
    left join orders
        on
            {{ cva.is_of_order('returns') }}
            and orders.order_date <= returns.return_date
    where coalesce(returns.customer_id, orders.customer_id) is not null
)

select * from final
