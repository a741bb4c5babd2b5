-- One row per usable review; of several rows with one review_id the earliest, so that a copy arriving
-- later changes nothing. Rows without a review_id are all kept. Staging is named each time it is read:
-- DuckDB writes out a common table expression that is read twice, texts included (seven times as long).
with repeated as (
    select review_id
    from {{ ref('cva', 'stg_cva__reviews') }}
    where reject_reason is null
    group by review_id
    having count(review_id) > 1
),

numbered as (
    select
        reviews.*,
        {{ cva.occurrence('reviews', 'reviews') }} as occurrence
    from {{ ref('cva', 'stg_cva__reviews') }} as reviews
    inner join repeated on reviews.review_id = repeated.review_id
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
        reviews.body
    from {{ ref('cva', 'stg_cva__reviews') }} as reviews
    left join repeated on reviews.review_id = repeated.review_id
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
        body
    from numbered
    where occurrence = 1
),

final as (select *, {{ cva.text_hash('body') }} as text_hash from kept)

select * from final
