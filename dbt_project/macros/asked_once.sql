{#- What is asked of raw tables, settings and SQL functions, which stay as they are while a build runs: once an
    invocation, kept in dbt's graph. dbt renders each model by itself, and a query costs it ten milliseconds. -#}

{#- The rows of a query. -#}
{% macro rows_once(query) %}
{% set kept = graph.setdefault('cva_rows', {}) %}
{% if query not in kept %}{% do kept.update({query: run_query(query).rows | list}) %}{% endif %}
{{ return(kept[query]) }}
{% endmacro %}


{#- name in lower case -> the column as SQL names it, of the user's table. -#}
{% macro present_columns(relation) %}
{% set kept = graph.setdefault('cva_columns', {}) %}
{% if relation | string not in kept %}
    {% set present = {} %}
    {% for column in adapter.get_columns_in_relation(relation) %}
        {% do present.update({column.name | lower: adapter.quote(column.name)}) %}
    {% endfor %}
    {% do kept.update({relation | string: present}) %}
{% endif %}
{{ return(kept[relation | string]) }}
{% endmacro %}


{#- name -> type of the columns of a query, without running it. -#}
{% macro query_columns(query) %}
{% set columns = {} %}
{% for row in cva.rows_once('describe ' ~ query) %}
    {% do columns.update({row[0]: row[1]}) %}
{% endfor %}
{{ return(columns) }}
{% endmacro %}
