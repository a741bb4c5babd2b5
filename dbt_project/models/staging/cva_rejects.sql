-- One row per table and reason for which rows are not used, and one with a NULL reason for a table
-- whose rows all are. Per table: raw_row_count = valid_row_count + the sum of row_count. Facts on or
-- after as_of_date are not used either, so a run for a past date counts them.
{{ config(materialized='table', enabled=var('cva_spine') == 'scoring') }}

with dates as (select max(as_of_date) as as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

orders as (select * from {{ ref('cva', 'stg_cva__orders') }}),

kept_orders as (
    select orders.order_id, orders.order_date, orders.cancelled_at
    from {{ ref('cva', 'int_cva__orders_valid') }} as orders
),

kept_returns as (select * from {{ ref('cva', 'int_cva__returns_valid') }}),

kept_reviews as (select review_date from {{ ref('cva', 'int_cva__reviews_valid') }}),

reasons as (
    select 'orders' as table_name, reject_reason as reason, count(*) as row_count
    from orders
    where reject_reason is not null
    group by reject_reason
    union all
    select 'orders', 'duplicate_order_id', count(*) - (select count(*) from kept_orders)
    from orders
    where reject_reason is null
    union all
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
    union all
    select
        'order_items',
        case
            when items.reject_reason is not null then items.reject_reason
            when kept_orders.order_id is null then 'order_not_valid'
            when kept_orders.order_date >= dates.as_of_date then 'on_or_after_as_of'
            else 'order_not_valid'
        end as reason,
        count(*)
    from {{ ref('cva', 'stg_cva__order_items') }} as items
    cross join dates
    left join kept_orders on items.order_id = kept_orders.order_id
    where
        items.reject_reason is not null
        or kept_orders.order_id is null
        or kept_orders.order_date >= dates.as_of_date
        or kept_orders.cancelled_at < cast(dates.as_of_date as timestamp)
    group by 2
    union all
    select 'products', reject_reason, count(*)
    from {{ ref('cva', 'stg_cva__products') }}
    where reject_reason is not null
    group by reject_reason
    union all
    select 'customers', reject_reason, count(*)
    from {{ ref('cva', 'stg_cva__customers') }}
    where reject_reason is not null
    group by reject_reason
    union all
    select 'customers', 'on_or_after_as_of', count(*)
    from {{ ref('cva', 'stg_cva__customers') }}
    cross join dates
    where
        reject_reason is null
        and (
            signed_up_at >= cast(dates.as_of_date as timestamp)
            or valid_from >= cast(dates.as_of_date as timestamp)
        )
    union all
    select 'returns', reject_reason, count(*)
    from {{ ref('cva', 'stg_cva__returns') }}
    where reject_reason is not null
    group by reject_reason
    union all
    select 'returns', 'customer_unknown', count(*) - (select count(*) from kept_returns)
    from {{ ref('cva', 'stg_cva__returns') }}
    where reject_reason is null
    union all
    select 'returns', 'on_or_after_as_of', count(*)
    from kept_returns
    cross join dates
    where return_date >= dates.as_of_date
    union all
    select 'reviews', reject_reason, count(*)
    from {{ ref('cva', 'stg_cva__reviews') }}
    where reject_reason is not null
    group by reject_reason
    union all
    select 'reviews', 'duplicate_review_id', count(*) - (select count(*) from kept_reviews)
    from {{ ref('cva', 'stg_cva__reviews') }}
    where reject_reason is null
    union all
    select 'reviews', 'on_or_after_as_of', count(*)
    from kept_reviews
    cross join dates
    where review_date >= dates.as_of_date
),

raw_counts as (
    {%- for table in ['orders', 'order_items', 'products', 'customers', 'returns', 'reviews'] %}
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
