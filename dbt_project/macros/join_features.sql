{#- The catalogue as it stands in this project: families that are off are left out, the user's own
    lines added. -#}
{% macro features_on() %}
{% set off = cva.setting('cva_families_off') %}
{% if 'purchases' in off or 'shop' in off %}
    {% do exceptions.raise_compiler_error(
        'cva_families_off is ' ~ off ~ '; `purchases` and `shop` cannot be switched off') %}
{% endif %}
{% set features = [] %}
{% for feature in cva.feature_catalog() + cva.extra_catalog_lines() if feature.family not in off %}
    {% do features.append(feature) %}
{% endfor %}
{{ return(features) }}
{% endmacro %}


{% macro extra_catalog_lines() %}
{% set lines = [] %}
{% for line in cva.setting('cva_feature_catalog_extra') %}
    {% set what = 'cva_feature_catalog_extra' %}
    {% do cva.checked_plain_name(line.get('name'), what ~ ': name') %}
    {% do cva.checked_plain_name(line.get('model'), what ~ ': model') %}
    {% if line.get('direction', 0) not in [-1, 0, 1] %}
        {% do cva.refuse_setting(what ~ ': direction', line.direction, '-1, 0 or 1') %}
    {% endif %}
    {% set families = ['recency', 'frequency', 'spend', 'browsing', 'reviews', 'attributes', 'marketing', 'own'] %}
    {% if line.get('reason_family', 'own') not in families %}
        {# Each more would double what it takes to explain a customer. #}
        {% do cva.refuse_setting(what ~ ': reason_family', line.reason_family, families | join(', ')) %}
    {% endif %}
    {% set feature = {
        'name': line.name, 'family': line.get('family', 'own'),
        'reason_family': line.get('reason_family', 'own'), 'kind': line.get('kind', 'number'),
        'unit': line.get('unit', ''), 'direction': line.get('direction', 0),
        'label': line.get('label', line.name), 'label_zh': line.get('label_zh', line.get('label', line.name)),
        'is_model_input': line.get('is_model_input', true), 'is_reason': line.get('is_reason', true),
        'model': line.model
    } %}
    {% do lines.append(feature) %}
{% endfor %}
{{ return(lines) }}
{% endmacro %}


{#- customer_features: the purchases, which have every spine row, with the other families' columns beside
    them. Those may leave out customers that they have nothing of, so that one the shop has no table for
    costs no join: the catalogue says what stands for them then. -#}
{% macro join_features() %}
{%- set families = {} -%}
{%- for feature in cva.features_on() -%}
    {%- set model = feature.get('model', 'feat_cva__' ~ feature.family) -%}
    {%- do families.setdefault(model, []).append(feature) -%}
{%- endfor -%}
with
{% for model in families %}
{{ model }} as (
    select * from {{ ref('cva', model) if model.startswith('feat_cva__') else ref(model) }}
),
{% endfor %}
final as (
    select
        feat_cva__purchases.customer_id,
        feat_cva__purchases.as_of_date
        {%- for model, features in families.items() %}
        {%- for feature in features %}
        {%- set column = model ~ '.' ~ feature.name %}
        {%- set absent = feature.get('if_absent') %},
        cast(
            {{- column if absent is none else 'coalesce(' ~ column ~ ', ' ~ absent ~ ')' }}
            {{- ' as string' if feature.kind == 'category' else ' as double' -}}
        ) as {{ feature.name }}
        {%- endfor %}
        {%- endfor %}
    from feat_cva__purchases
    {%- for model in families if model != 'feat_cva__purchases' %}
    left join {{ model }}
        on
            feat_cva__purchases.customer_id = {{ model }}.customer_id
            and feat_cva__purchases.as_of_date = {{ model }}.as_of_date
    {%- endfor %}
)

select * from final
{%- endmacro %}
