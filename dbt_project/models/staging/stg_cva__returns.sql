-- One row per raw return row; whose it is may have to come from its order, see int_cva__returns_valid.
with source as ({{ cva.in_shop_currency('returns') }}),

judged as (
    select
        *,
        case
            {{ cva.reject_cases('returns', oldest=none) }}
            {{ cva.exchange_case('returns') }}
            when refund_amount <= 0 then 'refund_amount_not_positive'
        end as problem
    from source
),

-- Usable rows apart: a copy that cannot be used must not push out the one that can.
numbered as (
    select
        *,
        {{ cva.occurrence('returns', also='problem is null') }} as occurrence
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
        store,
        updated_at,
        case
            when problem is not null then problem
            when return_id is not null and occurrence > 1 then 'duplicate_return_id'
        end as reject_reason
    from numbered
)

select * from final
