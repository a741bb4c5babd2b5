-- One row per customer, as_of_date and run: what customer_value and customer_segments said. A run adds its
-- rows; the hook first takes away those that a later published run replaced, those of runs that
-- published nothing, and what is older than `cva_history_days`. A full refresh keeps it.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    full_refresh=false,
    pre_hook="{{ cva.prune_history(this) }}"
) }}

with value as (select * from {{ ref('cva', 'customer_value') }}),

segments as (select * from {{ ref('cva', 'customer_segments') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

errors as (
    select max(dispersion) as dispersion, max(total_deviation) as total_deviation
    from {{ ref('cva', 'int_cva__value_growth') }}
),

-- Made small before it is joined.
explanations as (
    select
        customer_id,
        as_of_date,
        {{ cva.families_of('feature_attributions') }} as families
    from {{ ref('cva', 'int_cva__customer_explanations') }}
),

final as (
    select
        value.customer_id,
        value.as_of_date,
        cast('{{ cva.run_id() }}' as string) as run_id,
        value.horizon_days,
        value.score,
        value.score_status,
        value.value_tier,
        segments.lifecycle_stage,
        segments.rfm_segment,
        value.historic_value,
        value.predicted_value,
        value.predicted_value_p10,
        value.predicted_value_p50,
        value.predicted_value_p90,
        value.purchase_probability,
        scores.trained_until,
        value.model_version,
        value.model_hash,
        explanations.families,
        errors.dispersion,
        errors.total_deviation,
        cast('{{ cva.setting('cva_target') }}' as string) as target
    from value
    cross join errors
    inner join segments on value.customer_id = segments.customer_id
    inner join scores
        on
            value.customer_id = scores.customer_id
            and value.as_of_date = scores.as_of_date
    left join explanations
        on
            value.customer_id = explanations.customer_id
            and value.as_of_date = explanations.as_of_date
)

select * from final
