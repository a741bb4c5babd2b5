-- One row per raw order row; `reject_reason` says why a row cannot be used (duplicates are found
-- later). An order cancelled at a known time stays usable until then.
{{ config(post_hook="{{ cva.check_statuses(this) }}") }}

with source as ({{ cva.orders_with_spend() }}),

final as (
    select
        order_id,
        customer_id,
        ordered_at,
        cast(ordered_at as date) as order_date,
        amount,
        status,
        case when {{ cva.is_cancelled() }} then status_changed_at end as cancelled_at,
        greatest(coalesce(discount_amount, 0), 0) as discount_amount,
        channel,
        case
            when refunded_amount > 0 then least(refunded_amount, amount)
            when {{ cva.is_refunded() }} then amount
        end as refunded_amount,
        store,
        updated_at,
        currency,
        {{ cva.order_reject_reason() }} as reject_reason
    from source
)

select * from final
