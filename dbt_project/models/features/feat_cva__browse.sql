-- One row per customer with a visit before as_of_date, and as_of_date: how they look around. A visitor belongs to
-- whom they were named as last before that date, so that who signs in at checkout had not been known before;
-- a day on which somebody was named is theirs.
{{ config(materialized='ephemeral') }}
{%- set steps = ['product', 'cart', 'checkout'] %}
{%- set has_categories = cva.has_source_column('events', 'product_id')
    and cva.has_source_column('products', 'category') and cva.has_source_column('order_items', 'product_id') %}

with days as (
    select * from {{ cva.days_of_persons('events') }} as days where reject_reason is null
),

dates as (select distinct as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

spine as (select customer_id, as_of_date from {{ ref('cva', 'int_cva__spine') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

named as (
    {{ cva.named_visitors() }}
),

owned as (
    select
        owner_id as customer_id,
        as_of_date,
        {{ cva.days_between('event_date', 'as_of_date') }} as age_days,
        event_date,
        sessions_count,
        {%- for step in steps %}
        {{ step }}_sessions_count,
        {%- endfor %}
        views_count,
        purchases_count,
        duration_seconds,
        product_key
    from ({{ cva.owned_by_customers('days') }}) as days_of_customers
),

{#- In training the customers are a sample. #}
{%- if cva.setting('cva_spine') == 'training' %}
visits as (
    select owned.*
    from owned
    inner join spine
        on owned.customer_id = spine.customer_id and owned.as_of_date = spine.as_of_date
),
{%- else %}
visits as (select * from owned),
{%- endif %}

order_days as (
    select distinct dates.as_of_date, orders.customer_id, orders.order_date
    from orders
    cross join dates
    where
        orders.order_date < dates.as_of_date
        and {{ cva.is_valid_on('orders.cancelled_at', 'dates.as_of_date') }}
),

last_orders as (
    select customer_id, as_of_date, max(order_date) as last_order_date
    from order_days
    group by customer_id, as_of_date
),

sums as (
    select
        customer_id,
        as_of_date,
        cast(sum(sessions_count) as double) as visits_count,
        {%- for days in [30, 90] %}
        cast(sum(case when age_days <= {{ days }} then sessions_count else 0 end) as double)
            as visits_{{ days }}d_count,
        {%- endfor %}
        count(distinct case when sessions_count > 0 and age_days <= 90 then event_date end)
            as visit_days_90d_count,
        min(case when sessions_count > 0 then age_days end) as days_since_last_visit,
        {%- for step in steps %}
        cast(sum({{ step }}_sessions_count) as double) as {{ step }}_visits,
        {%- endfor %}
        sum(views_count) as views_count,
        sum(duration_seconds) as duration_seconds,
        max(case when purchases_count > 0 then event_date end) as last_purchase_date
    from visits
    group by customer_id, as_of_date
),

-- A day with a cart, of all the browsers of a customer.
cart_days as (
    select
        customer_id,
        as_of_date,
        event_date,
        max(age_days) as age_days,
        sum(cart_sessions_count) as cart_visits,
        sum(purchases_count) as purchases_count
    from visits
    where cart_sessions_count > 0 or purchases_count > 0
    group by customer_id, as_of_date, event_date
    having sum(cart_sessions_count) > 0
),

carts as (
    select
        cart_days.customer_id,
        cart_days.as_of_date,
        count(*) as cart_days_count,
        count(
            case when order_days.order_date is not null or cart_days.purchases_count > 0 then 1 end
        ) as bought_days_count,
        sum(
            case
                when
                    cart_days.age_days <= 30
                    and cart_days.event_date > coalesce(
                        greatest(
                            coalesce(last_orders.last_order_date, sums.last_purchase_date),
                            coalesce(sums.last_purchase_date, last_orders.last_order_date)
                        ),
                        cast('0001-01-01' as date)
                    )
                    then cart_days.cart_visits
                else 0
            end
        ) as abandoned_carts_count
    from cart_days
    inner join sums
        on cart_days.customer_id = sums.customer_id and cart_days.as_of_date = sums.as_of_date
    left join last_orders
        on
            cart_days.customer_id = last_orders.customer_id
            and cart_days.as_of_date = last_orders.as_of_date
    left join order_days
        on
            cart_days.customer_id = order_days.customer_id
            and cart_days.as_of_date = order_days.as_of_date
            and cart_days.event_date = order_days.order_date
    group by cart_days.customer_id, cart_days.as_of_date
),

{%- if has_categories %}

items as (
    select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

products as (
    select * from {{ ref('cva', 'stg_cva__products') }} where reject_reason is null
),

{#- Of equals the first by name, as in neither is there more to tell. #}
{%- set ranked = 'row_number() over (partition by customer_id, as_of_date order by count(*) desc, category)' %}

browsed as (
    select
        visits.customer_id,
        visits.as_of_date,
        products.category,
        {{ ranked }} as place
    from visits
    inner join products on visits.product_key = {{ cva.hash_key('products.product_id') }}
    where products.category is not null
    group by visits.customer_id, visits.as_of_date, products.category
),

bought as (
    select
        orders.customer_id,
        dates.as_of_date,
        products.category,
        {{ ranked }} as place
    from orders
    cross join dates
    inner join items on {{ cva.is_of_order('items') }}
    inner join products on items.product_id = products.product_id
    where
        orders.order_date < dates.as_of_date
        and {{ cva.is_valid_on('orders.cancelled_at', 'dates.as_of_date') }}
        and products.category is not null
    group by orders.customer_id, dates.as_of_date, products.category
),

tastes as (
    select
        browsed.customer_id,
        browsed.as_of_date,
        case when browsed.category = bought.category then 1 else 0 end
            as is_browsing_what_was_bought
    from browsed
    inner join bought
        on browsed.customer_id = bought.customer_id and browsed.as_of_date = bought.as_of_date
    where browsed.place = 1 and bought.place = 1
),
{%- endif %}

final as (
    select
        sums.customer_id,
        sums.as_of_date,
        sums.visits_count,
        sums.visits_30d_count,
        sums.visits_90d_count,
        sums.visit_days_90d_count,
        sums.days_since_last_visit,
        sums.duration_seconds / nullif(sums.visits_count, 0) as visit_mean_seconds,
        sums.views_count / nullif(sums.visits_count, 0) as visit_mean_views,
        {%- for step in steps %}
        least(1, sums.{{ step }}_visits / nullif(sums.visits_count, 0)) as {{ step }}_visits_rate,
        {%- endfor %}
        least(1, sums.cart_visits / nullif(sums.product_visits, 0)) as view_cart_rate,
        carts.bought_days_count / nullif(carts.cart_days_count, 0) as cart_order_rate,
        carts.abandoned_carts_count,
        {{ 'tastes.is_browsing_what_was_bought' if has_categories else 'cast(null as integer)' }}
            as is_browsing_what_was_bought
    from sums
    left join carts
        on sums.customer_id = carts.customer_id and sums.as_of_date = carts.as_of_date
    {%- if has_categories %}
    left join tastes
        on sums.customer_id = tastes.customer_id and sums.as_of_date = tastes.as_of_date
    {%- endif %}
)

select * from final
