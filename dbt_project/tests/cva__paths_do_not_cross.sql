-- Within more days no customer is expected to spend less, or to be less likely to order.
with steps as (
    select
        *,
        lag(predicted_value) over customer as former_value,
        lag(purchase_probability) over customer as former_probability
    from {{ ref('cva', 'customer_value_path') }}
    window customer as (partition by customer_id order by days)
)

select * from steps
where predicted_value < former_value or purchase_probability < former_probability
