-- One row per customer: the deployed model's outputs over customer_features, as they are. It holds
-- the only call of the value model; with `cva_udfs: false` it is what `cva score` wrote before.
{{ config(materialized='table') }}

{%- if cva.setting('cva_udfs') %}
{%- do cva.check_target() %}
with cva_rows as (select * from {{ ref('cva', 'customer_features') }}),

scored as (
    select customer_id, as_of_date, cva_predict(cva_rows) as prediction from cva_rows
),

final as (
    select
        customer_id,
        as_of_date,
        prediction.predicted_value as predicted_value,
        prediction.predicted_value_p10 as predicted_value_p10,
        prediction.predicted_value_p50 as predicted_value_p50,
        prediction.predicted_value_p90 as predicted_value_p90,
        prediction.purchase_probability as purchase_probability,
        prediction.predicted_orders as predicted_orders,
        prediction.horizon_retention_rate as horizon_retention_rate,
        prediction.score as score,
        prediction.is_baseline as is_baseline,
        prediction.is_judged as is_judged,
        prediction.is_extrapolated as is_extrapolated,
        prediction.order_stages as order_stages,
        prediction.trained_until as trained_until,
        prediction.model_version as model_version,
        prediction.model_hash as model_hash
    from scored
)

select * from final
{%- else %}
{{- cva.require_filled(this, "cva score, after dbt run --select +customer_features --vars '{cva_udfs: false}'") }}
select * from {{ this }}
{%- endif %}
