-- One row per spine row: what the packaged rule needs to know of the shop and the run. No trained
-- model reads these: its shop statistics are frozen in its manifest.
{{ config(materialized='ephemeral') }}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

shop as (select * from {{ ref('cva', 'int_cva__shop_stats') }}),

final as (
    select
        spine.customer_id,
        spine.as_of_date,
        {{ cva.setting('cva_horizon_days') }} as horizon_days,
        shop.history_days as shop_history_days,
        shop.spend_level as shop_spend_level,
        shop.orders_level as shop_orders_level,
        shop.retention_rate as shop_retention_rate,
        shop.cold_start_value as shop_cold_start_value,
        shop.cold_start_purchase_rate as shop_cold_start_purchase_rate,
        shop.error_spread as shop_error_spread
    from spine
    inner join shop on spine.as_of_date = shop.as_of_date
)

select * from final
