-- One row per customer whom marketing reached before as_of_date, and as_of_date: how often, what came
-- of it, and what it cost. Those left alone as controls were not reached. A touch was answered by an
-- order at its time or after it, within `cva_response_days` days; one too young for that is not judged.
{{ config(materialized='ephemeral') }}
{%- set response_days = cva.setting('cva_response_days') %}

with touches as (
    select * from ({{ cva.at_each_date(ref('cva', 'stg_cva__marketing_touches'), 'touched_date') }})
    where reject_reason is null and not coalesce(is_control, false)
),

orders as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__orders_valid'), 'order_date') }})
    where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
),

happened as (
    select customer_id, as_of_date, touched_at as happened_at, touched_date, cost
    from touches
    union all
    select
        customer_id,
        as_of_date,
        ordered_at as happened_at,
        cast(null as date) as touched_date,
        cast(null as decimal(18, 4)) as cost
    from orders
),

-- Of what happens at one time all is in the frame, so that no order decides.
answered as (
    select
        *,
        cast(
            min(case when touched_date is null then happened_at end) over (
                partition by customer_id, as_of_date
                order by happened_at
                range between current row and unbounded following
            ) as date
        ) as next_order_date
    from happened
),

aged as (
    select
        customer_id,
        as_of_date,
        cost,
        next_order_date,
        {{ cva.days_between('touched_date', 'as_of_date') }} as age_days,
        {{ cva.days_between('touched_date', 'next_order_date') }} as days_to_order
    from answered
    where touched_date is not null
),

final as (
    select
        customer_id,
        as_of_date,
        count(*) as touches_count,
        count(case when age_days <= 30 then 1 end) as touches_30d_count,
        count(case when age_days <= 90 then 1 end) as touches_90d_count,
        min(age_days) as days_since_last_touch,
        count(case when next_order_date is null then 1 end) as unanswered_touches_count,
        count(
            case when age_days > {{ response_days }} and days_to_order <= {{ response_days }} then 1 end
        ) / nullif(count(case when age_days > {{ response_days }} then 1 end), 0) as response_rate,
        sum(cost) as touch_cost
    from aged
    group by customer_id, as_of_date
)

select * from final
