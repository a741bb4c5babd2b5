{#- The version of this package; the Python part has to be the same one. -#}
{% macro package_version() %}{{ return('0.1.0') }}{% endmacro %}


{#- Before a run of anything in this package: the Python part that dbt has registered is of its version.
    Nothing to check where no SQL function is called. -#}
{% macro check_version() %}
{{- return(adapter.dispatch('check_version', 'cva')()) -}}
{% endmacro %}

{% macro default__check_version() %}
{% set run = [] %}
{% for id in selected_resources if id.split('.')[1] == 'cva' %}{% do run.append(id) %}{% endfor %}
{% if execute and run and cva.setting('cva_udfs') %}
    {% set ours = cva.package_version() %}
    {% set known = run_query(
        "select count(*) from duckdb_functions() where function_name = 'cva_version'"
    ).rows[0][0] %}
    {% if not known %}
        {% do exceptions.raise_compiler_error(
            'cva_package is ' ~ ours ~ ', and dbt has no SQL function cva_version; name the plugin'
            ~ ' in profiles.yml (plugins: [{module: cva_sql.udfs.plugin}]) and install a cva of the same'
            ~ ' version') %}
    {% endif %}
    {% set theirs = run_query('select cva_version()').rows[0][0] %}
    {% if theirs != ours %}
        {% do exceptions.raise_compiler_error(
            'cva_package is ' ~ ours ~ ', the installed cva is ' ~ theirs
            ~ '; refresh it with: cva init .') %}
    {% endif %}
{% endif %}
{% endmacro %}

{% macro spark__check_version() %}{% endmacro %}


{#- Before a run by a `cva` command in a project of the user's, which sets `cva_schema_check`: `own` in the
    schema of the project's target, `side` in one for past dates. Where the project's generate_schema_name
    goes its own way, our tables are not found, and past dates would be built over the tables of today. -#}
{% macro check_schemas() %}
{% set check = var('cva_schema_check', none) %}
{% if execute and check is not none %}
    {% for id in selected_resources if id.startswith('model.') and id in graph.nodes %}
        {% set node = graph.nodes[id] %}
        {% set is_ours = node.package_name == 'cva' %}
        {% if node.config.materialized != 'ephemeral' and (
            (is_ours and node.schema not in (target.schema, target.schema ~ '_cva'))
            or (check == 'side' and not node.schema.startswith(target.schema))
        ) %}
            {% do exceptions.raise_compiler_error(
                node.name ~ ' would be built in schema ' ~ node.schema ~ ', and cva expects '
                ~ target.schema ~ ' or, of its own models, ' ~ target.schema ~ '_cva; let your macro'
                ~ ' generate_schema_name begin each name with target.schema, as dbt does by default') %}
        {% endif %}
    {% endfor %}
{% endif %}
{% endmacro %}
