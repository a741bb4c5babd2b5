{#- A deployed model of a kind other than the value model, over a relation of features: customer_id, as_of_date,
    its outputs `columns`, model_version and model_hash. Empty, with the same columns, where none is deployed.
    It calls a Python UDF, so the model that holds it is a table:

        {{ config(materialized='table') }}
        {{ cva.model_scores('toy', ref('cva', 'customer_features'), ['toy_probability']) }} -#}
{% macro model_scores(kind, relation, columns) %}
{% set function = 'cva_' ~ cva.checked_plain_name(kind, 'model_scores kind') %}
{% for column in columns %}{% do cva.checked_plain_name(column, 'model_scores columns') %}{% endfor %}
{% set is_deployed = cva.has_function(function) %}
with cva_rows as (select * from {{ relation }}),

scored as (
    select
        customer_id,
        as_of_date,
        {{ function ~ '(cva_rows) as prediction' if is_deployed else 'null as prediction' }}
    from cva_rows
),

final as (
    select
        customer_id,
        as_of_date,
        {%- for column in columns %}
        {{ 'prediction.' ~ column if is_deployed else 'cast(null as double)' }} as {{ column }},
        {%- endfor %}
        {%- for fact in ['model_version', 'model_hash'] %}
        {{ 'prediction.' ~ fact if is_deployed else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as {{ fact }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from scored
    {%- if not is_deployed %}
    where 1 = 0
    {%- endif %}
)

select * from final
{% endmacro %}


{#- Whether a SQL function has been registered in this connection. -#}
{% macro has_function(name) %}
{{- return(adapter.dispatch('has_function', 'cva')(name)) -}}
{% endmacro %}

{% macro default__has_function(name) %}
{% if not execute %}{{ return(false) }}{% endif %}
{{ return(
    cva.rows_once("select 1 from duckdb_functions() where function_name = '" ~ name ~ "'") | length > 0) }}
{% endmacro %}

{#- A Spark session registers its own; there is no model of another kind for it yet. -#}
{% macro spark__has_function(name) %}{{ return(false) }}{% endmacro %}
