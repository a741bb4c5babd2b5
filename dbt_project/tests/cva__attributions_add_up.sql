-- Baseline and attributions are the prediction, and a family is the sum of its rows, for every customer.
{{ config(enabled=var('cva_spine') == 'scoring') }}

with families as (
    select
        customer_id,
        as_of_date,
        family,
        max(baseline_prediction_value) as baseline_prediction_value,
        max(predicted_value) as predicted_value,
        max(family_attribution) as family_attribution,
        sum(attribution) as attribution
    from {{ ref('cva', 'customer_value_explain') }}
    group by customer_id, as_of_date, family
),

customers as (
    select
        customer_id,
        as_of_date,
        max(baseline_prediction_value) as baseline_prediction_value,
        max(predicted_value) as predicted_value,
        max(abs(family_attribution - attribution)) as family_difference,
        sum(attribution) as attribution
    from families
    group by customer_id, as_of_date
)

select
    customers.customer_id,
    customers.as_of_date
from customers
inner join {{ ref('cva', 'customer_value') }} as value
    on
        customers.customer_id = value.customer_id
        and customers.as_of_date = value.as_of_date
where
    not (
        abs(customers.baseline_prediction_value + customers.attribution - value.predicted_value)
        <= 0.0001 * value.predicted_value + 0.000001
    )
    or not (customers.family_difference <= 0.0001 * value.predicted_value + 0.000001)
    or customers.predicted_value <> value.predicted_value
