-- One row per customer id of your tables, with the customer it is of in all others of cva's.
with ids as (select * from {{ ref('cva', 'int_cva__customer_ids') }}),

final as (select raw_id, customer_id from ids)

select * from final
