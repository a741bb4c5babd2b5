-- One row per customer and text of their last five reviews, as customer_features would be if that text, or one sentence
-- of it, had not been written: by the same SQL. The rating stays.
{{ config(materialized='ephemeral') }}
{%- set components = range(1, 17) %}
{%- set keys = ['customer_id', 'as_of_date', 'text_place', 'sentence_number'] %}

with reviews as (
    select *, {{ cva.text_place() }} as place
    from ({{ cva.at_each_date(ref('cva', 'int_cva__review_scores'), 'review_date') }})
),

removals as (select * from {{ ref('cva', 'int_cva__text_removals') }}),

vectors as (select text_hash, sentiment, token_count from {{ cva.text_vectors() }}),

components as (select * from {{ ref('cva', 'int_cva__text_components') }}),

features as (select * from {{ ref('cva', 'customer_features') }}),

-- 0 stands for the whole text.
variants as (
    select
        customer_id,
        as_of_date,
        place as text_place,
        0 as sentence_number,
        cast(null as string) as rest_hash
    from reviews
    where text_hash is not null and place <= {{ cva.reasoned_texts() }}
    union all
    select
        reviews.customer_id,
        reviews.as_of_date,
        reviews.place as text_place,
        removals.sentence_number,
        removals.rest_hash
    from reviews
    inner join removals on reviews.text_hash = removals.text_hash
    where reviews.place <= {{ cva.reasoned_texts() }}
),

changed as (
    select
        variants.customer_id,
        variants.as_of_date,
        variants.text_place,
        variants.sentence_number,
        reviews.review_date,
        reviews.review_id,
        reviews.rating,
        case
            when reviews.place = variants.text_place then variants.rest_hash else reviews.text_hash
        end as text_hash
    from variants
    inner join reviews
        on
            variants.customer_id = reviews.customer_id
            and variants.as_of_date = reviews.as_of_date
),

aged as (
    select
        changed.customer_id,
        changed.as_of_date,
        changed.text_place,
        changed.sentence_number,
        cast({{ cva.days_between('changed.review_date', 'changed.as_of_date') }} as integer)
            as age_days,
        changed.review_date,
        coalesce(changed.review_id, '') as review_id,
        coalesce(changed.text_hash, '') as text_hash,
        changed.rating,
        vectors.sentiment,
        vectors.token_count
        {%- for k in components %},
        components.text_{{ k }}
        {%- endfor %}
    from changed
    left join vectors on changed.text_hash = vectors.text_hash
    left join components on changed.text_hash = components.text_hash
),

others as ({{ cva.review_features('aged', keys) }}),

final as (
    select
        others.text_place,
        others.sentence_number,
        features.customer_id,
        features.as_of_date
        {%- for feature in cva.features_on() %}
        {%- if feature.family == 'reviews' and not feature.get('model') %}
        {%- set column, absent = 'others.' ~ feature.name, feature.get('if_absent') %},
        cast({{ column if absent is none else 'coalesce(' ~ column ~ ', ' ~ absent ~ ')' }} as double)
            as {{ feature.name }}
        {%- else %},
        features.{{ feature.name }}
        {%- endif %}
        {%- endfor %}
    from features
    inner join others
        on
            features.customer_id = others.customer_id
            and features.as_of_date = others.as_of_date
)

select * from final
