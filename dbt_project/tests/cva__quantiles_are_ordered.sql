-- 0 <= p10 <= p50 <= p90. The mean may lie outside, but not below 0.
select
    customer_id,
    predicted_value,
    predicted_value_p10,
    predicted_value_p50,
    predicted_value_p90
from {{ ref('cva', 'customer_value') }}
where
    predicted_value < 0
    or predicted_value_p10 < 0
    or predicted_value_p10 > predicted_value_p50
    or predicted_value_p50 > predicted_value_p90
