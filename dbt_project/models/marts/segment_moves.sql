-- One row per customer whose tier or stage is another than at the date before that predicted the same, with the
-- family of reasons that moved the prediction most between the two. Who is not eligible has no stage to move.
with history as (select * from {{ ref('cva', 'int_cva__value_history') }}),

today as (
    select
        max(as_of_date) as as_of_date
    from {{ ref('cva', 'customer_segments') }}
),

-- The last date before, and of both the last run.
dates as (
    select
        history.as_of_date,
        max(history.run_id) as run_id,
        row_number() over (order by history.as_of_date desc) as place
    from history
    cross join today
    where history.as_of_date <= today.as_of_date and {{ cva.is_of_target('history.') }}
    group by history.as_of_date
),

snapshots as (
    select history.*, dates.place
    from history
    inner join dates
        on
            history.as_of_date = dates.as_of_date
            and history.run_id = dates.run_id
    where dates.place <= 2 and {{ cva.is_profiled('history.') }}
),

moved as (
    select
        now.customer_id,
        now.as_of_date,
        before.as_of_date as from_as_of_date,
        before.value_tier as from_value_tier,
        before.lifecycle_stage as from_lifecycle_stage,
        now.value_tier as to_value_tier,
        now.lifecycle_stage as to_lifecycle_stage,
        before.predicted_value as from_predicted_value,
        now.predicted_value as to_predicted_value,
        before.families as from_families,
        now.families as to_families
    from (select * from snapshots where place = 1) as now
    inner join (select * from snapshots where place = 2) as before
        on now.customer_id = before.customer_id
    where
        now.value_tier <> before.value_tier
        or now.lifecycle_stage <> before.lifecycle_stage
),

items as (
    select
        customer_id,
        {{ cva.exploded('from_families') }} as item,
        -1 as sign
    from moved
    where to_families is not null

    union all

    select
        customer_id,
        {{ cva.exploded('to_families') }} as item,
        1 as sign
    from moved
    where from_families is not null
),

changes as (
    select
        customer_id,
        item.family as family,
        sum(cast(sign * item.attribution as decimal(28, 6))) as change
    from items
    group by customer_id, item.family
),

reasons as (
    select
        customer_id,
        family,
        change,
        row_number() over (partition by customer_id order by abs(change) desc, family) as place
    from changes
),

final as (
    select
        moved.customer_id,
        moved.as_of_date,
        moved.from_as_of_date,
        moved.from_value_tier,
        moved.from_lifecycle_stage,
        moved.to_value_tier,
        moved.to_lifecycle_stage,
        moved.from_predicted_value,
        moved.to_predicted_value,
        case when reasons.change <> 0 then reasons.family end as reason_family,
        cast(reasons.change as double) as reason_change
    from moved
    left join reasons
        on
            moved.customer_id = reasons.customer_id
            and reasons.place = 1
)

select * from final
