-- One row per explained customer: why the deployed model predicts what it predicts, features in order of
-- rank, all NULL by a model from before explanations: to leave such rows out here would call the function
-- once more for the filter. Whose inputs and prediction are those of the last build keeps its row; within
-- `cva_explanations_kept_days` also who has only aged, with attributions that add up to today's prediction.
-- It holds the only calls of the explanation; with `cva_udfs: false` it keeps of what `cva explain` wrote
-- before what still fits the scores.
{{ config(materialized='table') }}

{%- set before = cva.explained_before(this) %}
{%- if cva.setting('cva_udfs') %}
with cva_rows as (select * from {{ ref('cva', 'customer_features') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

{%- if before.has_keys %}

stored as (select * from {{ this }}),
{%- endif %}

chosen as (
    select
        customer_id,
        as_of_date,
        {{ cva.inputs_key() }} as own_key,
        {{ cva.shop_key() }} as shop_key,
        {{ cva.lasting_key() }} as lasting_key
    from cva_rows
    where
        {{ cva.is_explained(
            cva.checked_expression(var('cva_explained_customers'), 'cva_explained_customers'), 'scores'
        ) }}
),

inputs as (
    select
        chosen.customer_id,
        chosen.as_of_date,
        -- The packaged rule also goes by what it knows of the shop.
        case
            when scores.is_baseline then concat(chosen.own_key, ' ', chosen.shop_key)
            else chosen.own_key
        end as inputs_key,
        chosen.lasting_key,
        scores.is_baseline,
        scores.predicted_value,
        scores.model_version,
        scores.model_hash
    from chosen
    inner join scores
        on
            chosen.customer_id = scores.customer_id
            and chosen.as_of_date = scores.as_of_date
),
{%- if before.has_keys %}

kept as (
    select stored.*
    from stored
    inner join inputs
        on
            stored.customer_id = inputs.customer_id
            and stored.as_of_date = inputs.as_of_date
            -- Versions may share a file, and explain by manifests of their own.
            and stored.model_version = inputs.model_version
            and stored.model_hash = inputs.model_hash
            and stored.predicted_value = inputs.predicted_value
            and stored.inputs_key = inputs.inputs_key
),
{%- endif %}

explained as (
    select
        inputs.customer_id,
        inputs.as_of_date,
        inputs.inputs_key,
        inputs.lasting_key,
        {%- if before.is_aged %}
        cva_explain_aged(
            cva_rows,
            inputs.predicted_value,
            stored.baseline_prediction_value,
            stored.predicted_value,
            stored.explained_value,
            stored.feature_attributions
        ) as explanation,
        stored.explained_as_of,
        stored.explained_value
        {%- else %}
        cva_explain(cva_rows) as explanation,
        cast(null as date) as explained_as_of,
        cast(null as double) as explained_value
        {%- endif %}
    from cva_rows
    inner join inputs
        on
            cva_rows.customer_id = inputs.customer_id
            and cva_rows.as_of_date = inputs.as_of_date
    {%- if before.has_keys %}
    left join kept on cva_rows.customer_id = kept.customer_id
    {%- if before.is_aged %}
    left join stored
        on
            cva_rows.customer_id = stored.customer_id
            and inputs.model_version = stored.model_version
            and inputs.model_hash = stored.model_hash
            and inputs.lasting_key = stored.lasting_key
            and not inputs.is_baseline
            and {{ cva.days_between('stored.explained_as_of', 'inputs.as_of_date') }}
            between 0 and {{ before.kept_days }}
    {%- endif %}
    where kept.customer_id is null
    {%- endif %}
),

final as (
    {%- if before.has_keys %}
    select
        customer_id,
        as_of_date,
        baseline_prediction_value,
        predicted_value,
        feature_attributions,
        model_version,
        model_hash,
        explained_as_of,
        explained_value,
        inputs_key,
        lasting_key
    from kept
    union all
    {%- endif %}
    select
        customer_id,
        as_of_date,
        explanation.baseline_prediction_value as baseline_prediction_value,
        explanation.predicted_value as predicted_value,
        explanation.feature_attributions as feature_attributions,
        explanation.model_version as model_version,
        explanation.model_hash as model_hash,
        {%- if before.is_aged %}
        case when explanation.is_kept then explained_as_of else as_of_date end as explained_as_of,
        case when explanation.is_kept then explained_value else explanation.predicted_value end
            as explained_value,
        {%- else %}
        as_of_date as explained_as_of,
        explanation.predicted_value as explained_value,
        {%- endif %}
        inputs_key,
        lasting_key
    from explained
)

select * from final
{%- elif not before.is_there %}
select
    customer_id,
    as_of_date,
    cast(null as double) as baseline_prediction_value,
    predicted_value,
    {{ cva.no_attributions() }} as feature_attributions,
    model_version,
    model_hash,
    as_of_date as explained_as_of,
    predicted_value as explained_value,
    cast(null as string) as inputs_key,
    cast(null as string) as lasting_key
from {{ ref('cva', 'int_cva__customer_scores') }}
where 1 = 0
{%- else %}
with explained as (select * from {{ this }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

final as (
    select
        explained.customer_id,
        explained.as_of_date,
        explained.baseline_prediction_value,
        explained.predicted_value,
        explained.feature_attributions,
        explained.model_version,
        explained.model_hash,
        {{ 'explained.explained_as_of' if before.has_keys else 'explained.as_of_date' }} as explained_as_of,
        {{ 'explained.explained_value' if before.has_keys else 'explained.predicted_value' }} as explained_value,
        {{ 'explained.inputs_key' if before.has_keys else 'cast(null as string)' }} as inputs_key,
        {{ 'explained.lasting_key' if before.has_keys else 'cast(null as string)' }} as lasting_key
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
