-- One row per table and reason for which rows are not used, and one with a NULL reason for a table
-- whose rows all are. Per table: raw_row_count = valid_row_count + the sum of row_count. Facts on or
-- after as_of_date are not used either, so a run for a past date counts them.
{{ config(materialized='table', enabled=var('cva_spine') == 'scoring') }}
{%- set tables = cva.raw_tables() %}

with dates as (select max(as_of_date) as as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

kept_orders as (
    select
        orders.order_id,
        orders.store,
        orders.order_date,
        orders.cancelled_at,
        orders.orders_of_id,
        orders.orders_of_store_id
    from {{ ref('cva', 'int_cva__orders_valid') }} as orders
),

ambiguous as (select order_id from kept_orders where orders_of_id > 1 group by order_id),

{#- Usable rows of nobody: they name no customer, and no order does. #}
{%- for table, line in tables.items() if cva.is_named_by_order(table) %}

nameless_{{ table }} as (
    select
        case when ambiguous.order_id is null then 'customer_unknown' else 'order_ambiguous' end as reason
    from {{ ref('cva', 'stg_cva__' ~ table) }} as facts
    left join ambiguous on facts.order_id = ambiguous.order_id
    left join kept_orders as orders
        on
            {{ cva.is_of_order('facts') }}
            and orders.order_date <= cast(facts.{{ line.date }} as date)
    where facts.reject_reason is null and facts.customer_id is null and orders.order_id is null
),
{%- endfor %}

{#- The date alone: what is read twice is written out, texts included. #}
{%- for table, line in tables.items() if line.get('date') and table != 'orders' and not line.daily %}

kept_{{ table }} as (select {{ line.date }} as happened_at from {{ cva.usable(table) }}),
{%- endfor %}

reasons as (
    {%- for table, line in tables.items() if line.daily %}
    select '{{ table }}' as table_name, reject_reason as reason, sum(events_count) as row_count
    from {{ ref('cva', line.daily) }}
    where reject_reason is not null
    group by reject_reason
    union all
    select '{{ table }}', 'on_or_after_as_of', sum(events_count)
    from {{ ref('cva', line.daily) }}
    cross join dates
    where reject_reason is null and event_date >= dates.as_of_date
    union all
    {%- endfor %}
    {%- for table, line in tables.items() if line.get('of') != 'orders' and not line.daily %}
    select '{{ table }}' as table_name, reject_reason as reason, count(*) as row_count
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    where reject_reason is not null
    group by reject_reason
    union all
    {%- if 'valid' in line %}
    {%- if cva.is_named_by_order(table) %}
    select '{{ table }}', reason, count(*) from nameless_{{ table }} group by reason
    union all
    {%- endif %}
    select
        '{{ table }}',
        '{{ line.valid[1] }}',
        count(*) - (select count(*) from kept_{{ table }})
        {%- if cva.is_named_by_order(table) %}
        - (select count(*) from nameless_{{ table }})
        {%- endif %}
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    where reject_reason is null
    union all
    {%- endif %}
    {%- if line.get('date') and not line.is_plan and table != 'orders' %}
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
            when kept_orders.order_id is null and ambiguous.order_id is not null then 'order_ambiguous'
            when kept_orders.order_id is null then 'order_not_valid'
            when kept_orders.order_date >= dates.as_of_date then 'on_or_after_as_of'
            else 'order_not_valid'
        end as reason,
        count(*)
    from {{ ref('cva', 'stg_cva__' ~ table) }} as items
    cross join dates
    left join ambiguous on items.order_id = ambiguous.order_id
    left join kept_orders on {{ cva.is_of_order('items', 'kept_orders') }}
    where
        items.reject_reason is not null
        or kept_orders.order_id is null
        or kept_orders.order_date >= dates.as_of_date
        or kept_orders.cancelled_at < cast(dates.as_of_date as timestamp)
    group by 2
    {%- endfor %}
),

raw_counts as (
    {%- for table, line in tables.items() %}
    {%- set rows = ('coalesce(sum(events_count), 0)', line.daily) if line.daily else ('count(*)', 'stg_cva__' ~ table) %}
    select '{{ table }}' as table_name, {{ rows[0] }} as raw_row_count
    from {{ ref('cva', rows[1]) }}
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
        cast(raw_counts.raw_row_count as bigint) as raw_row_count,
        cast(
            raw_counts.raw_row_count
            - coalesce(sum(rejected.row_count) over (partition by raw_counts.table_name), 0)
            as bigint
        ) as valid_row_count
    from raw_counts
    left join rejected on raw_counts.table_name = rejected.table_name
)

select * from final
