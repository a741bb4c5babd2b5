-- What a customer did last was done before as_of_date, and no later than what was done first.
{%- set off = cva.setting('cva_families_off') %}

select *
from {{ ref('cva', 'customer_features') }}
where
    days_since_last_order < 1
    or t_days < days_since_last_order
    or (orders_count > 0) <> (days_since_last_order is not null)
    {%- if 'returns' not in off %}
    or days_since_last_return < 1
    {%- endif %}
    {%- if 'reviews' not in off %}
    or days_since_last_review < 1
    or (reviews_count > 0) <> (days_since_last_review is not null)
    {%- endif %}
    {%- if 'attributes' not in off %}
    or days_since_signup < 1
    {%- endif %}
