-- One row per customer and month with an order or a refund before as_of_date: the one pass over all orders that
-- the marts of economics and cohorts share.
{{ config(materialized='table') }}

with facts as (
    {{ cva.economic_facts() }}
),

final as (
    select
        customer_id,
        {{ cva.month_of('day') }} as month,
        min(case when orders_count = 1 then day end) as first_order_date,
        cast(sum(orders_count) as bigint) as orders_count,
        cast(sum(revenue) as decimal(28, 4)) as revenue,
        cast(sum(case when orders_count = 1 then margin end) as decimal(28, 4)) as margin,
        cast(sum(refund_amount) as decimal(28, 4)) as refund_amount,
        cast(sum(margin) as decimal(28, 4)) as contribution
    from facts
    group by 1, 2
)

select * from final
