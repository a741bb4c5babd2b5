-- One row per spine row with a return: what came back.
{{ config(materialized='ephemeral') }}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

returns as (select * from {{ ref('cva', 'int_cva__refunds') }}),

final as (
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
)

select * from final
