{#- The order in which a service team answers. The macros up to `service_reason` are what a user may override:
    each is a SQL expression, the first over the columns of customer_features and customer_value, the others
    over those of service_priority that are named, and what an earlier one here gave. -#}

{#- What the shop may lose with the customer: what they are expected to spend in the horizon or, where that is
    more, what they are expected to spend less than usual. Where no spend is predicted: what is usual. Over
    usual_value and money_at_stake of macros/alerts.sql. -#}
{% macro service_value_at_risk() %}{{ return(adapter.dispatch('service_value_at_risk', 'cva')()) }}{% endmacro %}
{% macro default__service_value_at_risk() -%}
{%- if cva.setting('cva_target') == 'spend' -%}
case when predicted_value is not null then greatest(predicted_value, money_at_stake) end
{%- else -%}
usual_value
{%- endif -%}
{%- endmacro %}


{#- The tone of a text from its sentences, -1 to 1: half their mean, half the worst. docs/service.md has how well
    that finds bad ratings, beside other ways. -#}
{% macro service_tone() %}{{ return(adapter.dispatch('service_tone', 'cva')()) }}{% endmacro %}
{% macro default__service_tone() %}((mean_sentiment + worst_sentiment) / 2){% endmacro %}


{#- How bad it is, 0 to 1, over sentiment, rating_severity (0 the best rating of the shop, 1 the worst) and
    age_days. Text and rating count alike; where neither is known it is in the middle. Waiting doubles it at
    most: three quarters of the way after nine days, as most teams mean to answer within days. -#}
{% macro service_severity() %}{{ return(adapter.dispatch('service_severity', 'cva')()) }}{% endmacro %}
{% macro default__service_severity() -%}
coalesce(
            ((1 - sentiment) / 2 + rating_severity) / 2, (1 - sentiment) / 2, rating_severity, 0.5
        ) * (1 + age_days / (age_days + 3.0)) / 2
{%- endmacro %}


{#- The reason in words, in `cva_language`. -#}
{% macro service_reason() %}{{ return(adapter.dispatch('service_reason', 'cva')()) }}{% endmacro %}
{% macro default__service_reason() -%}
{%- set says = {
    'en': {
        'waits': 'waiting for ', 'days': ' days', 'tone': '; tone ', 'rating': '; rating ',
        'risk': '; value at risk ', 'in': ' in ', 'days_of': ' days', 'none': '; orders nothing with probability ',
        'unknown': '; value of the customer not known', 'not_profiled': '; customer without a profile'
    },
    'zh': {
        'waits': '已等待 ', 'days': ' 天', 'tone': '；语气 ', 'rating': '；评分 ',
        'risk': '；风险价值 ', 'in': '（', 'days_of': ' 天）', 'none': '；不下单的概率 ',
        'unknown': '；客户价值未知', 'not_profiled': '；不对该客户画像'
    },
}[cva.setting('cva_language')] -%}
concat(
            '{{ says.waits }}', cast(age_days as string), '{{ says.days }}',
            case
                when sentiment is null then ''
                else concat('{{ says.tone }}', {{ cva.number_text('sentiment', 2) }})
            end,
            case
                when rating is null then ''
                else concat('{{ says.rating }}', {{ cva.number_text('rating', 1) }})
            end,
            case
                when is_not_profiled then '{{ says.not_profiled }}'
                when value_at_risk is null then '{{ says.unknown }}'
                else concat(
                    '{{ says.risk }}', {{ cva.number_text('value_at_risk', 2) }}, '{{ says['in'] }}',
                    cast(horizon_days as string), '{{ says.days_of }}'
                )
            end,
            case
                when churn_probability is null then ''
                else concat(
                    '{{ says.none }}', {{ cva.number_text('100 * churn_probability', 0) }}, '%'
                )
            end
        )
{%- endmacro %}


{#- A text without e-mail addresses, and without what may be the number of a phone, a card or an account: seven
    digits or more, whatever stands between them. Only its beginning, as nobody writes pages before the point. -#}
{% macro masked(text) -%}
{%- set email = '[\\p{L}\\p{N}._%+-]+([@＠]| ?[(\\[{] ?[aA][tT] ?[)\\]}] ?)[\\p{L}\\p{N}-]+([.][\\p{L}\\p{N}-]+)*' -%}
{%- set number = '[+(]*\\p{Nd}([\\s().\\/–-]{0,3}\\p{Nd}){6,}' -%}
{{ cva.replaced(cva.replaced('substring(' ~ text ~ ', 1, 20000)', email, '[email]'), number, '[number]') }}
{%- endmacro %}


{#- The first twenty sentences of a text, masked, as a list: each ends with its mark or the line. -#}
{% macro service_sentences(text) -%}
{{ cva.cut_sentences(cva.masked(text)) }}
{%- endmacro %}


{% macro cut_sentences(text) -%}
{%- set ended = cva.replaced(text, '([.!?…]+)\\s+|([。！？؟।])', '\\1\\2\n') -%}
{{ cva.first_lines(cva.replaced(ended, '\\s*\n\\s*', '\n'), 20) }}
{%- endmacro %}


{#- A sentence as people look at it: not longer than that. -#}
{% macro shortened_sentence(sentence) -%}
case when length({{ sentence }}) > 300 then concat(substring({{ sentence }}, 1, 299), '…') else {{ sentence }} end
{%- endmacro %}
