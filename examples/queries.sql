-- Example questions for each published table. A test runs them all on the sample shop.
--     duckdb -readonly cva_demo/published/current/cva.duckdb < examples/queries.sql


-- # customer_value: what is each customer expected to spend, how sure is that, who is leaving

-- Who are the hundred customers to look after first?
select customer_id, predicted_value, predicted_value_p10, predicted_value_p90, reason_1
from customer_value
where score_status = 'ok'
order by predicted_value desc, customer_id
limit 100;

-- How much will all spend together, and which share of it comes from each tier?
select
    value_tier,
    count(*) as customers_count,
    round(sum(predicted_value), 2) as predicted_value,
    round(sum(predicted_value) / sum(sum(predicted_value)) over (), 3) as share
from customer_value
group by value_tier
order by value_tier;

-- Who was worth much, and is leaving?
select customer_id, historic_value, churn_probability, reason_1
from customer_value
where churn_risk = 'high' and score_status <> 'not_eligible'
order by historic_value desc, customer_id
limit 20;

-- Who is overdue against the own rhythm, and still likely to come back?
select customer_id, purchase_probability, predicted_value_if_purchase
from customer_value
where is_overdue and purchase_probability > 0.3 and score_status <> 'not_eligible'
order by predicted_value_if_purchase desc, customer_id
limit 20;

-- Whose spend is hardest to foresee? The interval is wide beside the mean.
select customer_id, predicted_value, predicted_value_p90 - predicted_value_p10 as width
from customer_value
where predicted_value > 10 and score_status <> 'not_eligible'
order by width / predicted_value desc, customer_id
limit 20;

-- How many customers are scored, and why are the others not?
select score_status, count(*) as customers_count
from customer_value
group by score_status
order by customers_count desc;

-- Which file scored, and when?
select distinct model_version, model_hash, as_of_date, horizon_days from customer_value;


-- # customer_segments: which tier, stage and RFM segment

-- How many customers is each stage, and how much are they expected to spend?
select
    lifecycle_stage,
    count(*) as customers_count,
    round(avg(purchase_probability), 3) as purchase_probability,
    round(sum(predicted_value), 2) as predicted_value
from customer_segments
group by lifecycle_stage
order by predicted_value desc;

-- Who is high in value and at risk, with how many of the usual gaps waited?
select customer_id, rfm_segment, days_since_last_order, round(gaps_waited, 1) as gaps_waited, historic_value
from customer_segments
where value_tier = 'high' and lifecycle_stage in ('cooling', 'at_risk')
order by historic_value desc, customer_id
limit 20;


-- # next_actions: what to do next

-- How many customers get which action, and how many of them may be written to?
select action, channel, count(*) as customers_count, count(*) filter (is_allowed) as allowed_count
from next_actions
group by all
order by customers_count desc, action;


-- # customer_value_history: what was said before

-- Which model said what of whom, on which date?
select as_of_date, model_version, trained_until, count(*) as customers_count, round(sum(predicted_value), 2) as predicted_value
from customer_value_history
group by all
order by as_of_date;


-- # customer_value_path: what is expected within other days than the horizon

-- How much do all spend together within a week, a quarter, a year, and how many of them order?
select
    days,
    round(sum(predicted_value), 2) as predicted_value,
    round(sum(purchase_probability)) as buyers
from customer_value_path
group by days
order by days;

-- How much is each stage expected to spend within a year?
select lifecycle_stage, round(sum(path.predicted_value), 2) as predicted_value
from customer_value_path as path
inner join customer_segments using (customer_id)
where days = 365
group by lifecycle_stage
order by predicted_value desc;


-- # segment_value_path: what segments are expected to bring, month by month

-- What does the shop expect of its customers in each month of the year ahead?
select month_ahead, until_date, round(predicted_value, 2) as predicted_value,
    round(cumulative_value_p10, 2) as at_least, round(cumulative_value_p90, 2) as at_most
from segment_value_path
where segment_kind = 'all'
order by month_ahead;


-- # churn_alerts: who is leaving against their own rhythm

-- Which alerts are open, and what is at stake?
select alert_id, money_at_stake, reason, action, owner is not null as has_owner
from churn_alerts
where state in ('new', 'open')
order by money_at_stake desc, alert_id
limit 20;


