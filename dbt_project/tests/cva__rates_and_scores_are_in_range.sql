-- Probabilities within 0 and 1 and complementary, the percentile above 0, the score 0 to 100 and null
-- only where the customer is not eligible; nothing counted or paid is negative.
select
    customer_id,
    score_status,
    score,
    value_percentile,
    purchase_probability,
    churn_probability,
    predicted_orders,
    historic_value,
    clv
from {{ ref('cva', 'customer_value') }}
where
    purchase_probability < 0
    or purchase_probability > 1
    or abs(purchase_probability + churn_probability - 1) > 1e-9
    or value_percentile <= 0
    or value_percentile > 1
    or score < 0
    or score > 100
    or (score is null and score_status <> 'not_eligible')
    or predicted_orders < 0
    or historic_value < 0
