{#- The features of reviews over a relation of them, by its columns `keys`: it has age_days, review_date, review_id,
    text_hash, rating, sentiment, token_count and text_1 to text_16. Sums are over exact or rounded terms, and the
    last review is the last in a total order: the same bytes in any row order and thread count. -#}
{% macro review_features(rows, keys) %}
{%- set places = {'rating': 6, 'sentiment': 9} %}
{%- set components = range(1, 17) %}
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        reviews_count,
        days_since_last_review,
        {%- for name in places %}
        {{ name }}_sum / nullif({{ name }}_count, 0) as {{ name }}_mean,
        {{ name }}_last,
        {{ name }}_min,
        (
            {{ name }}_age_sum * cast({{ name }}_sum as double)
            - {{ name }}_count * cast({{ name }}_ages as double)
        ) / nullif(
            {{ name }}_count * {{ name }}_age_squares
            - {{ name }}_age_sum * {{ name }}_age_sum, 0
        ) as {{ name }}_trend_rate,
        {%- endfor %}
        negative_reviews_count / nullif(sentiment_count, 0) as negative_review_rate,
        token_count / nullif(texts_count, 0) as review_mean_tokens
        {%- for k in components %},
        text_{{ k }}
        {%- endfor %}
    from (
        select
            {%- for key in keys %}
            {{ key }},
            {%- endfor %}
            count(*) as reviews_count,
            min(age_days) as days_since_last_review,
            {%- for name in places %}
            count({{ name }}) as {{ name }}_count,
            {{ cva.rounded_sum(name, places[name]) }} as {{ name }}_sum,
            {{ cva.rounded_sum(name ~ ' * age_days', places[name]) }} as {{ name }}_ages,
            sum(case when {{ name }} is not null then age_days end) as {{ name }}_age_sum,
            sum(case when {{ name }} is not null then age_days * age_days end)
                as {{ name }}_age_squares,
            min({{ name }}) as {{ name }}_min,
            max_by(
                {{ name }},
                case when {{ name }} is not null then (review_date, review_id, text_hash, {{ name }}) end
            ) as {{ name }}_last,
            {%- endfor %}
            count(case when sentiment < 0 then 1 end) as negative_reviews_count,
            count(token_count) as texts_count,
            sum(token_count) as token_count
            {%- for k in components %},
            {{ cva.rounded_sum('text_' ~ k, 6) }} / nullif(count(text_{{ k }}), 0) as text_{{ k }}
            {%- endfor %}
        from {{ rows }}
        group by {{ keys | join(', ') }}
    ) as sums
{%- endmacro %}
