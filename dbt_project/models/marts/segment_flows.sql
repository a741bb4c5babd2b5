-- One row per month, segment before and segment after: from the last date of the month before that was
-- looked from to the last of the month, of dates that predicted what `cva_target` says now. A customer who was not there then comes from NULL.
with history as (
    select * from {{ ref('cva', 'customer_value_history') }} where {{ cva.is_of_target() }}
),

months as (
    select
        cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as month,
        max(as_of_date) as as_of_date
    from history
    group by 1
),

pairs as (
    select
        month,
        as_of_date,
        lag(as_of_date) over (order by month) as from_as_of_date
    from months
),

after as (
    select
        pairs.month,
        pairs.as_of_date,
        pairs.from_as_of_date,
        history.customer_id,
        history.value_tier,
        history.lifecycle_stage,
        history.predicted_value
    from history
    inner join pairs on history.as_of_date = pairs.as_of_date
    where pairs.from_as_of_date is not null
),

final as (
    select
        after.month,
        after.from_as_of_date,
        after.as_of_date,
        before.value_tier as from_value_tier,
        before.lifecycle_stage as from_lifecycle_stage,
        after.value_tier as to_value_tier,
        after.lifecycle_stage as to_lifecycle_stage,
        count(*) as customers_count,
        cast(sum(cast(before.predicted_value as decimal(18, 4))) as double)
            as from_predicted_value,
        cast(sum(cast(after.predicted_value as decimal(18, 4))) as double)
            as to_predicted_value
    from after
    left join history as before
        on
            after.customer_id = before.customer_id
            and after.from_as_of_date = before.as_of_date
    group by all
)

select * from final
