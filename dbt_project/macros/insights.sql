{#- What reviews say, sentence by sentence: how they are cut, and what each is about. -#}

{#- Whether sentences of reviews are read: they are asked for, and not in training. -#}
{% macro is_insight_read() %}
{{- return(
    cva.setting('cva_review_insights')
    and cva.is_queue_read()
    and (not execute or cva.source_relation('reviews') is not none)
) -}}
{% endmacro %}


{#- Whether this is an aspect of the shop's own: a name, and three different phrases or more with words in them. A backslash
    means something else to each engine. -#}
{% macro is_aspect(name, phrases) %}
{% set text = '[^\\\\\\x00-\\x1f]' %}
{% if name is not string or name == cva.no_aspect() or not modules.re.fullmatch(text ~ '{1,40}', name)
    or phrases is string or phrases is mapping or phrases is not sequence or phrases | length < 3 %}
    {{ return(false) }}
{% endif %}
{% for phrase in phrases %}
    {% if phrase is not string or not modules.re.fullmatch(text ~ '{1,300}', phrase)
        or not modules.re.search('\\w', phrase) %}
        {{ return(false) }}
    {% endif %}
{% endfor %}
{{ return(phrases | map('trim') | map('lower') | unique | list | length >= 3) }}
{% endmacro %}


{#- The first twenty sentences of a review, masked, as a list. The full stop of an abbreviation ends none: its blank
    does not break until the text is cut. Units and the like are abbreviations where a small letter follows. -#}
{% macro review_sentences(text) -%}
{%- set titles = '(\\b(?i:mrs?|ms|mx|dr|prof|st|jr|vs|approx|e[.]g|i[.]e)[.])\\s+' -%}
{%- set units = '(\\b(?i:lbs?|oz|ft|etc|incl|min|max|size|no|nr|\\p{L}([.]\\p{L})+)[.])\\s+([\\p{Ll}\\p{Nd}])' -%}
{%- set kept = cva.replaced(cva.replaced(cva.masked(text), titles, '\\1\u00a0'), units, '\\1\u00a0\\3') -%}
{{ cva.cut_sentences(kept) }}
{%- endmacro %}


{#- A sentence of that list as it is read and shown. -#}
{% macro review_sentence(piece) -%}
{{ cva.trimmed('replace(' ~ piece ~ ', chr(160), chr(32))') }}
{%- endmacro %}


{#- The limits of an 80 % interval of a share, Wilson's score interval: E. B. Wilson (1927), "Probable inference, the
    law of succession, and statistical inference", JASA 22, 209-212. `sign` is -1 or 1. -#}
{% macro share_limit(part, whole, sign) -%}
{%- set z = 1.281552 -%}
(
            {{ part }} + {{ z * z / 2 }}
            {{ '+' if sign > 0 else '-' }} {{ z }} * sqrt(
                {{ part }} * ({{ whole }} - {{ part }}) / cast({{ whole }} as double) + {{ z * z / 4 }}
            )
        ) / nullif({{ whole }} + {{ z * z }}, 0)
{%- endmacro %}


{#- The probability of a standard normal above z ≥ 0, to within 1.5e-7: Abramowitz and Stegun (1964), "Handbook of
    mathematical functions", 7.1.26. -#}
{% macro normal_tail(z) -%}
{%- set t = '(1 / (1 + 0.3275911 * ' ~ z ~ ' / sqrt(2)))' -%}
least(1, greatest(0, 0.5 * exp(-{{ z }} * {{ z }} / 2) * {{ t }} * (
            0.254829592 + {{ t }} * (-0.284496736 + {{ t }} * (
                1.421413741 + {{ t }} * (-1.453152027 + {{ t }} * 1.061405429)
            ))
        )))
{%- endmacro %}


{#- Sentences of reviews with what tells a review from others, and the category of its product. -#}
{% macro insight_reviews() -%}
select
        said.*,
        cast(said.reviewed_at as date) as review_date,
        concat(
            coalesce(said.review_id, ''), ' ', said.customer_id, ' ', cast(said.reviewed_at as string), ' ',
            coalesce(said.product_id, ''), ' ', said.text_hash
        ) as review_key,
        products.category
    from {{ ref('cva', 'review_insights') }} as said
    left join (
        select product_id, min(category) as category
        from {{ ref('cva', 'stg_cva__products') }}
        where reject_reason is null
        group by product_id
    ) as products on said.product_id = products.product_id
{%- endmacro %}


{#- These once for the whole shop, for the category and for the product, as far as both are known. -#}
{% macro insight_levels(relation) -%}
{%- set levels = {'shop': (), 'category': ('category',), 'product': ('category', 'product_id')} -%}
{%- for level, columns in levels.items() -%}
select
        '{{ level }}' as level,
        {{ 'category' if 'category' in columns else 'cast(null as string)' }} as category,
        {{ 'product_id' if 'product_id' in columns else 'cast(null as string)' }} as product_id,
        review_key,
        review_id,
        customer_id,
        as_of_date,
        review_date,
        reviewed_at,
        aspect,
        sentence_number,
        sentence,
        sentiment
    from {{ relation }}
    {%- if columns %}
    where {{ columns | last }} is not null
    {%- endif %}
    {%- if not loop.last %}
    union all
    {% endif %}
{%- endfor -%}
{%- endmacro %}


{#- Of product_issues: the days that are compared with six times as many before, how many complaints and reviews it
    takes, and how many of what is listed may be there by luck (Y. Benjamini and Y. Hochberg (1995), "Controlling
    the false discovery rate", JRSS B 57, 289-300). A normal test of fewer is not to be trusted. -#}
{% macro issue_days() %}{{ return(30) }}{% endmacro %}
{% macro least_complaints() %}{{ return(5) }}{% endmacro %}
{% macro least_reviews() %}{{ return(10) }}{% endmacro %}
{% macro issue_rate() %}{{ return(0.1) }}{% endmacro %}


{#- Whether it is told what the words of reviews did to each prediction: it is asked for, and the deployed model reads
    reviews. It needs our functions. -#}
{% macro is_text_reasoned() %}
{{- return(
    cva.setting('cva_text_reasons')
    and cva.is_queue_read()
    and cva.setting('cva_udfs')
    and 'reviews' not in cva.setting('cva_families_off')
    and (not execute or cva.source_relation('reviews') is not none)
    and cva.is_read_by_model('reviews')
) -}}
{% endmacro %}


{#- The place of a review among those of its customer that have a text, the last first; those without come after
    all. What is told of each customer is told of the first five. -#}
{% macro text_place() -%}
row_number() over (
            partition by customer_id, as_of_date
            order by
                case when text_hash is null then 1 else 0 end,
                review_date desc,
                coalesce(review_id, ''),
                coalesce(text_hash, ''),
                rating,
                coalesce(product_id, ''),
                coalesce(order_id, '')
        )
{%- endmacro %}

{% macro reasoned_texts() %}{{ return(5) }}{% endmacro %}


{#- A text without a part of it, where that first stands in it; null where nothing is left to read, and where it does
    not stand in it as it is, which `has_part` tells: a masked sentence does not. -#}
{% macro has_part(text, part) %}(instr({{ text }}, {{ part }}) > 0){% endmacro %}

{% macro text_without(text, part) -%}
{%- set rest -%}
concat(
            substring({{ text }}, 1, instr({{ text }}, {{ part }}) - 1),
            substring({{ text }}, instr({{ text }}, {{ part }}) + length({{ part }}))
        )
{%- endset -%}
case
            when {{ cva.has_part(text, part) }} and {{ cva.matches(rest, '[\\p{L}\\p{N}]') }}
                then {{ cva.trimmed(rest) }}
        end
{%- endmacro %}
