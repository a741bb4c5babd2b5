-- One row per customer whom another table knows too, and of whom the shop says the tier itself.
{{ config(materialized='ephemeral') }}
with overrides as (
    select * from {{ ref('cva', 'stg_cva__score_overrides') }} where reject_reason is null
),

customers as (select distinct customer_id from {{ ref('cva', 'int_cva__spine') }}),

final as (
    select
        overrides.customer_id,
        lower(overrides.tier) as tier,
        overrides.reason,
        overrides.until
    from overrides
    inner join customers on overrides.customer_id = customers.customer_id
)

select * from final
