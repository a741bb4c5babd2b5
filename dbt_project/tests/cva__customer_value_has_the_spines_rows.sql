-- One row in customer_value per spine row, none more, none less.
with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

valued as (
    select customer_id, as_of_date, count(*) as value_rows
    from {{ ref('cva', 'customer_value') }}
    group by customer_id, as_of_date
)

select
    coalesce(spine.customer_id, valued.customer_id) as customer_id,
    coalesce(spine.as_of_date, valued.as_of_date) as as_of_date,
    count(spine.customer_id) as spine_rows,
    coalesce(max(valued.value_rows), 0) as value_rows
from spine
full outer join valued
    on spine.customer_id = valued.customer_id and spine.as_of_date = valued.as_of_date
group by 1, 2
having count(spine.customer_id) <> 1 or coalesce(max(valued.value_rows), 0) <> 1
