-- One row per spine row: what came back. Zero where the customer returned nothing.
{{ config(materialized='view') }}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

returns as (select * from {{ ref('cva', 'int_cva__returns_valid') }}),

returned as (
    select
        spine.customer_id,
        spine.as_of_date,
        count(*) as returns_count,
        sum(returns.refund_amount) as refund_amount,
        min({{ cva.days_between('returns.return_date', 'spine.as_of_date') }})
            as days_since_last_return
    from spine
    inner join returns on spine.customer_id = returns.customer_id
    where returns.return_date < spine.as_of_date
    group by spine.customer_id, spine.as_of_date
),

final as (
    select
        spine.customer_id,
        spine.as_of_date,
        coalesce(returned.returns_count, 0) as returns_count,
        coalesce(returned.refund_amount, 0) as refund_amount,
        returned.days_since_last_return
    from spine
    left join returned
        on
            spine.customer_id = returned.customer_id
            and spine.as_of_date = returned.as_of_date
)

select * from final
