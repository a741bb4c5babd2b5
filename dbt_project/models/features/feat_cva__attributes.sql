-- One row per spine row: what the shop knows of the customer on that date; of several versions the
-- one with the latest valid_from before it.
{{ config(materialized='view') }}

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
        spine.customer_id,
        spine.as_of_date,
        {{ cva.days_between('cast(versions.signed_up_at as date)', 'spine.as_of_date') }}
            as days_since_signup,
        versions.country,
        versions.acquisition_channel,
        case
            when versions.marketing_consent then 1
            when not versions.marketing_consent then 0
        end as has_marketing_consent,
        versions.age,
        versions.gender,
        versions.occupation
    from spine
    left join versions
        on
            spine.customer_id = versions.customer_id
            and spine.as_of_date = versions.as_of_date
            and versions.version_rank = 1
)

select * from final
