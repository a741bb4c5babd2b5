{#- Takes back what came on or after a date from the user's raw tables, for `cva check-features`, which calls
    it on a copy of the database: rows that were not there yet go, and a state that changed later is
    unknown. Rows that another table dates go with theirs. A view is replaced by a table of its rows. -#}
{% macro cut_raw_tables(as_of) %}
{% do cva.refuse_unless_copy() %}
{% set day = "cast('" ~ as_of ~ "' as timestamp)" %}
{% for table, line in cva.raw_tables().items() %}
    {% set relation = cva.source_relation(table) %}
    {% if relation is not none %}
        {% if relation.is_view %}
            {% do cva.replace_by_table(relation) %}
        {% endif %}
        {% for name in cva.raw_expressions(table, relation) if line.columns[name][0] == 'time' %}
            {% set is_later = cva.raw_value(table, relation, name) ~ ' >= ' ~ day %}
            {% if name in line.get('states', {}) %}
                {% do cva.forget_state(table, relation, line.states[name], is_later) %}
            {% elif name == line.get('date') or name in line.get('since', []) %}
                {% do cva.cut_dated_rows(table, relation, is_later) %}
                {% do run_query('delete from ' ~ relation ~ ' where ' ~ is_later) %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endfor %}
{#- dbt rolls back what a run-operation leaves open. -#}
{% do run_query('commit') %}
{% do run_query('begin') %}
{% endmacro %}


{#- What deletes and updates raw rows is for the copy that `cva check-features` makes, wherever it is called. -#}
{% macro refuse_unless_copy() %}
{% set path = run_query(
    "select coalesce(max(path), 'this') from duckdb_databases() where database_name = current_database()").rows[0][0] %}
{% if '/.cva/check/' not in path | replace('\\', '/') %}
    {% do exceptions.raise_compiler_error(
        path ~ ' is no copy of cva check-features, and its rows are not to be cut;'
        ~ ' run: cva check-features') %}
{% endif %}
{% endmacro %}


{% macro replace_by_table(relation) %}
{% do cva.refuse_unless_copy() %}
{% set name = adapter.quote(relation.identifier) %}
{% set copy = adapter.quote(relation.identifier ~ '__cva_cut') %}
{% set schema = adapter.quote(relation.database) ~ '.' ~ adapter.quote(relation.schema) %}
{% do run_query('create table ' ~ schema ~ '.' ~ copy ~ ' as select * from ' ~ relation) %}
{% do run_query('drop view ' ~ relation) %}
{% do run_query('alter table ' ~ schema ~ '.' ~ copy ~ ' rename to ' ~ name) %}
{% endmacro %}


{#- Only where all are columns as they are: what an expression is made from cannot be told. -#}
{% macro forget_state(table, relation, names, is_later) %}
{% do cva.refuse_unless_copy() %}
{% set expressions = cva.raw_expressions(table, relation) %}
{% set columns = [] %}
{% for column in adapter.get_columns_in_relation(relation) %}
    {% for name in names if name in expressions %}
        {% if expressions[name] | replace('"', '') | lower == column.name | lower %}
            {% do columns.append(adapter.quote(column.name) ~ ' = null') %}
        {% endif %}
    {% endfor %}
{% endfor %}
{% if columns and columns | length == names | length %}
    {% do run_query(
        'update ' ~ relation ~ ' set ' ~ columns | join(', ') ~ ' where ' ~ is_later) %}
{% endif %}
{% endmacro %}


{#- Rows of other tables that this one dates, where all of its rows with their key go. Where the key is made
    by a window there is nothing to look up, and e.g. an item without its order counts for nothing anyway. -#}
{% macro cut_dated_rows(table, relation, is_later) %}
{% do cva.refuse_unless_copy() %}
{% for other, line in cva.raw_tables().items() if line.get('of') == table %}
    {% set dated = cva.source_relation(other) %}
    {% set key = cva.raw_tables()[table].key[0] %}
    {% if dated is not none and ' over' not in cva.raw_expressions(table, relation)[key] | lower %}
        {% if dated.is_view %}
            {% do cva.replace_by_table(dated) %}
        {% endif %}
        {% set theirs = cva.raw_value(other, dated, key) %}
        {% set ours = cva.raw_value(table, relation, key) %}
        {% set rows = '(select ' ~ ours ~ ' from ' ~ relation ~ ' where ' ~ ours ~ ' is not null and ' %}
        {% do run_query(
            'delete from ' ~ dated ~ ' where ' ~ theirs ~ ' in ' ~ rows ~ is_later ~ ') and ' ~ theirs
            ~ ' not in ' ~ rows ~ 'not coalesce(' ~ is_later ~ ', false))') %}
    {% endif %}
{% endfor %}
{% endmacro %}
