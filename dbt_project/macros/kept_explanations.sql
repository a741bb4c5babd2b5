{#- What an explanation goes by, in one key each: what has the same key as before need not be explained again. -#}

{#- The table of explanations as the last build left it: whether it is there, with the keys, and whether who has
    only aged keeps an explanation. Not with --full-refresh. -#}
{% macro explained_before(relation) %}
{% set days = cva.setting('cva_explanations_kept_days') %}
{% set is_there = execute and load_relation(relation) is not none %}
{% set has_keys = is_there and not flags.FULL_REFRESH and 'explained_value' in cva.present_columns(relation) %}
{{ return({'is_there': is_there, 'has_keys': has_keys, 'kept_days': days, 'is_aged': has_keys and days > 0}) }}
{% endmacro %}


{#- Every input that a trained model can have, in a row of cva_rows. -#}
{% macro inputs_key() %}
{{- return(cva.key_of_features(cva.features_on() | rejectattr('family', 'equalto', 'shop'))) -}}
{% endmacro %}


{#- What the packaged rule knows of the shop. -#}
{% macro shop_key() %}
{{- return(cva.key_of_features(cva.features_on() | selectattr('family', 'equalto', 'shop'))) -}}
{% endmacro %}


{#- The inputs that time alone does not change, and of the others whether they are known. -#}
{% macro lasting_key() %}
{%- set parts = [] -%}
{%- for feature in cva.features_on() if feature.family != 'shop' -%}
    {%- do parts.append(feature.name if feature.by_itself is none else feature.name ~ ' is null') -%}
{%- endfor -%}
{{- return(cva.key_of(parts)) -}}
{% endmacro %}


{% macro key_of_features(features) %}
{{- return(cva.key_of(features | map(attribute='name') | list)) -}}
{% endmacro %}


{#- With the version, since another one may explain otherwise. -#}
{% macro key_of(parts) %}
{%- set key = cva.hash_key(parts | join(', ')) -%}
{{- return("concat('" ~ cva.package_version() ~ " ', cast(" ~ key ~ ' as string))') -}}
{% endmacro %}


{#- Whether a row is explained: whom a checked expression chooses, or as many as a number says, those of the
    highest predicted value in the relation `scores` first. -#}
{% macro is_explained(chosen, scores) %}
{%- if (chosen | trim).isdigit() -%}
customer_id in (
            select customer_id from {{ scores }}
            order by predicted_value desc nulls last, customer_id
            limit {{ chosen | trim }}
        )
{%- else -%}
coalesce(({{ chosen }}), false)
{%- endif -%}
{% endmacro %}
