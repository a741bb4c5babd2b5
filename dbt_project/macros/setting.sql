{#- A var of the package, checked: what reaches SQL, and what decides which SQL is written. One line says
    what is wrong with it. Expressions are checked by `checked_expression`, names by `checked_name`. -#}
{% macro setting(name) %}
{% set value = var(name) %}
{% set kind = {
    'cva_as_of': 'date or null', 'cva_now': 'time or null', 'cva_timezone': 'zone',
    'cva_currency': 'text or null', 'cva_customer_key': 'text or null',
    'cva_horizon_days': 'days or null', 'cva_clv_days': 'days', 'cva_history_days': 'days', 'cva_service_days': 'days', 'cva_response_days': 'days', 'cva_stage_gaps': 'rising',
    'cva_path_days': 'lengths',
    'cva_margin': 'number', 'cva_drift_psi_threshold': 'number', 'cva_drift_jensen_shannon_threshold': 'number',
    'cva_drift_l_infinity_threshold': 'number', 'cva_drift_blocking_share': 'number', 'cva_retrain_days': 'days', 'cva_ticket_cost': 'number or null', 'cva_discount_rate': 'number', 'cva_tier_shares': 'shares',
    'cva_status_counts': 'statuses', 'cva_status_cancelled': 'statuses', 'cva_questions': 'flag',
    'cva_training_max_rows': 'count', 'cva_alerts_per_week': 'count or none', 'cva_events_lookback_days': 'count or none', 'cva_explanations_kept_days': 'count or none', 'cva_models_kept': 'count or none', 'cva_alert_owners': 'people', 'cva_training_dates': 'dates', 'cva_families_off': 'names',
    'cva_feature_catalog_extra': 'lines', 'cva_value': ['gross', 'net'],
    'cva_encoder_tier': ['exact', 'fast'],
    'cva_target': ['spend', 'margin', 'orders', 'labels'],
    'cva_spine': ['scoring', 'training'], 'cva_use_demographics': 'flag', 'cva_use_sequences': 'flag', 'cva_zero_attributions': 'flag', 'cva_udfs': 'flag', 'cva_reads_service': 'flag', 'cva_review_insights': 'flag', 'cva_text_reasons': 'flag', 'cva_aspects': 'aspects', 'cva_every_family': 'flag', 'cva_allow_empty': 'flag',
    'cva_text_vectors': 'relation or null', 'cva_image_vectors': 'relation or null', 'cva_raw_database': 'text or null', 'cva_language': cva.reason_words() | list
}[name] %}
{% set is_absent = value is none or value == '' %}
{% if kind is not string %}
    {% set is_fine, expected = value in kind, kind | join(' or ') %}
{% elif kind.endswith(' or null') and is_absent %}
    {{ return(cva.deployed_horizon_days() if name == 'cva_horizon_days' else none) }}
{% elif kind == 'date or null' %}
    {% set is_fine, expected = cva.is_date(value), 'a date like 2025-12-31' %}
{% elif kind == 'time or null' %}
    {% set is_fine = cva.is_date((value | string)[:10]) and modules.re.fullmatch(
        '([ T][0-2]\\d:[0-5]\\d(:[0-5]\\d([.]\\d{1,6})?)?)?', (value | string)[10:]) %}
    {% set expected = 'a time like 2025-12-31 18:00:00' %}
{% elif kind == 'zone' %}
    {% set is_fine = value is string and modules.re.fullmatch('[A-Za-z][A-Za-z0-9_+/-]*', value)
        and cva.is_timezone(value) %}
    {% set expected = 'a name like Europe/Berlin' %}
{% elif kind == 'text or null' %}
    {% set is_fine, expected = value is string, 'a text like EUR' %}
{% elif kind.startswith('days') %}
    {% set is_fine = value is integer and 1 <= value <= 36500 %}
    {% set expected = 'a whole number of days from 1 to 36500' %}
{% elif kind == 'count' %}
    {% set is_fine, expected = value is integer and value >= 1, 'a whole number from 1 on' %}
{% elif kind == 'count or none' %}
    {% set is_fine, expected = value is integer and value is not boolean and value >= 0, 'a whole number from 0 on' %}
{% elif kind.startswith('number') %}
    {% set is_fine, expected = cva.is_number(value) and value >= 0, 'a number from 0 on' %}
{% elif kind == 'shares' %}
    {% set is_fine = value is sequence and value is not string and value | length == 3
        and value | reject('number') | list | length == 0
        and value | min >= 0 and (value | sum - 1) | abs <= 0.001 %}
    {% set expected = 'three shares (high, medium, low) that sum to 1, e.g. [0.2, 0.3, 0.5]' %}
{% elif kind == 'lengths' %}
    {% set is_fine = value is sequence and value is not string
        and value | reject('integer') | list | length == 0
        and (not value or 1 <= value | min and value | max <= 36500) %}
    {% set expected = 'whole numbers of days from 1 to 36500, e.g. [30, 365]' %}
{% elif kind == 'rising' %}
    {% set is_fine = value is sequence and value is not string and value | length == 3
        and value | reject('number') | list | length == 0
        and 0 < value[0] < value[1] < value[2] < 1e9 %}
    {% set expected = 'three rising numbers above 0 (cooling, at risk, lost), e.g. [1.5, 3, 6]' %}
{% elif kind == 'dates' %}
    {% set is_fine = value is sequence and value is not string %}
    {% set expected = 'dates and days, e.g. [["2025-06-30", 90]]' %}
    {% for item in value if is_fine %}
        {% if item is string or item is not sequence or item | length != 2
            or not cva.is_date(item[0]) or item[1] is not integer %}
            {% do cva.refuse_setting(name, value, expected) %}
        {% endif %}
    {% endfor %}
{% elif kind in ('names', 'statuses', 'people') %}
    {% set is_fine = value is sequence and value is not string
        and value | reject('string') | list | length == 0 %}
    {% set expected = {
        'names': 'a list of families, e.g. [reviews]', 'statuses': 'a list of statuses, e.g. [pending]',
        'people': 'a list of names, e.g. [Ann, Bo]'
    }[kind] %}
{% elif kind == 'lines' %}
    {% set is_fine = value is sequence and value is not string
        and value | reject('mapping') | list | length == 0 %}
    {% set expected = 'a list of catalogue lines, e.g. [{name: visits, model: my_visits}]' %}
{% elif kind == 'aspects' %}
    {% set is_fine = value is mapping %}
    {% for aspect, phrases in (value.items() if is_fine else []) %}
        {% if not cva.is_aspect(aspect, phrases) %}
            {% do cva.refuse_setting(name, {aspect: phrases}, 'a name with three phrases or more, e.g. {colour: '
                ~ '["The colour is lovely.", "It looks darker.", "It faded."]}') %}
        {% endif %}
    {% endfor %}
    {% set expected = 'aspects with phrases, e.g. {colour: ["The colour is lovely.", "It looks darker.", "It faded."]}' %}
{% elif kind == 'flag' %}
    {% set is_fine, expected = value is boolean, 'true or false' %}
{% else %}
    {% set is_fine = value is string and modules.re.fullmatch('\\w+([.]\\w+){0,2}', value) %}
    {% set expected = 'a relation like main.vectors' %}
{% endif %}
{% if not is_fine %}{% do cva.refuse_setting(name, value, expected) %}{% endif %}
{{ return(value) }}
{% endmacro %}


{#- The horizon that the deployed model was trained for, 90 where none is: as the plugin says, without it
    as the commands wrote it that deploy and score. -#}
{% macro deployed_horizon_days() %}
{{- return(adapter.dispatch('deployed_horizon_days', 'cva')()) -}}
{% endmacro %}

{% macro default__deployed_horizon_days() %}
{% if not execute %}{{ return(90) }}{% endif %}
{% if cva.has_function('cva_horizon_days') %}
    {{ return(cva.rows_once('select cva_horizon_days()')[0][0] | int) }}
{% endif %}
{% set table = adapter.get_relation(
    database=target.database, schema=target.schema ~ '_cva', identifier='cva_deployed_models') %}
{% set rows = cva.rows_once('select horizon_days from ' ~ table ~ " where kind = 'value'") if table else [] %}
{{ return((rows[0][0] if rows | length else none) or 90) }}
{% endmacro %}

{% macro spark__deployed_horizon_days() %}{{ return(90) }}{% endmacro %}


{% macro refuse_setting(name, value, expected) %}
{% set shown = cva.shortened(value) %}
{% do exceptions.raise_compiler_error(
    name ~ ' is ' ~ (("'" ~ shown ~ "'") if value is string else shown) ~ '; expected ' ~ expected) %}
{% endmacro %}


{% macro is_date(value) %}
{{- return(modules.re.fullmatch('(19|2\\d)\\d\\d-[01]\\d-[0-3]\\d', value | string) is not none) -}}
{% endmacro %}


{#- A flag is a number to Python, NaN and infinity to YAML. -#}
{% macro is_number(value) %}
{{- return(value is number and value is not boolean and -1e300 < value < 1e300) -}}
{% endmacro %}


{#- Whether the engine knows the time zone; where it cannot be asked, it will say so itself. -#}
{% macro is_timezone(name) %}
{{- return(adapter.dispatch('is_timezone', 'cva')(name)) -}}
{% endmacro %}

{% macro default__is_timezone(name) %}
{% if not execute %}{{ return(true) }}{% endif %}
{{ return(cva.rows_once("select 1 from pg_timezone_names() where name = '" ~ name ~ "'") | length > 0) }}
{% endmacro %}

{% macro spark__is_timezone(name) %}{{ return(true) }}{% endmacro %}


{#- The name of a schema, table, column or model: dbt quotes it, but leaves quotes in it as they are. -#}
{% macro checked_name(value, what) %}
{% if value is not string or not modules.re.fullmatch('[^"\'`;\\\\\\x00-\\x1f]{1,200}', value) %}
    {% do cva.refuse_setting(what, value, 'a name without quotes') %}
{% endif %}
{{ return(value) }}
{% endmacro %}


{#- A name that is written into SQL as it is. -#}
{% macro checked_plain_name(value, what) %}
{% if value is not string or not modules.re.fullmatch('[A-Za-z_][A-Za-z0-9_]*', value) %}
    {% do cva.refuse_setting(what, value, 'a name of letters, digits and _') %}
{% endif %}
{{ return(value) }}
{% endmacro %}
