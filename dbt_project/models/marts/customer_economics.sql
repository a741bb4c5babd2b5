-- One row per customer of customer_value: margin and refunds so far, what winning them cost, when that was paid
-- back, and clv. Acquisition costs are parted so that the customers' shares add up to the cost.
{%- set has_costs = cva.has_acquisition_costs() %}
{%- set has_stores = cva.has_source_column('orders', 'store') %}
{%- set has_touch_costs = cva.has_source_column('marketing_touches', 'cost') %}
{%- set has_tickets = cva.has_source_column('tickets', 'ticket_id') %}
{%- set ticket_cost = cva.setting('cva_ticket_cost') %}
{%- set has_service_costs = has_tickets and ticket_cost is not none %}
{%- set has_categories = cva.has_source_column('products', 'category')
    and cva.has_source_column('order_items', 'product_id') %}

with value as (select * from {{ ref('cva', 'customer_value') }}),

attributes as (
    select customer_id, lower(acquisition_channel) as acquisition_channel
    from {{ ref('cva', 'feat_cva__attributes') }}
),

orders as (
    select
        *,
        min(order_date) over (partition by customer_id) as first_order_date
    from ({{ cva.at_each_date(ref('cva', 'int_cva__orders_valid'), 'order_date') }})
    where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
),

items as (select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null),

products as (select * from {{ ref('cva', 'stg_cva__products') }} where reject_reason is null),

costs as (select * from {{ ref('cva', 'stg_cva__acquisition_costs') }} where reject_reason is null),

sums as (
    select
        customer_id,
        min(first_order_date) as first_order_date,
        sum(orders_count) as orders_count,
        sum(revenue) as revenue,
        sum(margin) as margin,
        sum(refund_amount) as refund_amount,
        sum(contribution) as contribution
    from {{ ref('cva', 'int_cva__customer_months') }}
    group by customer_id
),

-- Of the first day with an order, the category of which most was bought.
{%- if has_categories %}
first_items as (
    select
        orders.customer_id,
        products.category,
        sum(cast(coalesce(items.quantity, 1) * coalesce(items.unit_price, 0) as decimal(28, 4))) as amount,
        count(*) as items_count
    from orders
    inner join items on {{ cva.is_of_order('items') }}
    inner join products on items.product_id = products.product_id
    where orders.order_date = orders.first_order_date and products.category is not null
    group by orders.customer_id, products.category
),

categories as (
    select
        customer_id,
        category as first_category,
        row_number() over (
            partition by customer_id order by amount desc, items_count desc, category
        ) as place
    from first_items
),
{%- else %}
categories as (
    select cast(null as string) as customer_id, cast(null as string) as first_category, 1 as place
    from (select 1) as nothing
    where 1 = 0
),
{%- endif %}

{%- if has_stores %}

stores as (
    select
        customer_id,
        store as first_store,
        row_number() over (partition by customer_id order by ordered_at, order_id, store) as place
    from orders
    where order_date = first_order_date
),
{%- else %}

stores as (
    select cast(null as string) as customer_id, cast(null as string) as first_store, 1 as place
    from (select 1) as nothing
    where 1 = 0
),
{%- endif %}

-- What marketing and service cost before as_of_date. A control was left alone.
touched as (
    select
        customer_id,
        sum(cast(coalesce(cost, 0) as decimal(28, 4))) as touch_cost
    from ({{ cva.at_each_date(ref('cva', 'stg_cva__marketing_touches'), 'touched_date') }})
    where reject_reason is null and not coalesce(is_control, false)
    group by customer_id
),

served as (
    select customer_id, count(*) as tickets_count
    from ({{ cva.at_each_date(ref('cva', 'stg_cva__tickets'), 'opened_date') }})
    where reject_reason is null
    group by customer_id
),

spent as (
    select
        value.customer_id,
        {{ 'coalesce(touched.touch_cost, 0)' if has_touch_costs else 'cast(null as decimal(28, 4))' }} as touch_cost,
        {{ 'coalesce(served.tickets_count, 0)' if has_tickets else 'cast(null as bigint)' }} as tickets_count,
        {{ 'coalesce(served.tickets_count, 0) * cast(' ~ ticket_cost ~ ' as decimal(18, 4))'
            if has_service_costs else 'cast(null as decimal(28, 4))' }} as cost_to_serve
    from value
    left join touched on value.customer_id = touched.customer_id
    left join served on value.customer_id = served.customer_id
),

