-- One row per customer whom marketing reached before as_of_date, and as_of_date: how often, what came
-- of it, and what it cost. Those left alone as controls were not reached. A touch was answered by an
-- order at its time or after it, within `cva_response_days` days; one too young for that is not judged. A visit
-- answers alike: the last event of a day tells that somebody came after the touch.
{{ config(materialized='ephemeral') }}
{%- set response_days = cva.setting('cva_response_days') %}
{%- set has_visits = 'browse' not in cva.setting('cva_families_off')
    and cva.has_source_column('events', 'occurred_at') %}

with touches as (
    select * from ({{ cva.at_each_date(ref('cva', 'stg_cva__marketing_touches'), 'touched_date') }})
    where reject_reason is null and not coalesce(is_control, false)
),

orders as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__orders_valid'), 'order_date') }})
    where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
),

{%- if has_visits %}

days as (
    select * from {{ cva.days_of_persons('events') }} as days where reject_reason is null
),

dates as (select distinct as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

named as (
    {{ cva.named_visitors() }}
),

visits as (
    select
        reached.customer_id,
        reached.as_of_date,
        owned.last_at as visited_at
    from ({{ cva.owned_by_customers('days') }}) as owned
    inner join (select distinct customer_id, as_of_date from touches) as reached
        on owned.owner_id = reached.customer_id and owned.as_of_date = reached.as_of_date
    where owned.last_at is not null
),
{%- endif %}

happened as (
    select
        customer_id,
        as_of_date,
        touched_at as happened_at,
        touched_date,
        cost,
        cast(null as timestamp) as ordered_at,
        cast(null as timestamp) as visited_at
    from touches
    union all
    select customer_id, as_of_date, ordered_at, null, null, ordered_at, null from orders
    {%- if has_visits %}
    union all
    select customer_id, as_of_date, visited_at, null, null, null, visited_at from visits
    {%- endif %}
),

-- Of what happens at one time all is in the frame, so that no order decides.
answered as (
    select
        *,
        cast(min(ordered_at) over later as date) as next_order_date,
        cast(min(visited_at) over later as date) as next_visit_date
    from happened
    window later as (
        partition by customer_id, as_of_date
        order by happened_at
        range between current row and unbounded following
    )
),

aged as (
    select
        customer_id,
        as_of_date,
        cost,
        next_order_date,
        {{ cva.days_between('touched_date', 'as_of_date') }} as age_days,
        {{ cva.days_between('touched_date', 'next_order_date') }} as days_to_order,
        {{ cva.days_between('touched_date', 'next_visit_date') }} as days_to_visit
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
        {% if has_visits -%}
        count(
            case when age_days > {{ response_days }} and days_to_visit <= {{ response_days }} then 1 end
        ) / nullif(count(case when age_days > {{ response_days }} then 1 end), 0)
        {%- else -%}
        cast(null as double)
        {%- endif %} as visit_response_rate,
        sum(cost) as touch_cost
    from aged
    group by customer_id, as_of_date
)

select * from final
