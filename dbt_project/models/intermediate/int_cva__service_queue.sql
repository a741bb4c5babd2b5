-- One row per ticket that is open on as_of_date, and per review of the `cva_service_days` before it: what a
-- service team may answer. What was closed on that day or later was still open then.
{{ config(materialized='ephemeral') }}
with tickets as (select * from {{ ref('cva', 'stg_cva__tickets') }} where reject_reason is null),

reviews as (select * from {{ ref('cva', 'int_cva__reviews_valid') }}),

dates as (select as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

final as (
    select
        'ticket' as source,
        tickets.ticket_id as id,
        tickets.customer_id,
        dates.as_of_date,
        tickets.opened_at,
        tickets.opened_date,
        tickets.channel,
        cast(null as double) as rating,
        case
            when tickets.subject is null then tickets.body
            when tickets.body is null then tickets.subject
            else concat(tickets.subject, chr(10), tickets.body)
        end as text
    from tickets
    cross join dates
    where
        tickets.opened_date < dates.as_of_date
        and (tickets.closed_at is null or cast(tickets.closed_at as date) >= dates.as_of_date)
    union all
    select
        'review' as source,
        reviews.review_id as id,
        reviews.customer_id,
        dates.as_of_date,
        reviews.reviewed_at as opened_at,
        reviews.review_date as opened_date,
        cast(null as string) as channel,
        reviews.rating,
        reviews.body as text
    from reviews
    cross join dates
    where
        reviews.review_date < dates.as_of_date
        and reviews.review_date
        >= {{ cva.add_days('dates.as_of_date', -cva.setting('cva_service_days')) }}
)

select * from final
