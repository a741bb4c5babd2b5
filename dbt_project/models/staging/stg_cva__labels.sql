-- One row per raw label row: what a customer turned out to be worth from a date on, as the shop says it.
-- Of several of one customer and date the lowest is used.
with source as ({{ cva.source_or_empty('labels') }}),

judged as (
    select
        *,
        cast(as_of_date as date) as label_date,
        case
            {{ cva.reject_cases('labels') }}
            when value < 0 then 'value_negative'
        end as problem
    from source
),

-- Usable rows apart: a copy that cannot be used must not push out the one that can.
numbered as (
    select
        *,
        {{ cva.occurrence('labels', also='problem is null', instead={'as_of_date': 'label_date'}) }} as occurrence
    from judged
),

final as (
    select
        customer_id,
        label_date as as_of_date,
        value,
        case
            when problem is not null then problem
            when occurrence > 1 then 'duplicate_label'
        end as reject_reason
    from numbered
)

select * from final
