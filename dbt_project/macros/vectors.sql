{#- Vectors of products, as any model gives them. -#}

{#- Why a row with a vector cannot be used: what is given has no direction, or is not as wide as those of most. -#}
{% macro vector_cases(table, name) -%}
{%- set size = cva.list_size(name) -%}
when {{ size }} = 1 and {{ cva.list_item(name, 1) }} = 0 then 'vector_unreadable'
            {%- set width = cva.vector_width(table, name) %}
            {%- if width is not none %}
            when {{ size }} <> {{ width }} then 'vector_width'
            {%- endif %}
{%- endmacro %}


{#- How wide the vectors of a column are, by most rows with a key; of as many the wider. None where there is no
    vector, or nobody can be asked. -#}
{% macro vector_width(table, name) %}
{% if not execute %}{{ return(none) }}{% endif %}
{% set relation = cva.source_relation(table) %}
{% if relation is none or name not in cva.raw_expressions(table, relation) %}{{ return(none) }}{% endif %}
{% set key = cva.raw_value(table, relation, cva.raw_tables()[table].key[0]) %}
{% set size = cva.list_size('vector') %}
{% set rows = cva.rows_once(
    'select ' ~ size ~ ' as width, count(*) as n from (select ' ~ cva.raw_value(table, relation, name) ~ ' as vector, '
    ~ key ~ ' as id from ' ~ relation ~ ') as given where id is not null and vector is not null and not (' ~ size
    ~ ' = 1 and ' ~ cva.list_item('vector', 1) ~ ' = 0) group by 1 order by 2 desc, 1 desc limit 1') %}
{{ return(rows[0][0] | int if rows | length else none) }}
{% endmacro %}
