-- One row per raw cost of winning customers. Several of one day and channel add up.
with source as ({{ cva.source_or_empty('acquisition_costs') }}),

final as (
    select
        day,
        cast(day as date) as cost_date,
        channel,
        cost,
        case
            {{ cva.reject_cases('acquisition_costs') }}
            when cost < 0 then 'cost_negative'
            when cost > 1e12 then 'cost_too_large'
        end as reject_reason
    from source
)

select * from final
