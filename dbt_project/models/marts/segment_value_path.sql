-- One row per kind of segment, segment and month ahead: what its customers are expected to bring in that month,
-- and up to its end, each with an interval. A month is a twelfth of a year. Within a kind segments add up.
{%- set kinds = {
    'all': "'all'", 'value_tier': 'value_tier', 'lifecycle_stage': 'lifecycle_stage',
    'rfm_segment': "coalesce(rfm_segment, case when lifecycle_stage = 'not_eligible' then lifecycle_stage else 'no_order' end)",
} %}

with segments as (select * from {{ ref('cva', 'customer_segments') }}),

features as (select * from {{ ref('cva', 'customer_features') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

growth as (select * from {{ ref('cva', 'int_cva__value_growth') }}),

errors as (
    select max(dispersion) as dispersion, max(total_deviation) as deviation from growth
),

growth_groups as (
    select distinct frequency_from, frequency_to, age_from, age_to from growth
),

lengths as (
    {%- for days in cva.month_days() %}
    select {{ loop.index }} as month_ahead, cast({{ days }} as integer) as days
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

-- Customers whose value grows alike.
alike as (
    select
        segments.as_of_date,
        segments.value_tier,
        segments.lifecycle_stage,
        segments.rfm_segment,
        growth_groups.frequency_from,
        growth_groups.age_from,
        case
            when growth_groups.age_from is null then scores.horizon_retention_rate
        end as horizon_retention_rate,
        count(*) as customers_count,
        cast(sum(cast(segments.predicted_value as decimal(28, 6))) as double) as predicted_value,
        {{ cva.total_spread('segments.predicted_value') }} as spread
    from segments
    inner join features on segments.customer_id = features.customer_id
    inner join scores on segments.customer_id = scores.customer_id
    left join growth_groups on {{ cva.is_growth_of('growth_groups', 'features') }}
    where segments.predicted_value is not null
    {%- if cva.setting('cva_target') == 'labels' %}
        and 1 = 0
    {%- endif %}
    group by all
),

ahead as (
    select
        alike.*,
        lengths.month_ahead,
        lengths.days,
        growth.value_factor
    from alike
    cross join lengths
    left join growth
        on
            lengths.days = growth.days
            and alike.frequency_from = growth.frequency_from
            and alike.age_from = growth.age_from
),

grown as (select *, {{ cva.value_factor('days') }} as factor from ahead),

steps as (
    select
        *,
        greatest(
            factor - coalesce(
                lag(factor) over (
                    partition by
                        as_of_date, value_tier, lifecycle_stage, rfm_segment, frequency_from, age_from,
                        horizon_retention_rate
                    order by days
                ), 0
            ), 0
        ) as step
    from grown
),

parts as (
    {%- for kind, segment in kinds.items() %}
    {%- for share in ('step', 'factor') %}
    select
        '{{ kind }}' as segment_kind,
        {{ segment }} as segment,
        as_of_date,
        month_ahead,
        days,
        {{ 'true' if share == 'factor' else 'false' }} as is_whole,
        customers_count,
        predicted_value * {{ share }} as predicted_value,
        spread * power({{ share }}, 1.5) as spread
    from steps
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

sums as (
    select
        segment_kind,
        segment,
        as_of_date,
        month_ahead,
        days,
        is_whole,
        sum(customers_count) as customers_count,
        cast(sum(cast(predicted_value as decimal(28, 6))) as double) as predicted_value,
        cast(sum(cast(spread as decimal(28, 6))) as double) as spread
    from parts
    group by all
),

quantiles as (
    select
        sums.*,
        {{ cva.total_quantile(-1.281552) }} as p10,
        {{ cva.total_quantile(1.281552) }} as p90
    from sums
    cross join errors
),

final as (
    select
        segment_kind,
        segment,
        as_of_date,
        cast(month_ahead as integer) as month_ahead,
        {{ cva.add_days('as_of_date', 'days') }} as until_date,
        cast(max(customers_count) as bigint) as customers_count,
        max(case when not is_whole then predicted_value end) as predicted_value,
        max(case when not is_whole then p10 end) as predicted_value_p10,
        max(case when not is_whole then p90 end) as predicted_value_p90,
        max(case when is_whole then predicted_value end) as cumulative_value,
        max(case when is_whole then p10 end) as cumulative_value_p10,
        max(case when is_whole then p90 end) as cumulative_value_p90
    from quantiles
    group by segment_kind, segment, as_of_date, month_ahead, days
)

select * from final
