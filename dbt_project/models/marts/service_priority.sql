-- One row per open ticket, and per review of the last `cva_service_days`: the order in which to answer, by what
-- the shop may lose with the customer times how bad it is. Ties go to the more severe, then to who has waited
-- longer, then by id. Whose value is not known comes after all others, by severity; who is not eligible stands
-- where the mean value at risk of the queue stands.
with queue as (select * from {{ ref('cva', 'int_cva__service_queue') }}),

sentences as (select * from {{ ref('cva', 'int_cva__service_sentences') }}),

vectors as (select text_hash, sentiment from {{ cva.text_vectors() }}),

scores as (select * from {{ ref('cva', 'int_cva__review_scores') }}),

features as (select * from {{ ref('cva', 'customer_features') }}),

customer_values as (select * from {{ ref('cva', 'customer_value') }}),

read_sentences as (
    select
        sentences.text_hash,
        sentences.sentence,
        vectors.sentiment,
        row_number() over (
            partition by sentences.text_hash order by vectors.sentiment, sentences.sentence
        ) as place
    from sentences
    inner join vectors on sentences.sentence_hash = vectors.text_hash
    where vectors.sentiment is not null
),

tones as (
    select
        text_hash,
        cast({{ cva.rounded_sum('sentiment', 9) }} / count(*) as double) as mean_sentiment,
        min(sentiment) as worst_sentiment,
        max(case when place = 1 then sentence end) as sentence
    from read_sentences
    group by text_hash
),

-- The shop's own scale, of ratings before as_of_date.
scale as (
    select min(scores.rating) as lowest, max(scores.rating) as highest
    from scores
    inner join (select distinct as_of_date from queue) as dates
        on scores.review_date < dates.as_of_date
),

waiting as (
    select
        queue.*,
        {{ cva.text_hash('queue.text') }} as text_hash,
        cast({{ cva.days_between('queue.opened_date', 'queue.as_of_date') }} as integer) as age_days,
        (scale.highest - queue.rating) / nullif(scale.highest - scale.lowest, 0) as rating_severity
    from queue
    cross join scale
),

customers as (
    select
        features.customer_id,
        {{ cva.is_profiled('customer_values.') }} as is_profiled,
        {{- cva.alert_customer_columns() }}
    from features
    inner join customer_values
        on
            features.customer_id = customer_values.customer_id
            and features.as_of_date = customer_values.as_of_date
),

usual as (select *, {{ cva.alert_usual_value() }} as usual_value from customers),

staked as (select *, {{ cva.alert_money_at_stake() }} as money_at_stake from usual),

valued as (select *, {{ cva.service_value_at_risk() }} as value_at_risk from staked),

known as (
    select
        waiting.source,
        waiting.id,
        waiting.as_of_date,
        waiting.opened_at,
        waiting.channel,
        waiting.rating,
        waiting.rating_severity,
        waiting.age_days,
        waiting.text_hash,
        waiting.customer_id,
        tones.mean_sentiment,
        tones.worst_sentiment,
        tones.sentence,
        case when valued.is_profiled then valued.value_tier end as value_tier,
        case when valued.is_profiled then valued.horizon_days end as horizon_days,
        case when valued.is_profiled then valued.churn_probability end as churn_probability,
        case when valued.is_profiled then valued.value_at_risk end as value_at_risk,
        coalesce(not valued.is_profiled, false) as is_not_profiled
    from waiting
    left join tones on waiting.text_hash = tones.text_hash
    left join valued on waiting.customer_id = valued.customer_id
),

toned as (select *, {{ cva.service_tone() }} as sentiment from known),

judged as (select *, {{ cva.service_severity() }} as severity from toned),

weighed as (
    select
        *,
        case
            when is_not_profiled then avg(cast(value_at_risk as decimal(28, 6))) over ()
            else value_at_risk
        end * severity as weight
    from judged
),

final as (
    select
        source,
        id,
        customer_id,
        as_of_date,
        cast(
            row_number() over (
                order by
                    weight desc nulls last,
                    severity desc,
                    opened_at,
                    id nulls last,
                    source,
                    customer_id,
                    text_hash
            ) as integer
        ) as priority_rank,
        cast(value_at_risk * severity as double) as priority,
        opened_at,
        age_days,
        channel,
        value_tier,
        cast(value_at_risk as double) as value_at_risk,
        churn_probability,
        rating,
        cast(sentiment as double) as sentiment,
        cast(severity as double) as severity,
        {{ cva.shortened_sentence('sentence') }} as sentence,
        {{ cva.service_reason() }} as reason
    from weighed
)

select * from final
