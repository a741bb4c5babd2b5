-- One row per product whose price and cost are both known: what a unit that sold in the half year before as_of_date
-- left. Recommendations read it.
{{ config(materialized='view', enabled=var('cva_spine') == 'scoring') }}
{%- if not cva.has_item_costs() %}
select cast(null as string) as product_id, cast(null as double) as unit_margin
from (select 1) as nothing
where 1 = 0
{%- else %}

with orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

dates as (select as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

items as (
    select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

products as (
    select * from {{ ref('cva', 'stg_cva__products') }} where reject_reason is null
),

bought as (
    select
        items.product_id,
        cast(coalesce(items.quantity, 1) as double) as quantity,
        items.unit_price,
        {{ cva.unit_cost() }}
    from orders
    inner join items on {{ cva.is_of_order('items') }}
    inner join products on items.product_id = products.product_id
    {{ cva.join_cost_rates() }}
    cross join dates
    where
        orders.order_date < dates.as_of_date
        and orders.order_date >= {{ cva.add_days('dates.as_of_date', '-180') }}
),

final as (
    select
        product_id,
        sum(quantity * cast(unit_price - unit_cost as double)) / nullif(sum(quantity), 0)
            as unit_margin
    from bought
    where unit_price is not null and unit_cost is not null
    group by product_id
)

select * from final
{%- endif %}
