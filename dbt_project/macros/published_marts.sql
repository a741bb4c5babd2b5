{#- What is published, as the nodes of dbt's graph say, by name. -#}
{% macro published_marts() %}
{% set marts = [] %}
{% for node in (graph.nodes.values() if execute else []) %}
    {% set said = (node.config.meta or {}).get('cva') %}
    {% if said is mapping and said.get('published') is sameas true %}
        {% do marts.append({
            'schema': node.schema, 'name': node.alias, 'is_own': node.package_name != 'cva',
            'only_with_rows': said.get('only_with_rows') is sameas true,
            'question': said.get('question', '') | string,
        }) %}
    {% endif %}
{% endfor %}
{{ return(marts | sort(attribute='name')) }}
{% endmacro %}
