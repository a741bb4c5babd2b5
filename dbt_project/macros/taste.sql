{#- What the family `taste` looks at. -#}

{#- The kinds of vectors that the shop's products have: none, `text`, `image` or both; both while nobody knows. -#}
{% macro taste_kinds() %}
{% if not execute %}{{ return(['text', 'image']) }}{% endif %}
{% set found = [] %}
{% for kind in ['text', 'image'] if cva.is_built('taste')
    and cva.has_source_column('order_items', 'product_id') and cva.has_product_vectors(kind) %}
    {% do found.append(kind) %}
{% endfor %}
{{ return(found) }}
{% endmacro %}


{#- Of one kind, whether products have any. -#}
{% macro has_product_vectors(kind) %}
{{ return(
    cva.vector_width('products', kind ~ '_vector') is not none
    or kind == 'image' and cva.image_vectors() is not none
    or kind == 'text' and cva.reads_products()
) }}
{% endmacro %}


{#- The table that `cva embed images` fills, none where there is none: of this schema, or as `cva_image_vectors`
    says, so that training in a schema of its own finds it. -#}
{% macro image_vectors() %}
{% if not execute or cva.source_relation('products') is none %}{{ return(none) }}{% endif %}
{% set named = cva.setting('cva_image_vectors') %}
{% set schema, name = (named or target.schema ~ '_cva.cva_image_vectors').split('.') %}
{{ return(adapter.get_relation(database=target.database, schema=schema, identifier=name)) }}
{% endmacro %}


{#- Queries of product_id and vector_key, and of vector_key and vector, of one kind: the shop's own, else what the
    encoder made of names, categories and descriptions, or `cva embed images` of pictures. Vectors of two models
    do not compare. -#}
{% macro product_vectors(kind) %}
{% set column, products = kind ~ '_vector', ref('cva', 'stg_cva__products') %}
{% set texts, vectors = ref('cva', 'int_cva__product_texts'), cva.text_vectors() %}
{% if not execute or cva.vector_width('products', column) is not none %}
    {% set own = ' from ' ~ products ~ ' where reject_reason is null and ' ~ column ~ ' is not null' %}
    {{ return({
        'keys': 'select product_id, product_id as vector_key' ~ own,
        'vectors': 'select product_id as vector_key, ' ~ column ~ ' as vector' ~ own,
    }) }}
{% endif %}
{% set vector = 'cast(embedding as ' ~ cva.numbers_type() ~ ') as vector from ' %}
{% if kind == 'text' %}
    {{ return({
        'keys': 'select texts.product_id, texts.text_hash as vector_key from ' ~ texts ~ ' as texts inner join '
            ~ vectors ~ ' as vectors on texts.text_hash = vectors.text_hash where vectors.embedding is not null',
        'vectors': 'select text_hash as vector_key, ' ~ vector ~ vectors,
    }) }}
{% endif %}
{{ return({
    'keys': 'select vectors.product_id, vectors.product_id as vector_key from ' ~ cva.image_vectors()
        ~ ' as vectors inner join ' ~ products
        ~ ' as products on vectors.product_id = products.product_id where products.reject_reason is null',
    'vectors': 'select product_id as vector_key, ' ~ vector ~ cva.image_vectors(),
}) }}
{% endmacro %}


{#- The cosine of two vectors, from the inner products of both, of the one and of the other; NULL where one is
    nothing. -#}
{% macro cosine_of(both, one, other) -%}
case
            when {{ one }} > 0 and {{ other }} > 0
                then greatest(-1, least(1, {{ both }} / nullif(sqrt({{ one }}) * sqrt({{ other }}), 0)))
        end
{%- endmacro %}
