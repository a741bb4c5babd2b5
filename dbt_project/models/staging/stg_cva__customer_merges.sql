-- One row per raw row of ids that are one person's. An id that leads back to itself has no end, and is
-- a reject.
with recursive source as (
    {{ cva.staged('customer_merges') }}
),

steps as (
    select from_customer_id, to_customer_id from source where reject_reason is null
),

walks as (
    select from_customer_id as start_id, to_customer_id as end_id from steps
    union
    select walks.start_id, steps.to_customer_id as end_id
    from walks
    inner join steps on walks.end_id = steps.from_customer_id
),

circles as (select start_id from walks where start_id = end_id),

final as (
    select
        source.from_customer_id,
        source.to_customer_id,
        case
            when source.reject_reason is not null then source.reject_reason
            when circles.start_id is not null then 'leads_back_to_itself'
        end as reject_reason
    from source
    left join circles on source.from_customer_id = circles.start_id
)

select * from final
