-- One row per customer seen in any source before as_of_date: what they are expected to spend in the
-- horizon, how sure that is, whether they are leaving. The contract of the package.
{{ config(post_hook=[
    "{{ cva.refuse_no_customers(this) }}",
    "{{ cva.totals_function(this, ref('cva', 'int_cva__value_growth')) }}"
]) }}
{%- set horizon = cva.setting('cva_horizon_days') %}
{%- set target = cva.setting('cva_target') %}

with features as (select * from {{ ref('cva', 'customer_features') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

reasons as (select * from {{ ref('cva', 'int_cva__customer_reasons') }}),

growth as (
    select * from {{ ref('cva', 'int_cva__value_growth') }} where days = {{ horizon }}
),

paid_otherwise as (
    {{ cva.paid_otherwise() }}
),

opted_out as (
    {{ cva.opted_out() }}
),

-- Apart from the join, so that the user's predicate may name any column of customer_features.
judged as (
    select
        customer_id,
        as_of_date,
        orders_count,
        historic_value,
        frequency,
        t_days,
        gap_mean_days,
        days_since_last_order,
        {{ cva.is_overdue() }} as is_overdue,
        coalesce(
            ({{ cva.checked_expression(var('cva_eligible_customers'), 'cva_eligible_customers') }}),
            false
        ) as is_eligible
    from features
),

customers as (
    select
        judged.customer_id,
        judged.as_of_date,
        judged.orders_count,
        judged.historic_value,
        judged.gap_mean_days,
        judged.days_since_last_order,
        judged.is_overdue,
        judged.is_eligible and opted_out.customer_id is null as is_eligible,
        coalesce(paid_otherwise.first_order_date < judged.as_of_date, false) as has_paid_otherwise,
        scores.predicted_value,
        scores.predicted_value_p10,
        scores.predicted_value_p50,
        scores.predicted_value_p90,
        scores.purchase_probability,
        scores.predicted_orders,
        scores.horizon_retention_rate,
        scores.score as frozen_score,
        scores.is_baseline,
        scores.is_judged,
        scores.is_extrapolated,
        scores.order_stages,
        growth.clv_factor,
        reasons.reason_1,
        reasons.reason_2,
        reasons.reason_3,
        scores.model_version,
        scores.model_hash
    from judged
    inner join scores
        on
            judged.customer_id = scores.customer_id
            and judged.as_of_date = scores.as_of_date
    left join reasons
        on
            judged.customer_id = reasons.customer_id
            and judged.as_of_date = reasons.as_of_date
    left join paid_otherwise on judged.customer_id = paid_otherwise.customer_id
    left join opted_out on judged.customer_id = opted_out.customer_id
    left join growth
        on
            {{ cva.is_growth_of('growth', 'judged') }}
),

ranked as (
    select
        *,
        -- A customer's percentile in this run: the share of customers with no higher prediction.
        cume_dist() over (order by predicted_value) as value_percentile,
        row_number() over (order by predicted_value desc, customer_id) as value_rank,
        count(*) over () as customers_count,
        {{ cva.next_order_days() }} as next_order_days,
        {{ cva.clv_factor() }} as value_clv_factor
    from customers
),

final as (
    select
        customer_id,
        as_of_date,
        cast({{ horizon }} as integer) as horizon_days,
        case
            when not is_eligible then null
            when is_baseline then 100 * value_percentile
            else frozen_score
        end as score,
        value_percentile,
        {{ cva.value_tier('value_rank', 'customers_count') }} as value_tier,
        case
            when not is_eligible then 'not_eligible'
            when is_baseline then 'untrained'
            when orders_count = 0 and has_paid_otherwise then 'other_currency'
            when orders_count = 0 then 'cold_start'
            when not is_judged then 'few_data'
            else 'ok'
        end as score_status,
        is_extrapolated,
        cast(historic_value as decimal(18, 4)) as historic_value,
        {{ 'historic_value + predicted_value' if target == 'spend' else 'cast(null as double)' }}
            as total_value,
        predicted_value,
        predicted_value_p10,
        predicted_value_p50,
        predicted_value_p90,
        purchase_probability,
        coalesce(predicted_value / nullif(purchase_probability, 0), 0)
            as predicted_value_if_purchase,
        predicted_orders,
        1 - purchase_probability as churn_probability,
        case
            when 1 - purchase_probability < 0.33 then 'low'
            when 1 - purchase_probability < 0.66 then 'medium'
            else 'high'
        end as churn_risk,
        case
            when next_order_days <= 365{{ ' and false' if target == 'labels' }}
                then {{ cva.add_days('as_of_date', 'next_order_days') }}
        end as expected_next_order_date,
        is_overdue,
        predicted_value * value_clv_factor as clv,
        predicted_value_p10 * value_clv_factor as clv_p10,
        predicted_value_p90 * value_clv_factor as clv_p90,
        reason_1,
        reason_2,
        reason_3,
        model_version,
        model_hash,
        {{ cva.now() }} as scored_at
    from ranked
)

select * from final
