-- One row per usable label of a customer whom another table knows too.
with labels as (
    select * from {{ ref('cva', 'stg_cva__labels') }} where reject_reason is null
),

customers as (select distinct customer_id from {{ ref('cva', 'int_cva__spine') }}),

final as (
    select
        labels.customer_id,
        labels.as_of_date,
        labels.value
    from labels
    inner join customers on labels.customer_id = customers.customer_id
)

select * from final
