-- One row per raw review row; `reject_reason` says why a row cannot be used (duplicates are found
-- later). The body may be missing: a rating alone is a review too; so may the customer, whom then its
-- order tells.
with source as ({{ cva.source_or_empty('reviews') }}),

final as (
    select
        review_id,
        customer_id,
        product_id,
        order_id,
        reviewed_at,
        cast(reviewed_at as date) as review_date,
        -- No scale goes up to a million; sums of what a slip of the keyboard gives would overflow.
        case when abs(rating) <= 1e6 then rating end as rating,
        body,
        store,
        updated_at,
        case
            {{ cva.reject_cases('reviews') }}
        end as reject_reason
    from source
)

select * from final
