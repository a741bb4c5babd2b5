-- One row per raw calendar row; of several of one event and day the one with the largest factor is used.
with source as ({{ cva.source_or_empty('calendar') }}),

judged as (
    select
        *,
        cast(date as date) as event_date,
        case
            {{ cva.reject_cases('calendar') }}
            when factor < 0 then 'factor_negative'
        end as problem
    from source
),

numbered as (
    select
        *,
        {{ cva.occurrence('calendar', also='problem is null', instead={'date': 'event_date'}) }} as occurrence
    from judged
),

final as (
    select
        date,
        event_date,
        event,
        factor,
        case
            when problem is not null then problem
            when occurrence > 1 then 'duplicate_event'
        end as reject_reason
    from numbered
)

select * from final
