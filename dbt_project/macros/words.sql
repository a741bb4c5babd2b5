{#- Texts that say what customers are after: those of products, what they searched for, what they asked. They are
    read like reviews, once, for the family `words`. -#}

{#- Whether any such text is read, and by `words` itself. While dbt parses nobody knows what the shop has, and all
    are taken to be there. -#}
{% macro is_worded() %}
{{- return(cva.reads_products() or cva.reads_words()) -}}
{% endmacro %}


{% macro reads_words() %}
{{- return((cva.has_product_texts() or cva.has_searches() or cva.has_ticket_texts()) and cva.is_built('words')) -}}
{% endmacro %}


{#- Taste looks at texts of products as well, where `words` is not off. -#}
{% macro reads_products() %}
{{- return(cva.has_product_texts() and 'words' not in cva.setting('cva_families_off')
    and (cva.is_built('words') or cva.is_built('taste'))) -}}
{% endmacro %}


{% macro reads_searches() %}{{- return(cva.has_searches() and cva.is_built('words')) -}}{% endmacro %}


{% macro reads_tickets() %}{{- return(cva.has_ticket_texts() and cva.is_built('words')) -}}{% endmacro %}


{% macro has_product_texts() %}
{{- return(
    cva.has_source_column('order_items', 'product_id') and cva.product_text_columns() | length > 0
) -}}
{% endmacro %}


{% macro has_searches() %}{{- return(cva.has_source_column('events', 'search_query')) -}}{% endmacro %}


{% macro has_ticket_texts() %}
{{- return(cva.has_source_column('tickets', 'subject') or cva.has_source_column('tickets', 'body')) -}}
{% endmacro %}


{#- The columns that say in words what a product is, of those that the shop has. -#}
{% macro product_text_columns() %}
{% set found = [] %}
{% for name in ['name', 'category', 'description'] if cva.has_source_column('products', name) %}
    {% do found.append(name) %}
{% endfor %}
{{ return(found) }}
{% endmacro %}


{#- The whole text of a ticket as it is read, without what tells who wrote it. -#}
{% macro ticket_text(subject='subject', body='body') -%}
{{ cva.masked(
    'case when ' ~ subject ~ ' is null then ' ~ body ~ ' when ' ~ body ~ ' is null then ' ~ subject
    ~ ' else concat(' ~ subject ~ ', chr(10), ' ~ body ~ ') end'
) }}
{%- endmacro %}


{#- What was searched for, as it is read: in lower case, masked like a ticket. -#}
{% macro query_text(query='search_query') -%}
{{ cva.masked('lower(' ~ query ~ ')') }}
{%- endmacro %}
