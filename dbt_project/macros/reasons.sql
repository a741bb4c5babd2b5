{#- Words of a reason by language: one entry here, and `label_<language>`, `sentence_<language>` and so on in the
    catalogue's lines, make a further one. `rule` takes the place of `typical` where the packaged rule scored,
    which knows no shop; `none` stands for NULL. A project may override it. -#}
{% macro reason_words() %}{{ return(adapter.dispatch('reason_words', 'cva')()) }}{% endmacro %}
{% macro default__reason_words() %}
{{ return({
    'en': {
        'typical': ' (typical {typical})', 'mode': ' (most often {typical})',
        'rule': ' (compared with {typical})', 'several': 'several features together', 'colon': ': ',
        'none': 'none', 'yes': 'yes', 'no': 'no'
    },
    'zh': {
        'typical': '（通常为 {typical}）', 'mode': '（多数为 {typical}）',
        'rule': '（对比值 {typical}）', 'several': '多项特征合计', 'colon': '：',
        'none': '无', 'yes': '是', 'no': '否'
    }
}) }}
{% endmacro %}


{#- The words of `cva_language`, as they stand between quotes in SQL. -#}
{% macro quoted_words() %}
{% set quoted = {} %}
{% for name, text in cva.reason_words()[cva.setting('cva_language')].items() if text is string %}
    {% do quoted.update({name: text | replace("'", "''")}) %}
{% endfor %}
{{ return(quoted) }}
{% endmacro %}


{#- The forms of a sentence, as the catalogue's lines call them: for most values, for 0, for 1, for NULL. -#}
{% macro reason_cases() %}{{ return(['sentence', 'zero', 'one', 'none']) }}{% endmacro %}


{#- Column of cva_feature_catalog with the label. -#}
{% macro label_column(language) %}{{- return('label' ~ ('' if language == 'en' else '_' ~ language)) -}}{% endmacro %}


{#- Column of cva_feature_catalog with a form of the sentence. -#}
{% macro template_column(language, case='sentence') %}
{{- return(
    'reason_template' ~ ('' if case == 'sentence' else '_' ~ case)
    ~ ('' if language == 'en' else '_' ~ language)
) -}}
{% endmacro %}


{#- A form of the sentence of a catalogue line, with {value} and {typical} left open. Of a number that is not
    known there is nothing to compare. -#}
{% macro reason_template(feature, language, case='sentence') %}
{% set words = cva.reason_words()[language] %}
{% set suffix = '' if language == 'en' else '_' ~ language %}
{% set label = feature.get('label' ~ suffix, feature.label) | replace('{', '(') | replace('}', ')') %}
{% if feature.unit == 'component' %}{{ return(label) }}{% endif %}
{% set is_text = feature.kind == 'category' or feature.unit == 'flag' %}
{% set said = feature.get(case ~ suffix, feature.get('sentence' ~ suffix)) %}
{% set text = namespace(so_far=label ~ words.colon ~ '{value}') %}
{% if said %}{% set text.so_far = cva.in_number(said, is_one=case == 'one') %}{% endif %}
{% for k in range(1, 5) if '{horizon_' in text.so_far %}
    {% set days = k * cva.setting('cva_horizon_days') %}
    {% set text.so_far = text.so_far | replace('{horizon_' ~ k ~ '}', days) %}
{% endfor %}
{% if case == 'none' and case ~ suffix in feature and not is_text %}{{ return(text.so_far) }}{% endif %}
{{ return(text.so_far ~ (words.mode if is_text else words.typical)) }}
{% endmacro %}


{#- The sentence with day[s] and categor[y|ies] for one or for many. -#}
{% macro in_number(sentence, is_one) %}
{% set parts = sentence.split('[') %}
{% set text = namespace(so_far=parts[0]) %}
{% for part in parts[1:] %}
    {% set ending, _, rest = part.partition(']') %}
    {% set one, _, many = ending.rpartition('|') %}
    {% set text.so_far = text.so_far ~ (one if is_one else many) ~ rest %}
{% endfor %}
{{ return(text.so_far) }}
{% endmacro %}


{#- How a number of a unit is written: decimal places, times what, what stands behind, whether without a last
    `.0`. Other units: as it is. -#}
{% macro unit_formats() %}
{{ return({
    'days': {'places': 0}, 'years': {'places': 0}, 'count': {'places': 1, 'is_short': true},
    'rate': {'places': 0, 'times': 100, 'behind': '%'}, 'money': {'places': 2},
    'rating': {'places': 1, 'is_short': true}, 'ratio': {'places': 2}, 'sentiment': {'places': 2},
    'per day': {'places': 4}, 'seconds': {'places': 0}
}) }}
{% endmacro %}


{#- The text of a feature's value, by its unit. -#}
{% macro feature_text(value, kind, unit, words) -%}
case
            when {{ value }} is null then '{{ words.none }}'
            when {{ kind }} = 'category'
                then replace(replace({{ value }}, '{', '('), '}', ')')
            when {{ unit }} = 'flag'
                then case when {{ value }} = '0' then '{{ words.no }}' else '{{ words.yes }}' end
            {%- set number = 'cast(' ~ value ~ ' as double)' %}
            {%- for name, format in cva.unit_formats().items() %}
            {%- if format.is_short %}
            when {{ unit }} = '{{ name }}' and {{ cva.number_text(number, format.places) }} like '%.0'
                then {{ cva.number_text(number, 0) }}
            {%- endif %}
            {%- set scaled = format.times ~ ' * ' ~ number if format.times else number %}
            when {{ unit }} = '{{ name }}'
                then concat({{ cva.number_text(scaled, format.places) }}, '{{ format.behind }}')
            {%- endfor %}
            else {{ value }}
        end
{%- endmacro %}


{#- Which form of its sentence says a value; `text` is what is written of it. -#}
{% macro template_for(language, value, text) -%}
case
            when {{ value }} is null then {{ cva.template_column(language, 'none') }}
            when {{ value }} = '0' then {{ cva.template_column(language, 'zero') }}
            when {{ value }} = '1' or {{ text }} = '1' then {{ cva.template_column(language, 'one') }}
            else {{ cva.template_column(language) }}
        end
{%- endmacro %}
