-- One row per as_of_date: what the rule has to know of the shop, from a back-test one horizon before
-- as_of_date. It looks at customers, so that it costs one pass over feat_cva__purchases. Where there
-- are less than two horizons of history nothing can be tested, and the neutral values stand.
{{ config(materialized='ephemeral') }}
{%- set horizon = cva.setting('cva_horizon_days') %}

with purchases as (select * from {{ ref('cva', 'feat_cva__purchases') }}),

-- What the rule would have said a horizon ago of each customer who had ordered by then.
tested as (
    select
        *,
        earlier_decayed_spend * {{ horizon }} / 180.0 as earlier_prediction,
        earlier_decayed_orders * {{ horizon }} / 180.0 as earlier_orders,
        {{ cva.days_between('first_seen_date', 'as_of_date') }} as seen_days
    from purchases
),

totals as (
    select
        as_of_date,
        max(t_days) as history_days,
        sum(case when t_days > {{ horizon }} then spend_horizon_1 end) as spend,
        sum(earlier_decayed_spend) * {{ horizon }} / 180.0 as predicted_spend,
        sum(case when t_days > {{ horizon }} then orders_horizon_1_count end) as orders,
        sum(earlier_decayed_orders) * {{ horizon }} / 180.0 as predicted_orders,
        sum(case when t_days > {{ horizon * 2 }} then spend_horizon_1 end) as kept_spend,
        sum(case when t_days > {{ horizon * 2 }} then spend_horizon_2 end) as former_spend,
        count(case when seen_days > {{ horizon }} and coalesce(t_days, 0) <= {{ horizon }} then 1 end)
            as cold_customers,
        sum(
            case
                when seen_days > {{ horizon }} and coalesce(t_days, 0) <= {{ horizon }}
                    then spend_horizon_1
            end
        ) as cold_spend,
        count(
            case
                when seen_days > {{ horizon }} and t_days <= {{ horizon }} then 1
            end
        ) as cold_buyers
    from tested
    group by as_of_date
),

levels as (
    select
        as_of_date,
        coalesce(history_days, 0) as history_days,
        -- The root: about half of a level error (in logs) is still there a horizon later. A factor
        -- outside these bounds says more of a young or dying shop than of its customers.
        case
            when history_days >= {{ horizon * 2 }} and predicted_spend > 0
                then sqrt(least(greatest(cast(spend / predicted_spend as double), 0.2), 5.0))
            else 1.0
        end as spend_level,
        case
            when history_days >= {{ horizon * 2 }} and predicted_orders > 0
                then sqrt(least(greatest(cast(orders / predicted_orders as double), 0.2), 5.0))
            else 1.0
        end as orders_level,
        case
            when history_days >= {{ horizon * 3 }} and former_spend > 0
                then least(greatest(cast(kept_spend / former_spend as double), 0.3), 0.98)
            else 0.8
        end as retention_rate,
        coalesce(cold_spend / nullif(cold_customers, 0), 0.0) as cold_start_value,
        coalesce(cold_buyers / nullif(cold_customers, 0), 0.0) as cold_start_purchase_rate
    from totals
),

-- log(what buyers spent / what was predicted, given that they buy), the spread of the rule's error.
errors as (
    select
        tested.as_of_date,
        cast(
            ln(
                tested.spend_horizon_1 / (
                    tested.earlier_prediction * levels.spend_level
                    / (1 - exp(-tested.earlier_orders * levels.orders_level))
                )
            ) as decimal(19, 8)
        ) as log_ratio
    from tested
    inner join levels on tested.as_of_date = levels.as_of_date
    where
        tested.spend_horizon_1 > 0
        and tested.earlier_prediction > 0.000001
        and tested.earlier_orders > 0.000001
        and levels.history_days >= {{ horizon * 2 }}
),

spread as (
    select
        as_of_date,
        count(*) as buyers,
        cast(sum(cast(log_ratio * log_ratio as decimal(28, 12))) as double) / count(*)
        - power(cast(sum(log_ratio) as double) / count(*), 2) as log_variance
    from errors
    group by as_of_date
),

final as (
    select
        levels.as_of_date,
        levels.history_days,
        levels.spend_level,
        levels.orders_level,
        levels.retention_rate,
        levels.cold_start_value,
        levels.cold_start_purchase_rate,
        -- 0.8: a spread seen in many shops, for one that has no buyers to test on.
        case
            when spread.buyers >= 30 then sqrt(greatest(spread.log_variance, 0.01)) else 0.8
        end as error_spread
    from levels
    left join spread on levels.as_of_date = spread.as_of_date
)

select * from final
