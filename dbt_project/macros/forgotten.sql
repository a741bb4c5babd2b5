{#- Who was erased by `cva forget`: table cva_forgotten has a salted hash of each id. Staging takes nobody's id
    out of the user's own tables, and rejects their rows as `forgotten`. Without the table nothing of this is
    written. -#}

{#- The table, where it has rows; else none. -#}
{% macro forgotten_relation() %}
{{- return(adapter.dispatch('forgotten_relation', 'cva')()) -}}
{% endmacro %}

{% macro default__forgotten_relation() %}
{% set relation = adapter.get_relation(
    database=cva.setting('cva_raw_database') or target.database, schema='main', identifier='cva_forgotten'
) if execute else none %}
{% if relation is none or not cva.rows_once('select salt from ' ~ relation ~ ' limit 1') | length %}
    {{ return(none) }}
{% endif %}
{{ return(relation) }}
{% endmacro %}

{#- No command of ours writes there. -#}
{% macro spark__forgotten_relation() %}{{ return(none) }}{% endmacro %}


{#- Whether rows of a table may be of somebody who is forgotten. -#}
{% macro has_forgotten(table) %}
{% if cva.forgotten_relation() is none %}{{ return(false) }}{% endif %}
{{ return('person' in cva.raw_tables()[table].columns.values() | map(attribute=0)) }}
{% endmacro %}


{#- Whether a text is the id of somebody who is forgotten; never NULL. -#}
{% macro is_forgotten(expression) -%}
{%- set relation = cva.forgotten_relation() -%}
{%- set salt = cva.rows_once('select salt from ' ~ relation ~ ' limit 1')[0][0] -%}
({{ cva.text_hash("concat('" ~ salt ~ "', " ~ expression ~ ")") }} in (select hash from {{ relation }} where kind = 'customer'))
{%- endmacro %}


{#- Rows of a raw table without the ids of whoever is forgotten, and which rows these are. -#}
{% macro without_forgotten(table, rows) -%}
{%- set people = [] -%}
{%- for name, spec in cva.raw_tables()[table].columns.items() if spec[0] == 'person' -%}
    {%- do people.append(name) -%}
{%- endfor -%}
select
    * replace (
        {%- for name in people %}
        case when not is_forgotten then {{ name }} end as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
from (
    select
        *,
        {% for name in people %}{{ cva.is_forgotten(name) }}{{ ' or ' if not loop.last }}{% endfor %} as is_forgotten
    from (
        {{ rows }}
    ) as known
) as told
{%- endmacro %}