-- # service_priority: whom to answer first

-- Which tickets and reviews come first, and what do they complain of?
select priority_rank, source, id, round(value_at_risk, 2) as value_at_risk, round(severity, 2) as severity, sentence, reason
from service_priority
order by priority_rank
limit 20;


-- # customer_value_explain: why

-- What adds to, and takes from, the prediction of the best customer, in money?
select family, feature, value, reference_value, round(attribution, 2) as attribution
from customer_value_explain
where customer_id = (
    select customer_id
    from customer_value
    where score_status <> 'not_eligible'
    order by predicted_value desc, customer_id
    limit 1
)
order by rank;

-- Which family moves the prediction of most customers most?
with families as (
    select distinct customer_id, family, family_attribution from customer_value_explain
),

strongest as (
    select
        customer_id,
        family,
        row_number() over (
            partition by customer_id order by abs(family_attribution) desc, family
        ) as place
    from families
)

select family, count(*) as customers_count
from strongest
where place = 1
group by family
order by customers_count desc;


-- # cva_feature_importance: what moves predictions most

-- Which families matter, and how sure is that?
select
    family,
    round(mean_absolute_attribution, 2) as mean_absolute_attribution,
    round(mean_absolute_attribution_lower, 2) as lower_bound,
    round(mean_absolute_attribution_upper, 2) as upper_bound
from cva_feature_importance
where level = 'family'
order by rank;

-- Which ten features matter, in words?
select importance.feature, catalog.label, round(importance.mean_absolute_attribution, 2) as money
from cva_feature_importance as importance
inner join cva_feature_catalog as catalog on catalog.feature = importance.feature
where importance.level = 'feature'
order by importance.rank
limit 10;


-- # cva_drift: whether customers are those that the model learned from

-- Which inputs are furthest from the training, measured in thresholds?
select
    input,
    metric,
    round(value, 3) as value,
    round(threshold, 3) as threshold,
    round(importance, 3) as importance,
    is_anomaly
from cva_drift
order by value / threshold desc, input, metric
limit 20;


-- # cva_live_performance: what was predicted against what came

-- Did the totals come as they were forecast?
select
    as_of_date,
    ends_on,
    round(predicted_value, 2) as predicted_value,
    round(predicted_value_p05, 2) as lower_bound,
    round(predicted_value_p95, 2) as upper_bound,
    coalesce(cast(round(realised_value, 2) as varchar), 'to come') as realised_value,
    case
        when not has_passed then 'to come'
        when is_total_within then 'within'
        when not is_total_within then 'beyond'
        else 'no bounds'
    end as outcome
from cva_live_performance
order by as_of_date desc
limit 20;

-- How sure was each model of a customer, and was it right to be?
select
    model_version,
    count(*) as horizons_count,
    count(*) filter (has_passed) as passed_count,
    round(avg(expected_absolute_error), 2) as expected_error,
    coalesce(cast(round(avg(mean_absolute_error), 2) as varchar), 'to come') as error,
    coalesce(cast(round(avg(interval_coverage), 3) as varchar), 'to come') as interval_coverage,
    coalesce(cast(round(avg(ngini), 3) as varchar), 'to come') as ngini
from cva_live_performance
group by model_version
order by model_version;


-- # customer_features: what is known of each customer

-- How do the tiers differ?
select
    value.value_tier,
    round(avg(features.orders_count), 1) as orders_mean,
    round(avg(features.days_since_last_order), 0) as days_since_last_order_mean,
    round(avg(features.order_mean_amount), 2) as order_amount_mean
from customer_features as features
inner join customer_value as value on value.customer_id = features.customer_id
group by value.value_tier
order by value.value_tier;

-- Who wrote a harsh review and is worth keeping?
select features.customer_id, features.sentiment_min, value.predicted_value
from customer_features as features
inner join customer_value as value on value.customer_id = features.customer_id
where features.sentiment_min < 0 and value.score_status <> 'not_eligible'
order by value.predicted_value desc, features.customer_id
limit 20;


-- # cva_feature_catalog: what each feature means

