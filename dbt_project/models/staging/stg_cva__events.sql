-- One row per raw event row; copies and bots that only a whole day tells are found in int_cva__browse_days.
-- The customer is the account that the row names: who is one person is looked up after the days, which are
-- kept from run to run.
with source as ({{ cva.rows_of_accounts('events') }}),

{#- A table without types is a log of pages. #}
{%- set is_typed = cva.has_source_column('events', 'event_type') %}

named as (
    select
        *,
        case when not {{ cva.is_nobody('visitor_id') }} then visitor_id end as known_visitor_id
    from source
),

final as (
    select
        event_id,
        customer_id,
        known_visitor_id as visitor_id,
        session_id,
        occurred_at,
        cast(occurred_at as date) as occurred_date,
        event_type,
        {{ cva.event_kind('event_type') if is_typed else "'view'" }} as event_kind,
        {{ cva.is_product_view('event_type') if is_typed else 'false' }} as is_product_view,
        product_id,
        page,
        search_query,
        -- No visit lasts longer than a day.
        case when duration_seconds between 0 and 86400 then duration_seconds end as duration_seconds,
        value,
        user_agent,
        case
            {{ cva.reject_cases('events') }}
            when known_visitor_id is null and customer_id is null then 'visitor_unknown'
            when {{ cva.is_bot_agent('user_agent') }} then 'bot_agent'
        end as reject_reason
    from named
)

select * from final
