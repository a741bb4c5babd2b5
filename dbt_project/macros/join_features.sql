{#- The catalogue as it stands in this project: families that are off or not built are left out, the user's own
    lines added. -#}
{% macro features_on() %}
{% set off = cva.setting('cva_families_off') %}
{% set features, needed, unbuilt = [], [], [] %}
{% set catalogue = cva.feature_catalog() %}
{% for family in catalogue | selectattr('only_if_read') | map(attribute='family') | unique if not cva.is_built(family) %}
    {% do unbuilt.append(family) %}
{% endfor %}
{% for feature in catalogue + cva.extra_catalog_lines() %}
    {% if feature.is_required and feature.family not in needed %}{% do needed.append(feature.family) %}{% endif %}
    {% if feature.is_model_input is string and not feature.model %}
        {% do feature.update({'is_model_input': cva.setting(feature.is_model_input)}) %}
    {% endif %}
    {% if feature.known_from and execute and not cva.has_source_column(feature.table, feature.known_from) %}
        {% do feature.update({'is_model_input': false}) %}
    {% endif %}
    {% if feature.family not in off and (not feature.is_on or cva.setting(feature.is_on))
        and feature.family not in unbuilt %}
        {% do features.append(feature) %}
    {% endif %}
{% endfor %}
{% if needed | select('in', off) | list %}
    {% do exceptions.raise_compiler_error(
        'cva_families_off is ' ~ off ~ '; `' ~ needed | join('` and `') ~ '` cannot be switched off') %}
{% endif %}
{{ return(features) }}
{% endmacro %}


{#- Whether a family that costs much is built: always to learn from, and by a run where the deployed model reads it
    or `cva_every_family` asks for it. While dbt parses all are, so that refs are seen. -#}
{% macro is_built(family) %}
{% if family in cva.setting('cva_families_off') %}{{ return(false) }}{% endif %}
{% if not execute or cva.setting('cva_spine') == 'training' or cva.setting('cva_every_family') %}
    {{ return(true) }}
{% endif %}
{{ return(cva.is_read_by_model(family)) }}
{% endmacro %}


{#- Whether the deployed model has an input of a family; yes where nobody can be asked. -#}
{% macro is_read_by_model(family) %}
{{- return(adapter.dispatch('is_read_by_model', 'cva')(family)) -}}
{% endmacro %}

{% macro default__is_read_by_model(family) %}
{% if not cva.has_function('cva_model_features') %}{{ return(true) }}{% endif %}
{% set names = [] %}
{% for feature in cva.feature_catalog() if feature.family == family %}
    {% do names.append("'" ~ feature.name ~ "'") %}
{% endfor %}
{{ return(cva.rows_once(
    'select list_has_any(cva_model_features(), [' ~ names | join(', ') ~ '])')[0][0]) }}
{% endmacro %}

{% macro spark__is_read_by_model(family) %}{{ return(true) }}{% endmacro %}


{#- Says that a training asked for age and gender does not get them: a hook of the catalogue. -#}
{% macro say_unlearned() %}
{% if execute and cva.setting('cva_spine') == 'training' and cva.setting('cva_use_demographics') %}
    {% set names = [] %}
    {% for feature in cva.features_on() if feature.known_from and not feature.is_model_input %}
        {% do names.append(feature.name) %}
    {% endfor %}
    {% if names and cva.source_relation('customers') is not none %}
        {% do log('cva: ' ~ names | join(', ') ~ ' are not learned from: customers has no valid_from, which says since'
            ~ ' when they hold', info=true) %}
    {% endif %}
{% endif %}
{% endmacro %}


{#- The lines of `cva_feature_catalog_extra`: as those of the catalogue, but with the model that has the
    column. -#}
{% macro extra_catalog_lines() %}
{% set what = 'cva_feature_catalog_extra' %}
{% set families = cva.own_reason_families() %}
{% for feature in cva.feature_catalog() if feature.reason_family not in families %}
    {% do families.append(feature.reason_family) %}
{% endfor %}
{% set lines = [] %}
{% for line in cva.setting(what) %}
    {% do cva.checked_plain_name(line.get('name'), what ~ ': name') %}
    {% do cva.checked_plain_name(line.get('model'), what ~ ': model') %}
    {% if line.get('direction', 0) not in [-1, 0, 1] %}
        {% do cva.refuse_setting(what ~ ': direction', line.direction, '-1, 0 or 1') %}
    {% endif %}
    {% if line.get('by_itself') not in [none, 'grows', 'fades'] %}
        {% do cva.refuse_setting(what ~ ': by_itself', line.by_itself, 'grows or fades') %}
    {% endif %}
    {% if line.get('reason_family', 'own') not in families %}
        {% do cva.refuse_setting(what ~ ': reason_family', line.reason_family, families | join(', ')) %}
    {% endif %}
    {% for key, value in line.items() if key.split('_')[0] in cva.reason_cases() and value is not string %}
        {% do cva.refuse_setting(what ~ ': ' ~ key, value, 'a sentence') %}
    {% endfor %}
    {% set label = line.get('label', line.name) %}
    {% set feature = {
        'family': 'own', 'reason_family': 'own', 'kind': 'number', 'unit': '', 'direction': 0,
        'label': label, 'label_zh': label, 'description': label, 'is_model_input': true, 'is_reason': true,
        'is_base': false, 'by_itself': 'grows' if line.unit == 'days' else none
    } %}
    {% do feature.update(line) %}
    {% do lines.append(feature) %}
{% endfor %}
{{ return(lines) }}
{% endmacro %}


{#- customer_features: the purchases, which have every spine row, with the other families' columns beside
    them. Those may leave out customers that they have nothing of, and one whose raw table the shop does not
    have is not read at all: the catalogue says what stands for them then. -#}
{% macro join_features() %}
{%- set families = {} -%}
{%- for feature in cva.features_on() -%}
    {%- set model = feature.get('model', 'feat_cva__' ~ feature.family) -%}
    {%- do families.setdefault(model, []).append(feature) -%}
{%- endfor -%}
{%- set empty = cva.empty_families(families) -%}
with
{% for model in families if model not in empty %}
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
            {%- if model in empty %}{{ 'null' if absent is none else absent }}
            {%- else %}{{ column if absent is none else 'coalesce(' ~ column ~ ', ' ~ absent ~ ')' }}
            {%- endif %}
            {{- ' as string' if feature.kind == 'category' else ' as double' -}}
        ) as {{ feature.name }}
        {%- endfor %}
        {%- endfor %}
    from feat_cva__purchases
    {%- for model in families if model != 'feat_cva__purchases' and model not in empty %}
    left join {{ model }}
        on
            feat_cva__purchases.customer_id = {{ model }}.customer_id
            and feat_cva__purchases.as_of_date = {{ model }}.as_of_date
    {%- endfor %}
)

select * from final
{%- endmacro %}


{#- The families whose raw table the shop does not have; none where nobody can be asked. -#}
{% macro empty_families(families) %}
{% set found = [] %}
{% for model, features in families.items() if execute and features[0].get('table') %}
    {% if cva.source_relation(features[0].table) is none %}{% do found.append(model) %}{% endif %}
{% endfor %}
{{ return(found) }}
{% endmacro %}