-- What does the model learn from, and what is kept for auditing alone?
select reason_family, count(*) filter (where is_model_input) as learned, count(*) as all_features
from cva_feature_catalog
group by reason_family
order by reason_family;


-- # cva_rejects: which rows were not used

-- Which share of each table was not used, and why?
select table_name, reason, row_count, round(row_count / raw_row_count, 4) as share
from cva_rejects
where row_count > 0
order by row_count desc, table_name, reason;


-- # cva_text_statuses: how the reviews could be read

-- How many reviews say something that could be read?
select
    case status when '' then 'fine' else status end as status,
    review_count,
    text_count
from cva_text_statuses
order by review_count desc;


-- # cohort_retention: who ordered again in the months after the first order

-- Which share of each month's new customers ordered again, by months since?
select first_month, age_month, customers_count, round(retention_rate, 3) as retention_rate
from cohort_retention
where age_month between 1 and 12 and is_complete
order by first_month, age_month;


-- # cohort_economics: what cohorts bring by age, and will bring

-- What has a customer brought by each month of age, whatever the cohort?
select
    age_month,
    sum(customers_count) as customers_count,
    round(sum(margin) / sum(customers_count), 2) as ltv
from cohort_economics
where is_complete
group by age_month
order by age_month;

-- What will this year's cohorts have brought a year from now, and how sure is that?
select first_month, acquisition_channel, first_category, revenue, revenue_p10, revenue_p90
from cohort_economics
where days_ahead = 365
order by first_month desc, acquisition_channel, first_category
limit 12;


-- # channel_economics: what channels cost and bring

-- Which channel brings most per customer, so far, in the first year and to come?
select acquisition_channel, customers_count, ltv, ltv_12_months, clv_per_customer
from channel_economics
order by ltv desc;


-- # customer_economics: what each customer brought and cost

-- Who costs more than they bring, refunds and all?
select customer_id, revenue, margin, refund_amount, contribution
from customer_economics
order by contribution, customer_id
limit 20;


-- # campaign_results: what campaigns cost and changed

-- Which campaigns pay, beside customers who were left alone?
select campaign_id, variant, customers_count, cost, lift_per_customer, lift_per_customer_p10, lift_per_customer_p90, incremental_profit
from campaign_results
order by incremental_profit desc nulls last, campaign_id, variant;


-- # review_insights: what each sentence of the reviews speaks of (with cva_review_insights)

-- Which sentences are the angriest about delivery?
select sentence, sentiment, confidence, product_id, reviewed_at
from review_insights
where aspect = 'delivery' and sentiment < 0
order by sentiment, review_id, sentence_number
limit 20;


-- # aspect_trends: how often, and in what tone, reviews speak of an aspect

-- How does the tone about each aspect change by month?
select aspect, month_date, mentions_count, mention_share, mean_sentiment, mean_sentiment_p10, mean_sentiment_p90
from aspect_trends
where level = 'shop'
order by aspect, month_date;


-- # product_issues: what reviews complain of more than before

-- What got worse in the last 30 days, and how do customers say it?
select issue_rank, level, coalesce(product_id, category) as of_what, aspect, complaint_share, before_complaint_share, adjusted_p_value, sentence
from product_issues
order by issue_rank, sentence_rank;


-- # customer_value_text_reasons: which sentence moved a prediction (with cva_text_reasons)

-- Which sentences lowered what a customer is expected to spend the most?
select customer_id, sentence, review_date, predicted_value, value_change
from customer_value_text_reasons
where level = 'sentence' and reason_rank = 1
order by value_change, customer_id
limit 20;


-- # recommendations: what to offer next (with cva recommend)

-- Which product to show each customer first, and what to say?
select customer_id, product_id, reason, probability
from recommendations
where rank = 1
order by probability desc nulls last, customer_id;


-- # similar_products: what goes with a product (with cva recommend)

-- What to show beside each product?
select product_id, list(similar_product_id order by rank) as shown_beside
from similar_products
where rank <= 3
group by product_id
order by product_id;


-- # customer_category_affinity: which categories a customer buys (with cva recommend)

-- Whom to write to about a category?
select category, customer_id, affinity, last_bought_date
from customer_category_affinity
where rank = 1 and affinity > 0.3
order by category, affinity desc, customer_id;
