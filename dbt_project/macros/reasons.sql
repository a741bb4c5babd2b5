{#- Words of a reason by language: one entry here and one `label_<language>` in the catalogue's lines make a
    further one. `rule` compares where the packaged rule scored, which knows no shop; `none` stands for
    NULL. A project may override it. -#}
{% macro reason_words() %}{{ return(adapter.dispatch('reason_words', 'cva')()) }}{% endmacro %}
{% macro default__reason_words() %}
{{ return({
    'en': {
        'median': ', shop median {typical}', 'mode': ', most often {typical}',
        'rule': ', compared with {typical}', 'several': 'several features together', 'colon': ': ',
        'none': 'none', 'yes': 'yes', 'no': 'no', 'families': {}
    },
    'zh': {
        'median': '，店铺中位数 {typical}', 'mode': '，最常见 {typical}',
        'rule': '，对比值 {typical}', 'several': '多项特征合计', 'colon': '：',
        'none': '无', 'yes': '是', 'no': '否', 'families': {
            'recency': '购买近度', 'frequency': '购买频率', 'spend': '消费金额', 'browsing': '浏览',
            'reviews': '评价', 'attributes': '客户属性', 'marketing': '营销', 'own': '自定义特征'
        }
    }
}) }}
{% endmacro %}


{% macro template_column(language) %}
{{- return('reason_template' ~ ('' if language == 'en' else '_' ~ language)) -}}
{% endmacro %}


{#- The sentence of a catalogue line, with {value} and {typical} left open. English puts a count before what is
    counted: 9 orders in 90 days. -#}
{% macro reason_template(feature, language) %}
{% set words = cva.reason_words()[language] %}
{% set label = feature.get('label' if language == 'en' else 'label_' ~ language, feature.label) %}
{% set label = label | replace('{', '(') | replace('}', ')') %}
{% if feature.unit == 'component' %}{{ return(label) }}{% endif %}
{% set compared = words.mode if feature.kind == 'category' or feature.unit == 'flag' else words.median %}
{% if language == 'en' and feature.unit == 'count' and cva.counted_noun(label) %}
    {{ return('{value} ' ~ label ~ compared) }}
{% endif %}
{{ return(label ~ ' {value}' ~ compared) }}
{% endmacro %}


{#- What a label counts, if its words can stand behind a number: plural -> singular. -#}
{% macro counted_nouns() %}
{{ return({
    'orders': 'order', 'days with an order': 'day with an order',
    'repeat purchase days': 'repeat purchase day', 'recent orders': 'recent order',
    'products': 'product', 'categories': 'category', 'returns': 'return', 'reviews': 'review'
}) }}
{% endmacro %}

{% macro counted_noun(label) %}
{% for noun in cva.counted_nouns() if label == noun or label.startswith(noun ~ ' ') %}
    {{ return(noun) }}
{% endfor %}
{{ return(none) }}
{% endmacro %}


{#- One of a thing: 1 order in 90 days. -#}
{% macro singular(template) %}
{% set sql = namespace(text=template) %}
{% for plural, one in cva.counted_nouns().items() %}
    {% set sql.text = "replace(" ~ sql.text ~ ", '{value} " ~ plural ~ "', '{value} " ~ one ~ "')" %}
{% endfor %}
{{ return(sql.text) }}
{% endmacro %}


{#- The text of a feature's value, by its unit. -#}
{% macro feature_text(value, kind, unit, words) -%}
case
            when {{ value }} is null then '{{ words.none }}'
            when {{ kind }} = 'category'
                then replace(replace({{ value }}, '{', '('), '}', ')')
            when {{ unit }} = 'flag'
                then case when {{ value }} = '0' then '{{ words.no }}' else '{{ words.yes }}' end
            when {{ unit }} = 'rate'
                then concat({{ cva.number_text('100 * cast(' ~ value ~ ' as double)', 0) }}, ' %')
            when {{ unit }} in ('days', 'years')
                then {{ cva.number_text('cast(' ~ value ~ ' as double)', 0) }}
            when {{ unit }} = 'money' then {{ cva.number_text('cast(' ~ value ~ ' as double)', 2) }}
            when {{ unit }} = 'per day' then {{ cva.number_text('cast(' ~ value ~ ' as double)', 4) }}
            when {{ unit }} = 'count' and cast({{ value }} as double) = floor(cast({{ value }} as double))
                then {{ cva.number_text('cast(' ~ value ~ ' as double)', 0) }}
            when {{ unit }} in ('count', 'rating')
                then {{ cva.number_text('cast(' ~ value ~ ' as double)', 1) }}
            when {{ unit }} in ('ratio', 'sentiment')
                then {{ cva.number_text('cast(' ~ value ~ ' as double)', 2) }}
            else {{ value }}
        end
{%- endmacro %}
