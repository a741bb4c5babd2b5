-- What is said to be a product or a sum is one, to nine digits.
select
    customer_id,
    historic_value,
    total_value,
    predicted_value,
    purchase_probability,
    predicted_value_if_purchase
from {{ ref('cva', 'customer_value') }}
where
    abs(predicted_value - purchase_probability * predicted_value_if_purchase)
    > 1e-9 * predicted_value
    or abs(total_value - historic_value - predicted_value)
    > 1e-9 * (historic_value + predicted_value)
