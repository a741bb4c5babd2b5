-- No NaN and no infinity: one alone spoils every sum and mean of its column.
{%- set columns = [
    'score', 'value_percentile', 'historic_value', 'total_value', 'predicted_value',
    'predicted_value_p10', 'predicted_value_p50', 'predicted_value_p90', 'purchase_probability',
    'predicted_value_if_purchase', 'predicted_orders', 'churn_probability', 'clv',
] %}

select *
from {{ ref('cva', 'customer_value') }}
where
    {%- for column in columns %}
    {% if not loop.first %}or {% endif -%}
    not coalesce(abs(cast({{ column }} as double)) < 1e300, true)
    {%- endfor %}
