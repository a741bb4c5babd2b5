-- One row per table and reason for which rows are not used, and one with a NULL reason for a table
-- whose rows all are. Per table: raw_row_count = valid_row_count + the sum of row_count. Facts on or
-- after as_of_date are not used either, so a run for a past date counts them.
{{ config(materialized='table', enabled=var('cva_spine') == 'scoring') }}
{%- set tables = cva.raw_tables() %}

with dates as (select max(as_of_date) as as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

kept_orders as (
    select orders.order_id, orders.order_date, orders.cancelled_at
    from {{ ref('cva', 'int_cva__orders_valid') }} as orders
),

{#- The date alone: what is read twice is written out, texts included. #}
{%- for table, line in tables.items() if line.get('date') and table != 'orders' %}

kept_{{ table }} as (select {{ line.date }} as happened_at from {{ cva.usable(table) }}),
{%- endfor %}

reasons as (
    {%- for table, line in tables.items() if line.get('of') != 'orders' %}
    select '{{ table }}' as table_name, reject_reason as reason, count(*) as row_count
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    where reject_reason is not null
    group by reject_reason
    union all
    {%- if 'valid' in line %}
    select '{{ table }}', '{{ line.valid[1] }}', count(*) - (select count(*) from kept_{{ table }})
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    where reject_reason is null
    union all
    {%- endif %}
    {%- if line.get('date') and table != 'orders' %}
    select '{{ table }}', 'on_or_after_as_of', count(*)
    from kept_{{ table }}
    cross join dates
    where happened_at >= cast(dates.as_of_date as timestamp)
    union all
    {%- endif %}
    {%- if line.get('since') %}
    select '{{ table }}', 'on_or_after_as_of', count(*)
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    cross join dates
    where
        reject_reason is null
        and (
            {%- for time in line.since %}
            {{ 'or ' if not loop.first else '' }}{{ time }} >= cast(dates.as_of_date as timestamp)
            {%- endfor %}
        )
    union all
    {%- endif %}
    {%- endfor %}
    select
        'orders',
        case
            when kept_orders.order_date >= dates.as_of_date then 'on_or_after_as_of'
            else 'cancelled'
        end as reason,
        count(*)
    from kept_orders
    cross join dates
    where
        kept_orders.order_date >= dates.as_of_date
        or kept_orders.cancelled_at < cast(dates.as_of_date as timestamp)
    group by 2
    {%- for table, line in tables.items() if line.get('of') == 'orders' %}
    union all
    select
        '{{ table }}',
        case
            when items.reject_reason is not null then items.reject_reason
            when kept_orders.order_id is null then 'order_not_valid'
            when kept_orders.order_date >= dates.as_of_date then 'on_or_after_as_of'
            else 'order_not_valid'
        end as reason,
        count(*)
    from {{ ref('cva', 'stg_cva__' ~ table) }} as items
    cross join dates
    left join kept_orders on items.order_id = kept_orders.order_id
    where
        items.reject_reason is not null
        or kept_orders.order_id is null
        or kept_orders.order_date >= dates.as_of_date
        or kept_orders.cancelled_at < cast(dates.as_of_date as timestamp)
    group by 2
    {%- endfor %}
),

raw_counts as (
    {%- for table in tables %}
    select '{{ table }}' as table_name, count(*) as raw_row_count
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

rejected as (
    select table_name, reason, cast(sum(row_count) as bigint) as row_count
    from reasons
    where row_count > 0
    group by table_name, reason
),

final as (
    select
        raw_counts.table_name,
        rejected.reason,
        coalesce(rejected.row_count, 0) as row_count,
        raw_counts.raw_row_count,
        cast(
            raw_counts.raw_row_count
            - coalesce(sum(rejected.row_count) over (partition by raw_counts.table_name), 0)
            as bigint
        ) as valid_row_count
    from raw_counts
    left join rejected on raw_counts.table_name = rejected.table_name
)

select * from final
