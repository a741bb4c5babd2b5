-- One row per raw return row; whose it is may have to come from its order, see int_cva__returns_valid.
with source as ({{ cva.source_or_empty('returns') }}),

judged as (
    select
        *,
        case
            when is_returned_at_unreadable then 'returned_at_unreadable'
            when returned_at is null then 'returned_at_missing'
            when returned_at > {{ cva.now() }} then 'in_the_future'
            when is_refund_amount_unreadable then 'refund_amount_unreadable'
            when refund_amount is null then 'refund_amount_missing'
            when refund_amount <= 0 then 'refund_amount_not_positive'
        end as problem
    from source
),

-- Usable rows apart: a copy that cannot be used must not push out the one that can.
numbered as (
    select
        *,
        row_number() over (
            partition by return_id, problem is null
            order by returned_at, order_id, customer_id, refund_amount
        ) as occurrence
    from judged
),

final as (
    select
        return_id,
        order_id,
        customer_id,
        returned_at,
        cast(returned_at as date) as return_date,
        refund_amount,
        case
            when problem is not null then problem
            when return_id is not null and occurrence > 1 then 'duplicate_return_id'
        end as reject_reason
    from numbered
)

select * from final
