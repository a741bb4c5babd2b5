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
    {%- if cva.setting('cva_target') == 'spend' %}
    or total_value is null
    or abs(total_value - historic_value - predicted_value)
    > 1e-9 * (historic_value + predicted_value)
    {%- else %}
    or total_value is not null
    {%- endif %}
    {%- if cva.setting('cva_target') in ('spend', 'margin') %}
    or clv is null
    {%- endif %}
