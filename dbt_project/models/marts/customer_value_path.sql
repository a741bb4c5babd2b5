-- One row per customer and number of days ahead: value and probability within them. None where
-- `cva_target` is labels, which say nothing of other days than theirs.
{%- set horizon = cva.setting('cva_horizon_days') %}

with value as (select * from {{ ref('cva', 'customer_value') }}),

features as (select * from {{ ref('cva', 'customer_features') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

growth as (select * from {{ ref('cva', 'int_cva__value_growth') }}),

lengths as (
    {%- for days in cva.path_days() %}
    select cast({{ days }} as integer) as days{{ '\n    union all' if not loop.last }}
    {%- endfor %}
),

ahead as (
    select
        value.customer_id,
        value.as_of_date,
        lengths.days,
        value.predicted_value,
        value.purchase_probability,
        scores.horizon_retention_rate,
        growth.value_factor,
        growth.probability_factor
    from value
    inner join features on value.customer_id = features.customer_id
    inner join scores on value.customer_id = scores.customer_id
    cross join lengths
    left join growth
        on
            lengths.days = growth.days
            and {{ cva.is_growth_of('growth', 'features') }}
    {%- if cva.setting('cva_target') == 'labels' %}
    where 1 = 0
    {%- endif %}
),

final as (
    select
        customer_id,
        as_of_date,
        days,
        case
            when days = {{ horizon }} then predicted_value
            else predicted_value * {{ cva.value_factor('days') }}
        end as predicted_value,
        case
            when days = {{ horizon }} then purchase_probability
            else {{ cva.probability_within('days') }}
        end as purchase_probability
    from ahead
)

select * from final
