-- One row per day, visitor and customer who was named there last that day, with what the visitor did; one per
-- further customer named there, without; one per day and reason with how many rows are not used. A visit counts
-- on the day it began, and what it reached on the day it first did, so that no day knows of a later one. A
-- visitor is a browser, or a customer without one. Kept from run to run, see `event_days`. Staging is named each
-- time it is read: DuckDB writes out a common table expression that is read twice.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='sync_all_columns',
    pre_hook="{{ cva.forget_event_days(this) }}"
) }}
{%- set staged = ref('cva', 'stg_cva__events') %}
{%- if not cva.is_browsed() %}

select
    cast(null as date) as event_date,
    cast(null as string) as visitor_id,
    cast(null as string) as customer_id,
    cast(null as string) as reject_reason,
    cast(null as bigint) as events_count,
    cast(null as bigint) as named_count,
    cast(null as bigint) as unknown_types_count,
    cast(null as bigint) as sessions_count,
    cast(null as bigint) as product_sessions_count,
    cast(null as bigint) as cart_sessions_count,
    cast(null as bigint) as checkout_sessions_count,
    cast(null as bigint) as purchase_sessions_count,
    cast(null as bigint) as views_count,
    cast(null as bigint) as searches_count,
    cast(null as bigint) as purchases_count,
    cast(null as decimal(18, 3)) as duration_seconds,
    {{ cva.hash_key('cast(null as string)') }} as product_key,
    cast(null as timestamp) as first_at,
    cast(null as timestamp) as last_at,
    cast(null as timestamp) as named_at,
    cast(null as string) as built_as
from (select 1) as nothing
where 1 = 0
{%- else %}
{%- set days = cva.event_days(this) %}
{%- set is_copied = cva.has_event_copies(days) %}
{%- set is_spaced = cva.has_events_without_visit(days) %}
{%- set columns = 'event_id, customer_id, visitor_id, session_id, occurred_at, occurred_date, event_type,'
    ~ ' event_kind, is_product_view, product_id, duration_seconds, reject_reason' %}
{%- set steps = {
    'product': "event_kind = 'view' and (is_product_view or product_id is not null)",
    'cart': "event_kind = 'cart'", 'checkout': "event_kind = 'checkout'", 'purchase': "event_kind = 'purchase'"
} %}
{%- set lone = 'case when visitor_id is null then customer_id end as lone_customer_id' %}

with
{%- if is_copied %}
copies as (
    {{ cva.repeated_keys(
        cva.events_of(days, 'event_id, occurred_date', 'reject_reason is null and event_id is not null', true)
        ~ ' as events', 'event_id, occurred_date') }}
),

told as (
    {%- set is_copy = cva.hash_key('event_id, occurred_date') ~ ' in (select hashed_key from copies)' %}
    {%- set is_built = 'true' if days is none else "coalesce(occurred_date, cast('0001-01-01' as date)) in ("
        ~ cva.date_list(days) ~ ')' %}
    select
        {{ columns }},
        {{ is_built }} as is_built,
        reject_reason as reason
    from {{ cva.events_of(days, columns, 'not (' ~ is_copy ~ ')', true) }} as single
    union all
    select
        {{ columns }},
        {{ is_built }} as is_built,
        case
            when reject_reason is not null then reject_reason
            when occurrence > 1 then 'duplicate_event_id'
        end as reason
    from (
        select
            *,
            {{ cva.occurrence('events', also='occurred_date, reject_reason') }} as occurrence
        from {{ cva.events_of(days, columns, is_copy, true) }} as several
    ) as numbered
),
{%- endif %}
{%- set reason = 'reason' if is_copied else 'reject_reason' %}

rejected as (
    select
        coalesce(occurred_date, cast('0001-01-01' as date)) as event_date,
        {{ reason }} as reject_reason,
        count(*) as events_count,
        count(customer_id) as named_count
    from {{ cva.told_events(is_copied, days, 'occurred_date, ' ~ reason ~ ', customer_id', reason ~ ' is not null') }} as events
    group by 1, 2
),

{%- set used = 'customer_id, visitor_id, session_id, occurred_at, occurred_date, event_kind, is_product_view,'
    ~ ' product_id, duration_seconds, ' %}

-- Where the shop does not tell visits apart, 30 minutes without an event end one.
visits as (
    select
        {{ used }}
        lone_customer_id,
        cast(null as bigint) as visit_number
    from {{ cva.told_events(is_copied, days, used ~ lone, reason ~ ' is null and session_id is not null', true) }} as events
    {%- if is_spaced %}
    union all
    select
        {{ used }}
        lone_customer_id,
        sum(case when before_at >= occurred_at - interval 30 minutes then 0 else 1 end) over (
            partition by visitor_id, lone_customer_id
            order by occurred_at
            rows between unbounded preceding and current row
        ) as visit_number
    from (
        select
            *,
            lag(occurred_at) over (
                partition by visitor_id, lone_customer_id order by occurred_at
            ) as before_at
        from {{ cva.told_events(is_copied, days, used ~ lone, reason ~ ' is null and session_id is null', true) }} as events
    ) as spaced
    {%- endif %}
),

