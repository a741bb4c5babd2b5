-- One row per usable review whose customer is known, be it from its order; of several rows with one
-- review_id of a store the one updated last, else the earliest, so that a copy arriving later changes
-- nothing. Rows without a review_id are all kept. Staging is named each time it is read: DuckDB writes
-- out a common table expression that is read twice, texts included (seven times as long).
with repeated as (
    select review_id, store
    from {{ ref('cva', 'stg_cva__reviews') }}
    where reject_reason is null
    group by review_id, store
    having count(review_id) > 1
),

numbered as (
    select
        reviews.*,
        {{ cva.occurrence('reviews', 'reviews') }} as occurrence
    from {{ ref('cva', 'stg_cva__reviews') }} as reviews
    inner join repeated
        on
            reviews.review_id = repeated.review_id
            and reviews.store is not distinct from repeated.store
    where reviews.reject_reason is null
),

kept as (
    select
        reviews.review_id,
        reviews.customer_id,
        reviews.product_id,
        reviews.order_id,
        reviews.reviewed_at,
        reviews.review_date,
        reviews.rating,
        reviews.body,
        reviews.store
    from {{ ref('cva', 'stg_cva__reviews') }} as reviews
    left join repeated
        on
            reviews.review_id = repeated.review_id
            and reviews.store is not distinct from repeated.store
    where reviews.reject_reason is null and repeated.review_id is null
    union all
    select
        review_id,
        customer_id,
        product_id,
        order_id,
        reviewed_at,
        review_date,
        rating,
        body,
        store
    from numbered
    where occurrence = 1
),

final as (
    select
        kept.review_id,
        {%- if cva.has_source_column('reviews', 'order_id') %}
        coalesce(kept.customer_id, orders.customer_id) as customer_id,
        {%- else %}
        kept.customer_id,
        {%- endif %}
        kept.product_id,
        kept.order_id,
        kept.reviewed_at,
        kept.review_date,
        kept.rating,
        kept.body,
        {{ cva.text_hash('kept.body') }} as text_hash
    from kept
    {%- if cva.has_source_column('reviews', 'order_id') %}
    left join {{ ref('cva', 'int_cva__orders_valid') }} as orders
        on
            {{ cva.is_of_order('kept') }}
            and kept.customer_id is null
            and orders.order_date <= kept.review_date
    where coalesce(kept.customer_id, orders.customer_id) is not null
    {%- else %}
    where kept.customer_id is not null
    {%- endif %}
)

select * from final
