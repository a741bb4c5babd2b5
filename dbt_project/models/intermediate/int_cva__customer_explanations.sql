-- One row per explained customer: why the deployed model predicts what it predicts, features in order of
-- rank, all NULL by a model from before explanations: to leave such rows out here would call the function
-- once more for the filter. It holds the only call of the explanation; with `cva_udfs: false` it keeps of
-- what `cva explain` wrote before what still fits the scores.
{{ config(materialized='table') }}

{%- if cva.setting('cva_udfs') %}
with cva_rows as (select * from {{ ref('cva', 'customer_features') }}),

explained as (
    select
        customer_id,
        as_of_date,
        cva_explain(cva_rows) as explanation
    from cva_rows
    where
        coalesce(
            ({{ cva.checked_expression(var('cva_explained_customers'), 'cva_explained_customers') }}),
            false
        )
),

final as (
    select
        customer_id,
        as_of_date,
        explanation.baseline_prediction_value as baseline_prediction_value,
        explanation.predicted_value as predicted_value,
        explanation.feature_attributions as feature_attributions,
        explanation.model_version as model_version,
        explanation.model_hash as model_hash
    from explained
)

select * from final
{%- elif load_relation(this) is none %}
select
    customer_id,
    as_of_date,
    cast(null as double) as baseline_prediction_value,
    predicted_value,
    {{ cva.no_attributions() }} as feature_attributions,
    model_version,
    model_hash
from {{ ref('cva', 'int_cva__customer_scores') }}
where 1 = 0
{%- else %}
with explained as (select * from {{ this }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

final as (
    select explained.*
    from explained
    inner join scores
        on
            explained.customer_id = scores.customer_id
            and explained.as_of_date = scores.as_of_date
            and explained.predicted_value = scores.predicted_value
            and explained.model_hash = scores.model_hash
)

select * from final
{%- endif %}
