-- One row per product, category or the whole shop, month, and aspect that was ever spoken of there: in how many of its
-- reviews, and in what tone. A review counts once for an aspect, by the mean tone of its sentences about it.
{%- if not cva.is_insight_read() %}
select
    cast(null as string) as level,
    cast(null as string) as category,
    cast(null as string) as product_id,
    cast(null as string) as aspect,
    cast(null as date) as month_date,
    cast(null as date) as as_of_date,
    cast(null as bigint) as reviews_count,
    cast(null as bigint) as mentions_count,
    cast(null as double) as mention_share,
    cast(null as double) as mention_share_p10,
    cast(null as double) as mention_share_p90,
    cast(null as double) as mean_sentiment,
    cast(null as double) as mean_sentiment_p10,
    cast(null as double) as mean_sentiment_p90
from (select 1) as nothing
where 1 = 0
{%- else %}
with sentences as (select * from ({{ cva.insight_reviews() }})),

spoken as (select * from ({{ cva.insight_levels('sentences') }})),

reviews as (
    select
        level,
        category,
        product_id,
        {{ cva.month_of('review_date') }} as month_date,
        max(as_of_date) as as_of_date,
        count(distinct review_key) as reviews_count
    from spoken
    group by 1, 2, 3, 4
),

mentions as (
    select
        level,
        category,
        product_id,
        {{ cva.month_of('review_date') }} as month_date,
        aspect,
        review_key,
        cast({{ cva.rounded_sum('sentiment', 9) }} as double) / nullif(count(sentiment), 0) as sentiment
    from spoken
    where aspect is not null
    group by 1, 2, 3, 4, 5, 6
),

counted as (
    select
        level,
        category,
        product_id,
        month_date,
        aspect,
        count(*) as mentions_count,
        count(sentiment) as toned_count,
        cast({{ cva.rounded_sum('sentiment', 9) }} as double) as tone_sum,
        cast({{ cva.rounded_sum('sentiment * sentiment', 9) }} as double) as tone_squares
    from mentions
    group by 1, 2, 3, 4, 5
),

known as (select distinct level, category, product_id, aspect from counted),

joined as (
    select
        reviews.*,
        known.aspect,
        coalesce(counted.mentions_count, 0) as mentions_count,
        counted.tone_sum / nullif(counted.toned_count, 0) as mean_sentiment,
        case
            when counted.toned_count > 1
                then sqrt(
                    greatest(
                        counted.tone_squares - counted.tone_sum * counted.tone_sum / counted.toned_count, 0
                    ) / (counted.toned_count - 1) / counted.toned_count
                )
        end as tone_error
    from reviews
    inner join known
        on
            reviews.level = known.level
            and reviews.category is not distinct from known.category
            and reviews.product_id is not distinct from known.product_id
    left join counted
        on
            reviews.level = counted.level
            and reviews.category is not distinct from counted.category
            and reviews.product_id is not distinct from counted.product_id
            and reviews.month_date = counted.month_date
            and known.aspect = counted.aspect
),

final as (
    select
        level,
        category,
        product_id,
        aspect,
        month_date,
        as_of_date,
        cast(reviews_count as bigint) as reviews_count,
        cast(mentions_count as bigint) as mentions_count,
        mentions_count / cast(nullif(reviews_count, 0) as double) as mention_share,
        {{ cva.share_limit('mentions_count', 'reviews_count', -1) }} as mention_share_p10,
        {{ cva.share_limit('mentions_count', 'reviews_count', 1) }} as mention_share_p90,
        mean_sentiment,
        case
            when tone_error is not null then greatest(mean_sentiment - 1.281552 * tone_error, -1)
        end as mean_sentiment_p10,
        case
            when tone_error is not null then least(mean_sentiment + 1.281552 * tone_error, 1)
        end as mean_sentiment_p90
    from joined
)

select * from final
{%- endif %}
