-- One row per usable order: its amount less what its items cost. Where an item or its cost is not known, the
-- order keeps the share of its amount that the other orders keep. A table where examples are learned from it,
-- with `cva_target: margin` alone; the marts of economics read it as a view.
{{ config(materialized='table' if var('cva_spine') == 'training' else 'view') }}
{{ config(post_hook="{{ cva.check_margins(this) }}") }}
{%- if not cva.has_item_costs() %}

-- Nothing is known of costs: no order is looked at for them, and none has a share to keep.
select
    customer_id,
    order_date,
    cancelled_at,
    amount,
    cast(null as decimal(18, 4)) as margin,
    false as is_cost_known
from {{ ref('cva', 'int_cva__orders_valid') }}
{%- else %}

with orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

items as (
    select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

products as (
    select * from {{ ref('cva', 'stg_cva__products') }} where reject_reason is null
),

bought as (
    select
        orders.order_id,
        orders.store,
        orders.customer_id,
        cast(coalesce(items.quantity, 1) as decimal(19, 4)) as quantity,
        {{ cva.unit_cost() }}
    from orders
    inner join items on {{ cva.is_of_order('items') }}
    left join products on items.product_id = products.product_id
    {{ cva.join_cost_rates() }}
),

costs as (
    select
        order_id,
        store,
        customer_id,
        case
            when count(*) = count(unit_cost) then sum(cast(quantity * unit_cost as decimal(28, 4)))
        end as cost_amount
    from bought
    group by order_id, store, customer_id
),

costed as (
    select
        orders.customer_id,
        orders.order_date,
        orders.cancelled_at,
        orders.amount,
        orders.amount - costs.cost_amount as known_margin
    from orders
    left join costs
        on
            orders.order_id = costs.order_id
            and orders.customer_id = costs.customer_id
            and orders.store is not distinct from costs.store
),

kept as (
    select
        sum(known_margin) / nullif(sum(case when known_margin is not null then amount end), 0)
            as margin_rate
    from costed
),

final as (
    select
        costed.customer_id,
        costed.order_date,
        costed.cancelled_at,
        costed.amount,
        cast(
            coalesce(costed.known_margin, costed.amount * kept.margin_rate) as decimal(18, 4)
        ) as margin,
        costed.known_margin is not null as is_cost_known
    from costed
    cross join kept
)

select * from final
{%- endif %}