customers as (
    select
        value.customer_id,
        value.as_of_date,
        sums.first_order_date,
        {{ cva.month_of('sums.first_order_date') }} as first_month,
        attributes.acquisition_channel,
        categories.first_category,
        stores.first_store,
        coalesce(sums.orders_count, 0) as orders_count,
        coalesce(sums.revenue, 0) as revenue,
        coalesce(sums.margin, 0) as margin,
        coalesce(sums.refund_amount, 0) as refund_amount,
        coalesce(sums.contribution, 0) as contribution,
        value.clv,
        value.clv_p10,
        value.clv_p90
    from value
    left join sums on value.customer_id = sums.customer_id
    left join attributes on value.customer_id = attributes.customer_id
    left join categories
        on
            value.customer_id = categories.customer_id
            and categories.place = 1
    left join stores
        on
            value.customer_id = stores.customer_id
            and stores.place = 1
),

{%- if has_costs %}

{{ cva.monthly_acquisition_costs('customers') }},

won as (
    select
        customer_id,
        first_month,
        acquisition_channel,
        row_number() over (partition by first_month, acquisition_channel order by customer_id)
            as channel_place,
        count(*) over (partition by first_month, acquisition_channel) as channel_customers,
        row_number() over (partition by first_month order by customer_id) as month_place,
        count(*) over (partition by first_month) as month_customers
    from customers
    where first_month is not null
),

shares as (
    select
        won.customer_id,
        cast(
            {{ cva.cost_share('of_channel.cost', 'channel_place', 'channel_customers') }} as decimal(28, 4)
        ) as channel_cost,
        cast(
            {{ cva.cost_share('of_all.cost', 'month_place', 'month_customers') }} as decimal(28, 4)
        ) as shared_cost
    from won
    left join monthly_costs as of_channel
        on
            won.first_month = of_channel.month
            and won.acquisition_channel = of_channel.channel
    left join monthly_costs as of_all
        on
            won.first_month = of_all.month
            and of_all.channel is null
),

acquired as (
    select
        customer_id,
        case
            when channel_cost is not null or shared_cost is not null
                then coalesce(channel_cost, 0) + coalesce(shared_cost, 0)
        end as acquisition_cost
    from shares
),

facts as (
    {{ cva.economic_facts() }}
),

earned as (
    select
        customer_id,
        day,
        sum(sum(cast(margin as decimal(28, 4)))) over (partition by customer_id order by day) as earned
    from facts
    group by customer_id, day
),

paid_back as (
    select
        acquired.customer_id,
        min(earned.day) as payback_date
    from acquired
    inner join earned on acquired.customer_id = earned.customer_id
    where earned.earned >= acquired.acquisition_cost
    group by acquired.customer_id
),
{%- else %}

acquired as (
    select cast(null as string) as customer_id, cast(null as decimal(28, 4)) as acquisition_cost
    from (select 1) as nothing
    where 1 = 0
),

paid_back as (
    select cast(null as string) as customer_id, cast(null as date) as payback_date
    from (select 1) as nothing
    where 1 = 0
),
{%- endif %}

final as (
    select
        customers.customer_id,
        customers.as_of_date,
        customers.first_order_date,
        customers.first_month,
        customers.acquisition_channel,
        customers.first_category,
        cast(customers.orders_count as bigint) as orders_count,
        cast(customers.revenue as decimal(28, 4)) as revenue,
        cast(customers.margin as decimal(28, 4)) as margin,
        cast(customers.refund_amount as decimal(28, 4)) as refund_amount,
        cast(customers.contribution as decimal(28, 4)) as contribution,
        cast(acquired.acquisition_cost as decimal(28, 4)) as acquisition_cost,
        cast(customers.contribution - acquired.acquisition_cost as decimal(28, 4)) as profit,
        paid_back.payback_date,
        customers.clv,
        customers.clv_p10,
        customers.clv_p90,
        customers.first_store,
        cast(spent.touch_cost as decimal(28, 4)) as touch_cost,
        cast(spent.tickets_count as bigint) as tickets_count,
        cast(spent.cost_to_serve as decimal(28, 4)) as cost_to_serve,
        cast(
            customers.contribution
            {%- if has_touch_costs %}
            - spent.touch_cost
            {%- endif %}
            {%- if has_service_costs %}
            - spent.cost_to_serve
            {%- endif %}
            {%- if not has_touch_costs and not has_service_costs %}
            + cast(null as decimal(28, 4))
            {%- endif %} as decimal(28, 4)
        ) as net_contribution
    from customers
    inner join spent on customers.customer_id = spent.customer_id
    left join acquired on customers.customer_id = acquired.customer_id
    left join paid_back on customers.customer_id = paid_back.customer_id
)

select * from final
