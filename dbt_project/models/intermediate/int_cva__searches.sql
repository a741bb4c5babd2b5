-- One row per day, visitor and text that they searched for; a visitor is a browser, or a customer without one. The
-- customer is who was named there that day. Days of bots are left out.
{{ config(materialized='ephemeral') }}
{%- set lone = 'case when visitor_id is null then customer_id end' %}
with searched as (
    select distinct
        occurred_date as event_date,
        visitor_id,
        {{ lone }} as lone_customer_id,
        search_query
    from {{ ref('cva', 'stg_cva__events') }}
    where search_query is not null and reject_reason is null
),

days as (
    select event_date, visitor_id, customer_id, {{ lone }} as lone_customer_id
    from {{ ref('cva', 'int_cva__browse_days') }}
    where reject_reason is null and events_count > 0
),

final as (
    select distinct
        searched.event_date,
        searched.visitor_id,
        days.customer_id,
        {{ cva.query_text('searched.search_query') }} as query
    from searched
    inner join days
        on
            searched.event_date = days.event_date
            and coalesce(searched.visitor_id, '') = coalesce(days.visitor_id, '')
            and coalesce(searched.lone_customer_id, '') = coalesce(days.lone_customer_id, '')
)

select * from final where query is not null
