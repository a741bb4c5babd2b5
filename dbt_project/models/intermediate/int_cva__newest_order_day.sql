-- One row: the newest day with an order, whatever became of it, or a browse event, and what lies too far beyond. Days
-- are doubted where more than 30 days, and ten times the gap that 99 % of the days before did not
-- exceed, separate them from the rest: runs of three days at most, together three, or 1 % of all
-- days; of few days a sixth. A shop that opens again has more of them.{%- set is_browsed = execute and cva.source_relation('events') is not none %}
{%- set rows = ('order or event', 'orders and events') if is_browsed else ('order', 'orders') %}

with active as (
    {%- for table, line in cva.raw_tables().items() if line.get('moves_as_of') %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    {%- if line.daily %}
    select event_date as active_date, sum(events_count) as row_count
    from {{ ref('cva', line.daily) }}
    where reject_reason is null
    group by event_date
    {%- else %}
    select cast({{ line.date }} as date) as active_date, count(*) as row_count
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    where {{ line.date }} >= timestamp '1970-01-01' and {{ line.date }} <= {{ cva.now() }}
    group by cast({{ line.date }} as date)
    {%- endif %}
    {%- endfor %}
),

days as (
    select active_date, sum(row_count) as row_count from active group by active_date
),

gaps as (
    select
        active_date,
        row_count,
        {{ cva.days_between(
            'lag(active_date) over (order by active_date)', 'active_date') }} as gap_days,
        row_number() over (order by active_date desc) as days_to_end,
        greatest(
            least(3, floor(count(*) over () / 6.0)), floor(count(*) over () / 100.0)
        ) as most_doubted
    from days
),

usual as (
    select gap_days, cume_dist() over (order by gap_days) as share
    from gaps
    where gap_days is not null and days_to_end > most_doubted
),

limits as (
    select
        greatest(30, 10 * coalesce(min(case when share >= 0.99 then gap_days end), 0))
            as limit_days
    from usual
),

last_days as (
    select
        gaps.active_date,
        sum(case when gaps.gap_days > limits.limit_days then 1 else 0 end)
            over (order by gaps.active_date) as run_number
    from gaps
    cross join limits
    where gaps.days_to_end <= gaps.most_doubted
),

runs as (
    select run_number, min(active_date) as first_date, count(*) as day_count
    from last_days
    where run_number > 0
    group by run_number
),

lone_runs as (
    select first_date, max(day_count) over (order by run_number desc) as longest_days
    from runs
),

doubted as (
    select min(first_date) as first_date from lone_runs where longest_days <= 3
),

found as (
    select
        max(
            case
                when doubted.first_date is null or days.active_date < doubted.first_date
                    then days.active_date
            end
        ) as newest_date,
        max(doubted.first_date) as doubted_from,
        max(case when days.active_date >= doubted.first_date then days.active_date end)
            as doubted_to,
        sum(case when days.active_date >= doubted.first_date then days.row_count end)
            as doubted_count
    from days
    cross join doubted
),

final as (
    select
        newest_date,
        doubted_to as doubted_date,
        case
            when doubted_to is not null then concat(
                'as of ', cast({{ cva.add_days('newest_date', 1) }} as string),
                ', not ', cast({{ cva.add_days('doubted_to', 1) }} as string),
                ': ', cast(doubted_count as string),
                case when doubted_count = 1 then ' {{ rows[0] }} lies ' else ' {{ rows[1] }} lie ' end,
                cast({{ cva.days_between('newest_date', 'doubted_from') }} as string),
                ' days after all others (', cast(doubted_from as string),
                case
                    when doubted_from = doubted_to then ''
                    else concat(' .. ', cast(doubted_to as string))
                end,
                '); if that is right, --as-of ',
                cast({{ cva.add_days('doubted_to', 1) }} as string),
                ' (in dbt, the var cva_as_of)'
            )
        end as doubt
    from found
)

select * from final
