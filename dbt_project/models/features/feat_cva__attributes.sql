-- One row per spine row with a customer record: what the shop knows of the customer on that date; of
-- several versions the one with the latest valid_from before it.
{{ config(materialized='ephemeral') }}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

customers as (
    select * from {{ ref('cva', 'stg_cva__customers') }} where reject_reason is null
),

versions as (
    select
        spine.customer_id,
        spine.as_of_date,
        customers.signed_up_at,
        customers.age,
        customers.age_band,
        customers.gender,
        customers.occupation,
        customers.country,
        customers.acquisition_channel,
        customers.marketing_consent,
        row_number() over (
            partition by spine.customer_id, spine.as_of_date
            order by customers.valid_from desc nulls last
        ) as version_rank
    from spine
    inner join customers on spine.customer_id = customers.customer_id
    where
        coalesce(customers.signed_up_at < cast(spine.as_of_date as timestamp), true)
        and coalesce(customers.valid_from < cast(spine.as_of_date as timestamp), true)
),

final as (
    select
        customer_id,
        as_of_date,
        {{ cva.days_between('cast(signed_up_at as date)', 'as_of_date') }}
            as days_since_signup,
        country,
        acquisition_channel,
        case
            when marketing_consent then 1
            when not marketing_consent then 0
        end as has_marketing_consent,
        age,
        age_band,
        gender,
        occupation
    from versions
    where version_rank = 1
)

select * from final
