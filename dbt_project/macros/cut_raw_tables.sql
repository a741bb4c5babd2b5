{#- Takes back what came on or after a date from the user's raw tables, for `cva check-features`, which calls
    it on a copy of the database: rows that were not there yet go, and a status that changed later is
    unknown. Items go with their order. A view is replaced by a table of its rows. -#}
{% macro cut_raw_tables(as_of) %}
{% set day = "cast('" ~ as_of ~ "' as timestamp)" %}
{% for table, columns in cva.canonical_tables().items() %}
    {% set relation = cva.source_relation(table) %}
    {% if relation is not none %}
        {% if relation.is_view %}
            {% do cva.replace_by_table(relation) %}
        {% endif %}
        {% for name in cva.raw_expressions(table, relation) if columns[name][0] == 'time' %}
            {% set is_later = cva.raw_value(table, relation, name) ~ ' >= ' ~ day %}
            {% if name == 'status_changed_at' %}
                {% do cva.forget_status(table, relation, is_later) %}
            {% elif table == 'orders' %}
                {% do cva.cut_items(relation, is_later) %}
                {% do run_query('delete from ' ~ relation ~ ' where ' ~ is_later) %}
            {% else %}
                {% do run_query('delete from ' ~ relation ~ ' where ' ~ is_later) %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endfor %}
{#- dbt rolls back what a run-operation leaves open. -#}
{% do run_query('commit') %}
{% do run_query('begin') %}
{% endmacro %}


{#- Canonical column -> expression over the raw table, of those that are there. -#}
{% macro raw_expressions(table, relation) %}
{% set mapped = var('cva_' ~ table ~ '_columns', {}) %}
{% set expressions = {} %}
{% set present = {} %}
{% for column in adapter.get_columns_in_relation(relation) %}
    {% do present.update({column.name | lower: adapter.quote(column.name)}) %}
{% endfor %}
{% for name in cva.canonical_tables()[table] %}
    {% if name in mapped %}
        {% do expressions.update({name: cva.checked_expression(
            mapped[name], 'cva_' ~ table ~ '_columns.' ~ name)}) %}
    {% elif name in present %}
        {% do expressions.update({name: present[name]}) %}
    {% endif %}
{% endfor %}
{{ return(expressions) }}
{% endmacro %}


{#- A canonical column of a raw table, in its type and the shop's zone. -#}
{% macro raw_value(table, relation, name) %}
{% set expression = '(' ~ cva.raw_expressions(table, relation)[name] ~ ')' %}
{% set type = cva.query_columns('select ' ~ expression ~ ' as value from ' ~ relation)['value'] %}
{{ return('(' ~ cva.cast_kind(expression, cva.canonical_tables()[table][name][0], type) ~ ')') }}
{% endmacro %}


{% macro replace_by_table(relation) %}
{% set name = adapter.quote(relation.identifier) %}
{% set copy = adapter.quote(relation.identifier ~ '__cva_cut') %}
{% set schema = adapter.quote(relation.database) ~ '.' ~ adapter.quote(relation.schema) %}
{% do run_query('create table ' ~ schema ~ '.' ~ copy ~ ' as select * from ' ~ relation) %}
{% do run_query('drop view ' ~ relation) %}
{% do run_query('alter table ' ~ schema ~ '.' ~ copy ~ ' rename to ' ~ name) %}
{% endmacro %}


{#- Only where both are columns as they are: what an expression is made from cannot be told. -#}
{% macro forget_status(table, relation, is_later) %}
{% set expressions = cva.raw_expressions(table, relation) %}
{% set columns = [] %}
{% for column in adapter.get_columns_in_relation(relation) %}
    {% for name in ('status', 'status_changed_at') if name in expressions %}
        {% if expressions[name] | replace('"', '') | lower == column.name | lower %}
            {% do columns.append(adapter.quote(column.name) ~ ' = null') %}
        {% endif %}
    {% endfor %}
{% endfor %}
{% if columns | length == 2 %}
    {% do run_query(
        'update ' ~ relation ~ ' set ' ~ columns | join(', ') ~ ' where ' ~ is_later) %}
{% endif %}
{% endmacro %}


{#- Items of orders all of whose rows go. Where order_id is made by a window there is nothing to look up, and
    an item without its order counts for nothing anyway. -#}
{% macro cut_items(orders, is_later) %}
{% set items = cva.source_relation('order_items') %}
{% set order_id = cva.raw_expressions('orders', orders)['order_id'] %}
{% if items is not none and ' over' not in order_id | lower %}
    {% if items.is_view %}
        {% do cva.replace_by_table(items) %}
    {% endif %}
    {% set item = cva.raw_value('order_items', items, 'order_id') %}
    {% set order = cva.raw_value('orders', orders, 'order_id') %}
    {% set rows = '(select ' ~ order ~ ' from ' ~ orders ~ ' where ' ~ order ~ ' is not null and ' %}
    {% do run_query(
        'delete from ' ~ items ~ ' where ' ~ item ~ ' in ' ~ rows ~ is_later ~ ') and ' ~ item
        ~ ' not in ' ~ rows ~ 'not coalesce(' ~ is_later ~ ', false))') %}
{% endif %}
{% endmacro %}
