-- One row per spine row: what was bought, how much, how regularly, how long ago. Windows end the day
-- before as_of_date; `spend_horizon_n` is the n-th last window as long as the horizon. Sums are over
-- exact terms: the same bytes in any row order and thread count. Ephemeral, so that int_cva__shop_stats
-- and customer_features read it within one statement: to write it as well would add a sixth to the run.
{{ config(materialized='ephemeral') }}
{%- set horizon = cva.setting('cva_horizon_days') %}
{%- set is_net = cva.setting('cva_value') == 'net' %}
{%- set spends = cva.spend_windows(horizon) %}
{#- Refunds belong to no day: they take the same share off each. -#}
{%- set kept -%}
greatest(moments.gross_amount - coalesce(refunds.historic_value, 0), 0)
        / nullif(cast(moments.gross_amount as double), 0)
{%- endset %}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

orders as (
    select
        *,
        {{- cva.decays(horizon) }}
    from {{ ref('cva', 'int_cva__customer_orders') }}
),

sums as (
    select
        customer_id,
        as_of_date,
        count(*) as orders_count,
        max(day_number) as order_days_count,
        max(age_days) as t_days,
        min(age_days) as days_since_last_order,
        sum(amount) as gross_amount,
        max(amount) as order_max_amount,
        sum(case when day_number = 1 then amount else 0 end) as first_order_day_amount,
        -- The largest amount of the last day: amounts are below 1e14, so that a day weighs more. A
        -- max_by over (order_date, amount) says the same, and makes all these sums 8 % slower.
        max(amount - cast(age_days as decimal(10, 0)) * 1000000000000000) as last_order_key,
        -- The width keeps DuckDB from squeezing the products of money into 18 digits.
        sum(cast(amount as decimal(19, 4)) * amount) as amount_squares,
        sum(cast(amount as decimal(19, 4)) * age_days) as amount_ages,
        sum(age_days) as ages,
        sum(age_days * age_days) as age_squares,
        sum(gap_days * gap_days) as gap_squares,
        max(gap_days) as gap_max_days,
        -- The gap before the last day, as last_order_key: a day weighs more than any gap.
        max(
            case when gap_days > 0 then gap_days - cast(age_days as bigint) * 1000000 end
        ) as last_gap_key,
        sum(discount_amount) as discount_amount,
        count(case when discount_amount > 0 then 1 end) as discounted_orders_count,
        count(case when mod(age_days - 1, 365) >= 365 - {{ horizon }} then 1 end)
            as season_orders_count,
        count(case when {{ cva.weekday('order_date') }} >= 6 then 1 end)
            as weekend_orders_count,
        {%- for window in [30, 90, 180, 365] %}
        count(case when age_days <= {{ window }} then 1 end) as orders_{{ window }}d_count,
        {%- endfor %}
        count(case when age_days <= {{ horizon }} then 1 end) as orders_horizon_1_count,
        {{ cva.rounded_sum('decay_180d', 9) }} as decayed_orders,
        {{ cva.rounded_sum('earlier_decay', 9) }} as earlier_decayed_orders
        {%- for name, spend in spends.items() %},
        {{ spend | replace('<amount>', 'amount') }} as {{ name }}
        {%- endfor %}
    from orders
    group by customer_id, as_of_date
),
{%- if is_net %}

returns as (
    select
        *,
        cast({{ cva.days_between('return_date', 'as_of_date') }} as integer) as age_days
    from ({{ cva.at_each_date(ref('cva', 'int_cva__refunds'), 'return_date') }})
),

refunds as (
    select
        customer_id,
        as_of_date
        {%- for name, spend in spends.items() %},
        {{ spend | replace('<amount>', 'refund_amount') }} as {{ name }}
        {%- endfor %}
    from (select *, {{- cva.decays(horizon) }} from returns)
    group by customer_id, as_of_date
),
{%- endif %}

moments as (
    select
        *,
        cast(gross_amount as double) / orders_count as order_mean_amount,
        cast(t_days - days_since_last_order as double)
        / nullif(order_days_count - 1, 0) as gap_mean_days
    from sums
),

final as (
    select
        spine.customer_id,
        spine.as_of_date,
        spine.first_seen_date,
        coalesce(moments.orders_count, 0) as orders_count,
        coalesce(moments.order_days_count, 0) as order_days_count,
        coalesce(moments.order_days_count - 1, 0) as frequency,
        moments.t_days - moments.days_since_last_order as recency_days,
        moments.t_days,
        moments.days_since_last_order,
        (moments.gross_amount - moments.first_order_day_amount)
        / nullif(moments.order_days_count - 1, 0)
            {{- ' * ' ~ kept if is_net }} as monetary_value,
        moments.order_mean_amount,
        moments.order_max_amount,
        moments.first_order_day_amount{{ ' * ' ~ kept ~ ' as first_order_day_amount' if is_net }},
        cast(
            moments.last_order_key
            + cast(moments.days_since_last_order as decimal(10, 0)) * 1000000000000000
            as decimal(18, 4)
        ) as last_order_amount,
        case
            when moments.orders_count > 1
                then sqrt(greatest(
                    cast(moments.amount_squares as double) / moments.orders_count
                    - moments.order_mean_amount * moments.order_mean_amount, 0
                )) / nullif(moments.order_mean_amount, 0)
        end as order_amount_cv,
        -(
            moments.orders_count * cast(moments.amount_ages as double)
            - moments.ages * cast(moments.gross_amount as double)
        ) / nullif(
            moments.orders_count * moments.age_squares - moments.ages * moments.ages, 0
        ) / nullif(moments.order_mean_amount, 0) as order_amount_trend_rate,
        moments.gap_mean_days,
        case
            when moments.order_days_count > 2
                then sqrt(greatest(
                    moments.gap_squares / (moments.order_days_count - 1.0)
                    - moments.gap_mean_days * moments.gap_mean_days, 0
                ))
        end as gap_std_days,
        case when moments.order_days_count > 1 then moments.gap_max_days end as gap_max_days,
        moments.last_gap_key + cast(moments.days_since_last_order as bigint) * 1000000
            as gap_last_days,
        moments.days_since_last_order / nullif(moments.gap_mean_days, 0) as overdue_ratio,
        {%- for window in [30, 90, 180, 365] %}
        coalesce(moments.orders_{{ window }}d_count, 0) as orders_{{ window }}d_count,
        {%- endfor %}
        coalesce(moments.orders_horizon_1_count, 0) as orders_horizon_1_count,
        moments.season_orders_count / nullif(moments.orders_count, 0) as season_orders_rate,
        moments.weekend_orders_count / nullif(moments.orders_count, 0) as weekend_orders_rate,
        moments.discount_amount / nullif(moments.discount_amount + moments.gross_amount, 0)
            as discount_rate,
        moments.discounted_orders_count / nullif(moments.orders_count, 0)
            as discounted_orders_rate,
        coalesce(moments.decayed_orders, 0) as decayed_orders,
        coalesce(moments.earlier_decayed_orders, 0) as earlier_decayed_orders
        {%- for name in spends %},
        {%- if is_net %}
        greatest(coalesce(moments.{{ name }}, 0) - coalesce(refunds.{{ name }}, 0), 0)
            as {{ name }}
        {%- else %}
        coalesce(moments.{{ name }}, 0) as {{ name }}
        {%- endif %}
        {%- endfor %}
    from spine
    left join moments
        on
            spine.customer_id = moments.customer_id
            and spine.as_of_date = moments.as_of_date
    {%- if is_net %}
    left join refunds
        on
            spine.customer_id = refunds.customer_id
            and spine.as_of_date = refunds.as_of_date
    {%- endif %}
)

select * from final
