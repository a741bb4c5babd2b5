-- One row per customer of customer_value: value tier and life-cycle stage, beside the named segments of
-- RFM. Stages go by the customer's own rhythm and by the model; RFM by the shop's other customers. Who is not
-- eligible counts among those, and has neither.
with value as (select * from {{ ref('cva', 'customer_value') }}),

features as (select * from {{ ref('cva', 'customer_features') }}),

-- What the shop itself says, while it holds; it takes the place of nothing.
overrides as (select * from {{ ref('cva', 'int_cva__score_overrides_valid') }}),

-- What is usual in a shop where nobody ordered twice is not known: the horizon stands for it.
shop as (
    select
        coalesce(
            {{ cva.median('gap_mean_days') }}, {{ cva.setting('cva_horizon_days') }}
        ) as shop_gap_days
    from features
),

known as (
    select
        value.customer_id,
        value.as_of_date,
        value.score_status,
        value.value_tier,
        value.churn_risk,
        value.historic_value,
        value.predicted_value,
        value.purchase_probability,
        features.orders_count,
        features.order_days_count,
        features.frequency,
        features.recency_days,
        features.gap_last_days,
        features.days_since_last_order,
        shop.shop_gap_days
    from value
    inner join features
        on
            value.customer_id = features.customer_id
            and value.as_of_date = features.as_of_date
    cross join shop
),

paced as (
    select
        *,
        case when orders_count > 0 then {{ cva.usual_gap_days() }} end as usual_gap_days
    from known
),

-- Customers without an order have no place in RFM.
ranked as (
    select
        customer_id,
        score_status,
        percent_rank() over (order by days_since_last_order desc) as recency_rank,
        percent_rank() over (order by order_days_count) as frequency_rank,
        percent_rank() over (order by historic_value) as monetary_rank
    from known
    where orders_count > 0
),

scored as (
    select
        customer_id,
        {{ cva.rfm_score('recency_rank') }} as rfm_recency,
        {{ cva.rfm_score('frequency_rank') }} as rfm_frequency,
        {{ cva.rfm_score('monetary_rank') }} as rfm_monetary
    from ranked
    where {{ cva.is_profiled() }}
),

placed as (
    select
        paced.*,
        scored.rfm_recency,
        scored.rfm_frequency,
        scored.rfm_monetary,
        ceil((scored.rfm_frequency + scored.rfm_monetary) / 2.0) as rfm_frequency_monetary,
        case
            when {{ cva.is_profiled('paced.') }} then {{ cva.lifecycle_stage() }}
            else 'not_eligible'
        end as lifecycle_stage
    from paced
    left join scored on paced.customer_id = scored.customer_id
),

final as (
    select
        placed.customer_id,
        placed.as_of_date,
        placed.value_tier,
        lifecycle_stage,
        {{ cva.rfm_segment() }} as rfm_segment,
        cast(rfm_recency as integer) as rfm_recency,
        cast(rfm_frequency as integer) as rfm_frequency,
        cast(rfm_monetary as integer) as rfm_monetary,
        cast(days_since_last_order as integer) as days_since_last_order,
        cast(usual_gap_days as double) as usual_gap_days,
        cast(days_since_last_order / nullif(usual_gap_days, 0) as double) as gaps_waited,
        historic_value,
        predicted_value,
        purchase_probability,
        overrides.tier as override_tier,
        overrides.reason as override_reason,
        cast(overrides.until as date) as override_until
    from placed
    left join overrides
        on
            placed.customer_id = overrides.customer_id
            and (overrides.until is null or cast(overrides.until as date) >= placed.as_of_date)
)

select * from final
