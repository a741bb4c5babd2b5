-- One row per customer and as_of_date: what the last run of that date said.
{{ config(materialized='view') }}

with history as (select * from {{ ref('cva', 'int_cva__value_history') }}),

newest as (
    select as_of_date, max(run_id) as run_id
    from history
    group by as_of_date
),

final as (
    select
        history.customer_id,
        history.as_of_date,
        history.run_id,
        history.horizon_days,
        history.score,
        history.score_status,
        history.value_tier,
        history.lifecycle_stage,
        history.rfm_segment,
        history.historic_value,
        history.predicted_value,
        history.predicted_value_p10,
        history.predicted_value_p50,
        history.predicted_value_p90,
        history.purchase_probability,
        history.trained_until,
        history.model_version,
        history.model_hash,
        history.dispersion,
        history.total_deviation,
        coalesce(history.target, 'spend') as target
    from history
    inner join newest
        on
            history.as_of_date = newest.as_of_date
            and history.run_id = newest.run_id
)

select * from final
