-- One row per campaign and variant that reached somebody before as_of_date: what it cost, what those it reached
-- ordered within `cva_response_days` of their first touch and, where some were left alone, what it changed.
-- Who was touched too lately to tell is counted and not judged; who is a control is so by their first row.
{%- set response_days = cva.setting('cva_response_days') %}

with touches as (
    select
        campaign_id,
        customer_id,
        as_of_date,
        touched_at,
        touched_date,
        cost,
        coalesce(is_control, false) as is_control,
        coalesce(variant, '') as variant,
        coalesce(touch_id, '') as touch_id
    from ({{ cva.at_each_date(ref('cva', 'stg_cva__marketing_touches'), 'touched_date') }})
    where reject_reason is null and campaign_id is not null
),

campaigns as (
    select * from {{ ref('cva', 'stg_cva__campaigns') }} where reject_reason is null
),

orders as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__orders_valid'), 'order_date') }})
    where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
),

people as (
    select
        campaign_id,
        customer_id,
        as_of_date,
        min_by(is_control, (touched_at, is_control, variant, touch_id)) as is_control,
        min_by(variant, (touched_at, is_control, variant, touch_id)) as first_variant,
        min(touched_at) as first_at,
        min(touched_date) as first_date,
        max(touched_date) as last_date,
        count(case when not touches.is_control then 1 end) as touches_count,
        sum(case when not touches.is_control then cost end) as cost
    from touches
    group by campaign_id, customer_id, as_of_date
),

judged as (
    select
        people.campaign_id,
        people.customer_id,
        count(orders.order_id) as orders_count,
        cast(coalesce(sum(orders.amount), 0) as decimal(18, 4)) as spend
    from people
    left join orders
        on
            people.customer_id = orders.customer_id
            and orders.ordered_at >= people.first_at
            and {{ cva.days_between('people.first_date', 'orders.order_date') }} <= {{ response_days }}
    where {{ cva.days_between('people.first_date', 'people.as_of_date') }} > {{ response_days }}
    group by people.campaign_id, people.customer_id
),

grouped as (
    select
        people.campaign_id,
        people.as_of_date,
        people.is_control,
        case when not people.is_control then nullif(people.first_variant, '') end as variant,
        min(people.first_date) as first_touch_date,
        max(people.last_date) as last_touch_date,
        count(*) as customers_count,
        sum(people.touches_count) as touches_count,
        sum(people.cost) as cost,
        count(judged.customer_id) as judged_count,
        count(case when judged.orders_count > 0 then 1 end) as buyers_count,
        cast(sum(judged.spend) as double) as spend,
        cast(
            sum(cast(cast(judged.spend as double) * cast(judged.spend as double) as decimal(38, 4))) as double
        ) as spend_squares
    from people
    left join judged
        on
            people.campaign_id = judged.campaign_id
            and people.customer_id = judged.customer_id
    group by 1, 2, 3, 4
),

means as (
    select
        *,
        buyers_count / cast(nullif(judged_count, 0) as double) as response_rate,
        spend / nullif(judged_count, 0) as spend_mean,
        case
            when judged_count > 1
                then greatest(spend_squares - spend * spend / judged_count, 0)
                    / (judged_count - 1) / judged_count
        end as mean_variance
    from grouped
),

compared as (
    select
        reached.*,
        alone.judged_count as controls_judged_count,
        alone.response_rate as control_response_rate,
        alone.spend_mean as control_spend_mean,
        reached.spend_mean - alone.spend_mean as lift,
        sqrt(reached.mean_variance + alone.mean_variance) as lift_error
    from means as reached
    left join means as alone
        on
            reached.campaign_id = alone.campaign_id
            and alone.is_control
    where not reached.is_control
),

final as (
    select
        compared.campaign_id,
        compared.variant,
        campaigns.name as campaign_name,
        compared.as_of_date,
        campaigns.starts_at,
        campaigns.ends_at,
        cast(campaigns.budget as decimal(18, 4)) as budget,
        compared.first_touch_date,
        compared.last_touch_date,
        cast(compared.customers_count as bigint) as customers_count,
        cast(compared.touches_count as bigint) as touches_count,
        cast(compared.cost as decimal(28, 4)) as cost,
        cast(compared.judged_count as bigint) as judged_customers_count,
        compared.response_rate,
        cast(compared.spend_mean as double) as spend_per_customer,
        cast(coalesce(compared.controls_judged_count, 0) as bigint) as judged_controls_count,
        compared.control_response_rate,
        cast(compared.control_spend_mean as double) as control_spend_per_customer,
        cast(compared.lift as double) as lift_per_customer,
        cast(compared.lift - 1.281552 * compared.lift_error as double) as lift_per_customer_p10,
        cast(compared.lift + 1.281552 * compared.lift_error as double) as lift_per_customer_p90,
        cast(compared.lift * compared.judged_count as double) as incremental_spend,
        cast(
            compared.lift * compared.judged_count * {{ cva.setting('cva_margin') }}
            - coalesce(cast(compared.cost as double), 0) as double
        ) as incremental_profit
    from compared
    left join campaigns on compared.campaign_id = campaigns.campaign_id
)

select * from final
