-- Of the horizons that have passed, nine of ten totals should lie in their 90 % interval. It warns where
-- most of the last ten did not: cva train --if-needed looks at the deployed model's alone.
{{ config(severity='warn') }}

with passed as (
    select
        as_of_date,
        is_total_within,
        row_number() over (order by as_of_date desc) as place
    from {{ ref('cva', 'cva_live_performance') }}
    where has_passed and is_total_within is not null
),

missed as (
    select
        count(*) as horizons_count,
        sum(case when is_total_within then 0 else 1 end) as missed_count
    from passed
    where place <= 10
)

select *
from missed
where missed_count * 2 > horizons_count