parts as (
    select
        occurred_date,
        visitor_id,
        lone_customer_id,
        session_id,
        visit_number,
        count(*) as events_count,
        count(customer_id) as named_count,
        count(case when event_kind is null then 1 end) as unknown_types_count,
        {%- for step, condition in steps.items() %}
        count(case when {{ condition }} then 1 end) as {{ step }}_count,
        {%- endfor %}
        count(case when event_kind = 'view' then 1 end) as views_count,
        count(case when event_kind = 'search' then 1 end) as searches_count,
        sum(cast(duration_seconds * 1000 as bigint)) as duration_ms,
        min(case when product_id is not null then {{ cva.hash_key('product_id') }} end) as product_key,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at
    from visits
    group by occurred_date, visitor_id, lone_customer_id, session_id, visit_number
),

-- A visit goes on past midnight where its id does, after two hours at most.
gone_on as (
    select
        later.occurred_date,
        later.visitor_id,
        later.lone_customer_id
        {%- for step in steps %},
        case when later.{{ step }}_count > 0 and earlier.{{ step }}_count > 0 then -1 else 0 end as {{ step }}_again
        {%- endfor %}
    from (
        select * from parts where first_at < cast(occurred_date as timestamp) + interval 2 hours
    ) as later
    inner join (
        select
            *,
            {{ cva.add_days('occurred_date', 1) }} as next_date
        from parts
        where last_at >= cast(occurred_date as timestamp) + interval 22 hours
    ) as earlier
        on
            later.occurred_date = earlier.next_date
            and later.visitor_id is not distinct from earlier.visitor_id
            and later.lone_customer_id is not distinct from earlier.lone_customer_id
            and later.session_id is not distinct from earlier.session_id
            and later.visit_number is not distinct from earlier.visit_number
            and {{ cva.seconds_between('earlier.last_at', 'later.first_at') }} <= 7200
),

counted as (
    select
        occurred_date,
        visitor_id,
        lone_customer_id,
        events_count,
        named_count,
        unknown_types_count,
        1 as sessions_count,
        {%- for step in steps %}
        case when {{ step }}_count > 0 then 1 else 0 end as {{ step }}_sessions_count,
        {%- endfor %}
        views_count,
        searches_count,
        purchase_count as purchases_count,
        coalesce(
            duration_ms, cast(1000 * {{ cva.seconds_between('first_at', 'last_at') }} as bigint)
        ) as duration_ms,
        product_key,
        first_at,
        last_at
    from parts
    {%- if days is not none %}
    where occurred_date in ({{ cva.date_list(days) }})
    {%- endif %}
    union all
    select
        occurred_date,
        visitor_id,
        lone_customer_id,
        0,
        0,
        0,
        -1,
        {%- for step in steps %}
        {{ step }}_again,
        {%- endfor %}
        0,
        0,
        0,
        0,
        null,
        null,
        null
    from gone_on
    {%- if days is not none %}
    where occurred_date in ({{ cva.date_list(days) }})
    {%- endif %}
),

summed as (
    select
        occurred_date,
        visitor_id,
        lone_customer_id,
        {%- for name in ['events', 'named', 'unknown_types', 'sessions'] %}
        cast(sum({{ name }}_count) as bigint) as {{ name }}_count,
        {%- endfor %}
        {%- for step in steps %}
        cast(sum({{ step }}_sessions_count) as bigint) as {{ step }}_sessions_count,
        {%- endfor %}
        {%- for name in ['views', 'searches', 'purchases'] %}
        cast(sum({{ name }}_count) as bigint) as {{ name }}_count,
        {%- endfor %}
        cast(sum(duration_ms) / 1000.0 as decimal(18, 3)) as duration_seconds,
        min(product_key) as product_key,
        min(first_at) as first_at,
        max(last_at) as last_at
    from counted
    group by occurred_date, visitor_id, lone_customer_id
),

judged as (
    select
        *,
        {{ cva.bot_reason() }} as reject_reason
    from summed
),

names as (
    select
        occurred_date,
        visitor_id,
        customer_id,
        max(occurred_at) as named_at
    from {{ cva.told_events(
        is_copied, days, 'occurred_date, visitor_id, customer_id, occurred_at',
        reason ~ ' is null and customer_id is not null and visitor_id is not null') }} as events
    group by occurred_date, visitor_id, customer_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by occurred_date, visitor_id order by named_at desc, customer_id
        ) as place
    from names
),

final as (
    select
        judged.occurred_date as event_date,
        judged.visitor_id,
        coalesce(judged.lone_customer_id, ranked.customer_id) as customer_id,
        judged.reject_reason,
        {%- for name in ['events', 'named', 'unknown_types', 'sessions'] %}
        judged.{{ name }}_count,
        {%- endfor %}
        {%- for step in steps %}
        judged.{{ step }}_sessions_count,
        {%- endfor %}
        judged.views_count,
        judged.searches_count,
        judged.purchases_count,
        judged.duration_seconds,
        judged.product_key,
        judged.first_at,
        judged.last_at,
        ranked.named_at
    from judged
    left join ranked
        on
            judged.occurred_date = ranked.occurred_date
            and judged.visitor_id = ranked.visitor_id
            and ranked.place = 1
    union all
    select
        ranked.occurred_date,
        ranked.visitor_id,
        ranked.customer_id,
        null,
        {% for _ in range(11) %}0, {% endfor %}0,
        null,
        null,
        null,
        ranked.named_at
    from ranked
    where ranked.place > 1
    union all
    select
        event_date,
        null,
        null,
        reject_reason,
        events_count,
        named_count,
        {% for _ in range(9) %}0, {% endfor %}0,
        null,
        null,
        null,
        null
    from rejected
)

select
    *,
    '{{ cva.event_days_key() if execute else '' }}' as built_as
from final
{%- endif %}
