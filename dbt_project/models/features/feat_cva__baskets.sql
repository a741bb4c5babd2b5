-- One row per spine row with an item of a valid order: how broad the taste is.
{{ config(materialized='ephemeral') }}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

items as (
    select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

products as (
    select * from {{ ref('cva', 'stg_cva__products') }} where reject_reason is null
),

bought as (
    select
        spine.customer_id,
        spine.as_of_date,
        items.order_id,
        orders.store,
        items.product_id,
        products.category,
        cast(coalesce(items.quantity, 1) as decimal(19, 4)) as quantity,
        items.unit_price,
        {{ cva.unit_cost() }}
    from spine
    inner join orders on spine.customer_id = orders.customer_id
    inner join items on {{ cva.is_of_order('items') }}
    left join products on items.product_id = products.product_id
    {{ cva.join_cost_rates() }}
    where
        orders.order_date < spine.as_of_date
        and {{ cva.is_valid_on('orders.cancelled_at', 'spine.as_of_date') }}
),

totals as (
    select
        customer_id,
        as_of_date,
        count(*) as item_rows,
        count(
            distinct case when store is null then order_id else concat(order_id, '#', store) end
        ) as orders_count,
        count(distinct product_id) as products_count,
        sum(quantity) as quantity,
        sum(cast(quantity * unit_price as decimal(28, 4))) as list_amount,
        sum(case when unit_cost is not null then cast(quantity * unit_price as decimal(28, 4)) end)
            as costed_amount,
        sum(cast(quantity * unit_cost as decimal(28, 4))) as cost_amount
    from bought
    group by customer_id, as_of_date
),

by_category as (
    select customer_id, as_of_date, category, count(*) as item_rows
    from bought
    where category is not null
    group by customer_id, as_of_date, category
),

categories as (
    select
        customer_id,
        as_of_date,
        count(*) as categories_count,
        max(item_rows) as top_category_rows,
        sum(item_rows) as category_rows
    from by_category
    group by customer_id, as_of_date
),

final as (
    select
        totals.customer_id,
        totals.as_of_date,
        totals.products_count,
        categories.categories_count,
        categories.top_category_rows / nullif(categories.category_rows, 0)
            as top_category_rate,
        1 - totals.products_count / nullif(totals.item_rows, 0) as repeat_product_rate,
        totals.quantity / nullif(totals.orders_count, 0) as order_mean_quantity,
        totals.list_amount / nullif(totals.quantity, 0) as item_mean_price,
        1 - totals.cost_amount / nullif(totals.costed_amount, 0) as margin_rate
    from totals
    left join categories
        on
            totals.customer_id = categories.customer_id
            and totals.as_of_date = categories.as_of_date
)

select * from final
