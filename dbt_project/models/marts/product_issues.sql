-- One row per thing that got worse, and up to five of the sentences that say so, the worst tone first: complaints of the
-- last 30 days about an aspect, beside those of the 180 days before. A complaint is a review with a
-- sentence about it whose tone is below 0.
{%- if not cva.is_insight_read() %}
select
    cast(null as integer) as issue_rank,
    cast(null as string) as level,
    cast(null as string) as category,
    cast(null as string) as product_id,
    cast(null as string) as aspect,
    cast(null as date) as as_of_date,
    cast(null as bigint) as reviews_count,
    cast(null as bigint) as complaints_count,
    cast(null as double) as complaint_share,
    cast(null as bigint) as before_reviews_count,
    cast(null as bigint) as before_complaints_count,
    cast(null as double) as before_complaint_share,
    cast(null as double) as change,
    cast(null as double) as change_p10,
    cast(null as double) as change_p90,
    cast(null as double) as p_value,
    cast(null as double) as adjusted_p_value,
    cast(null as integer) as sentence_rank,
    cast(null as string) as review_id,
    cast(null as string) as customer_id,
    cast(null as timestamp) as reviewed_at,
    cast(null as string) as sentence,
    cast(null as double) as sentiment
from (select 1) as nothing
where 1 = 0
{%- else %}
with sentences as (select * from ({{ cva.insight_reviews() }})),

spoken as (
    select *, {{ cva.days_between('review_date', 'as_of_date') }} <= {{ cva.issue_days() }} as is_new
    from ({{ cva.insight_levels('sentences') }})
    where {{ cva.days_between('review_date', 'as_of_date') }} <= {{ 7 * cva.issue_days() }}
),

reviews as (
    select
        level,
        category,
        product_id,
        max(as_of_date) as as_of_date,
        count(distinct case when is_new then review_key end) as reviews_count,
        count(distinct case when not is_new then review_key end) as before_reviews_count
    from spoken
    group by 1, 2, 3
),

complaints as (
    select
        level,
        category,
        product_id,
        aspect,
        count(distinct case when is_new then review_key end) as complaints_count,
        count(distinct case when not is_new then review_key end) as before_complaints_count
    from spoken
    where aspect is not null and sentiment < 0
    group by 1, 2, 3, 4
),

shares as (
    select
        reviews.*,
        complaints.aspect,
        complaints.complaints_count,
        complaints.before_complaints_count,
        complaints.complaints_count / cast(reviews.reviews_count as double) as complaint_share,
        complaints.before_complaints_count / cast(reviews.before_reviews_count as double)
            as before_complaint_share,
        (complaints.complaints_count + complaints.before_complaints_count)
        / cast(reviews.reviews_count + reviews.before_reviews_count as double) as pooled_share
    from complaints
    inner join reviews
        on
            complaints.level = reviews.level
            and complaints.category is not distinct from reviews.category
            and complaints.product_id is not distinct from reviews.product_id
    where
        complaints.complaints_count >= {{ cva.least_complaints() }}
        and reviews.reviews_count >= {{ cva.least_reviews() }}
        and reviews.before_reviews_count >= {{ cva.least_reviews() }}
),

-- All that are judged count for the correction, those that got better too.
tested as (
    select
        *,
        (complaint_share - before_complaint_share) / nullif(
            sqrt(
                pooled_share * (1 - pooled_share)
                * (1 / cast(reviews_count as double) + 1 / cast(before_reviews_count as double))
            ),
            0
        ) as z,
        sqrt(
            complaint_share * (1 - complaint_share) / reviews_count
            + before_complaint_share * (1 - before_complaint_share) / before_reviews_count
        ) as change_error
    from shares
),

judged as (
    select
        *,
        case
            when z > 0 then {{ cva.normal_tail('z') }}
            when z <= 0 then 1 - {{ cva.normal_tail('(-z)') }}
            else 1
        end as p_value
    from tested
),

ordered as (
    select
        *,
        row_number() over (order by p_value, level, category, product_id, aspect) as place,
        count(*) over () as tests_count
    from judged
),

adjusted as (
    select
        *,
        min(least(p_value * tests_count / place, 1)) over (
            order by place desc rows between unbounded preceding and current row
        ) as adjusted_p_value
    from ordered
),

issues as (
    select
        *,
        row_number() over (
            order by complaint_share - before_complaint_share desc, place
        ) as issue_rank
    from adjusted
    where adjusted_p_value <= {{ cva.issue_rate() }} and complaint_share > before_complaint_share
),

worst as (
    select
        *,
        row_number() over (
            partition by level, category, product_id, aspect
            order by sentiment, reviewed_at desc, review_key, sentence_number
        ) as sentence_rank
    from spoken
    where is_new and aspect is not null and sentiment < 0
),

final as (
    select
        cast(issues.issue_rank as integer) as issue_rank,
        issues.level,
        issues.category,
        issues.product_id,
        issues.aspect,
        issues.as_of_date,
        cast(issues.reviews_count as bigint) as reviews_count,
        cast(issues.complaints_count as bigint) as complaints_count,
        issues.complaint_share,
        cast(issues.before_reviews_count as bigint) as before_reviews_count,
        cast(issues.before_complaints_count as bigint) as before_complaints_count,
        issues.before_complaint_share,
        issues.complaint_share - issues.before_complaint_share as change,
        issues.complaint_share - issues.before_complaint_share - 1.281552 * issues.change_error
            as change_p10,
        issues.complaint_share - issues.before_complaint_share + 1.281552 * issues.change_error
            as change_p90,
        issues.p_value,
        issues.adjusted_p_value,
        cast(worst.sentence_rank as integer) as sentence_rank,
        worst.review_id,
        worst.customer_id,
        worst.reviewed_at,
        worst.sentence,
        worst.sentiment
    from issues
    inner join worst
        on
            issues.level = worst.level
            and issues.category is not distinct from worst.category
            and issues.product_id is not distinct from worst.product_id
            and issues.aspect = worst.aspect
    where worst.sentence_rank <= 5
)

select * from final
{%- endif %}
