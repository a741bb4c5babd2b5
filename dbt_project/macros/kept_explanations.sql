{#- What an explanation goes by, in one key each: what has the same key as before need not be explained again. -#}

{#- The table of explanations as the last build left it: whether it is there, with the keys, and whether who has
    only aged keeps an explanation. Not with --full-refresh. -#}
{% macro explained_before(relation) %}
{% set days = cva.setting('cva_explanations_kept_days') %}
{% set is_there = execute and load_relation(relation) is not none %}
{% set has_keys = is_there and not flags.FULL_REFRESH and 'lasting_key' in cva.present_columns(relation) %}
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


{#- The inputs that time alone does not change. -#}
{% macro lasting_key() %}
{{- return(cva.key_of_features(
    cva.features_on() | rejectattr('family', 'equalto', 'shop') | selectattr('by_itself', 'none'))) -}}
{% endmacro %}


{#- With the version, since another one may explain otherwise. -#}
{% macro key_of_features(features) %}
{%- set names = features | map(attribute='name') | join(', ') -%}
{{- return("concat('" ~ cva.package_version() ~ " ', cast(" ~ cva.hash_key(names) ~ ' as string))') -}}
{% endmacro %}
