-- One row per explained customer and feature of the model; the rows of a family are the family's
-- attribution, the rows of a customer are predicted_value less baseline_prediction_value.
with explanations as (select * from {{ ref('cva', 'int_cva__customer_explanations') }}),

items as (
    select
        customer_id,
        as_of_date,
        baseline_prediction_value,
        predicted_value,
        explained_as_of,
        {{ cva.exploded('feature_attributions') }} as item
    from explanations
),

final as (
    select
        customer_id,
        as_of_date,
        item.family as family,
        item.feature as feature,
        item.value as value,
        item.reference_value as reference_value,
        item.attribution as attribution,
        item.standard_error as standard_error,
        item.family_attribution as family_attribution,
        item.rank as rank,
        baseline_prediction_value,
        predicted_value,
        explained_as_of
    from items
    {%- if not cva.setting('cva_zero_attributions') %}
    where item.attribution <> 0
    {%- endif %}
)

select * from final
