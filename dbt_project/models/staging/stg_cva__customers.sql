-- One row per raw customer row; a customer may have several, told apart by valid_from.
with source as ({{ cva.source_or_empty('customers') }}),

numbered as (
    select
        *,
        row_number() over (
            partition by customer_id, valid_from
            order by
                signed_up_at nulls first, age, gender, occupation, country, acquisition_channel,
                marketing_consent
        ) as occurrence
    from source
),

final as (
    select
        customer_id,
        signed_up_at,
        age,
        gender,
        occupation,
        country,
        acquisition_channel,
        marketing_consent,
        valid_from,
        case
            when customer_id is null then 'customer_id_missing'
            when signed_up_at > {{ cva.now() }} then 'in_the_future'
            when valid_from > {{ cva.now() }} then 'in_the_future'
            when occurrence > 1 then 'duplicate_customer_id'
        end as reject_reason
    from numbered
)

select * from final
