-- One row per alert: a customer, and the last order that they had when it was raised. The table keeps its own
-- state, in one transaction a run: what an alert said stays, its state and outcome follow until its horizon
-- has passed. A run as of an earlier day than the last, or as of a day to come, changes nothing.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['customer_id', 'last_order_date'],
    on_schema_change='append_new_columns',
    full_refresh=false
) }}
{#- A first run does not read it, and a later one does. #}
-- depends_on: {{ ref('cva', 'int_cva__customer_ids') }}

with features as (select * from {{ ref('cva', 'customer_features') }}),

customer_values as (select * from {{ ref('cva', 'customer_value') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

so_far as (
    {{ cva.alerts_so_far(this, is_incremental()) }}
),

acks as (
    {{ cva.alert_acks() }}
),

run as (
    select as_of_date
    from (select max(as_of_date) as as_of_date from customer_values) as scored
    cross join (select max(as_of_date) as former_date from so_far) as former
    where
        as_of_date >= coalesce(former_date, as_of_date)
        and as_of_date <= {{ cva.add_days('cast(' ~ cva.now() ~ ' as date)', 1) }}
),

customers as (
    select
        features.customer_id,
        run.as_of_date,
        {{- cva.alert_customer_columns() }}
    from features
    inner join customer_values
        on
            features.customer_id = customer_values.customer_id
            and features.as_of_date = customer_values.as_of_date
    inner join run on features.as_of_date = run.as_of_date
),

-- What came of those whose horizon had not passed when last looked at.
live as (
    select
        so_far.*,
        run.as_of_date as now_date,
        {{ cva.add_days('so_far.raised_on', 'so_far.horizon_days') }} as end_date
    from so_far
    cross join run
    where so_far.spend_in_horizon is null
),

bought as (
    select
        live.alert_id,
        min(orders.order_date) as next_order_date,
        max(case when orders.order_date >= live.raised_on then 1 else 0 end) as has_bought,
        sum(case when orders.order_date >= live.raised_on then orders.amount else 0 end) as spend
    from live
    inner join orders
        on
            live.person_id = orders.customer_id
            and orders.order_date > live.last_order_date
            and orders.order_date < live.end_date
            and orders.order_date < live.now_date
    where {{ cva.is_valid_on('orders.cancelled_at', 'live.now_date') }}
    group by live.alert_id
),

followed as (
    select
        live.alert_id,
        live.customer_id,
        live.last_order_date,
        case
            when bought.next_order_date is not null or acks.resolved_on is not null then 'resolved'
            when live.now_date >= live.end_date then 'expired'
            when not ({{ cva.is_profiled('customers.') }}) then 'expired'
            when acks.acted_on is not null then 'acted'
            when live.now_date = live.raised_on then 'new'
            else 'open'
        end as state,
        live.raised_on,
        live.now_date as as_of_date,
        live.horizon_days,
        live.usual_value,
        live.predicted_value,
        live.churn_probability,
        live.money_at_stake,
        live.threshold_value,
        live.days_since_last_order,
        live.gap_mean_days,
        live.reason,
        live.action,
        live.is_marketing,
        customers.has_marketing_consent = 1 as has_marketing_consent,
        live.owner,
        acks.acted_on,
        case
            when bought.has_bought = 1 then true
            when live.now_date >= live.end_date then false
        end as has_bought,
        case when live.now_date >= live.end_date then coalesce(bought.spend, 0) end
            as spend_in_horizon
    from live
    left join bought on live.alert_id = bought.alert_id
    left join acks on live.alert_id = acks.alert_id
    left join customers on live.person_id = customers.customer_id
),

-- Whoever had an alert for this order or a later one is known: an order that is cancelled alerts nobody anew.
known as (
    select person_id, max(last_order_date) as last_order_date from so_far group by person_id
),

usual as (
    select
        *,
        {{ cva.add_days('as_of_date', '-days_since_last_order') }} as last_order_date,
        {{ cva.alert_usual_value() }} as usual_value
    from customers
    where days_since_last_order is not null and {{ cva.is_profiled() }}
),

judged as (
    select
        usual.*,
        {{ cva.alert_money_at_stake() }} as money_at_stake,
        {{ cva.alert_action() }} as action
    from usual
    where coalesce(({{ cva.alert_is_leaving() }}), false)
),

capacity as (
    select {{ cva.setting('cva_alerts_per_week') }} - count(so_far.alert_id) as alerts_left
    from run
    left join so_far on so_far.raised_on > {{ cva.add_days('run.as_of_date', -7) }}
),

ranked as (
    select
        judged.*,
        row_number() over (order by judged.money_at_stake desc, judged.customer_id) as stake_rank
    from judged
    left join known on judged.customer_id = known.person_id
    where
        judged.money_at_stake >= 0.01
        and (known.person_id is null or judged.last_order_date > known.last_order_date)
),

-- As many as the team has time for, from the top: the threshold is what an alert had to exceed.
chosen as (
    select
        ranked.*,
        capacity.alerts_left,
        coalesce(
            max(case when ranked.stake_rank > capacity.alerts_left then ranked.money_at_stake end)
                over (),
            0
        ) as threshold_value
    from ranked
    cross join capacity
),

raised as (
    select
        concat(customer_id, '@', cast(last_order_date as string)) as alert_id,
        customer_id,
        last_order_date,
        'new' as state,
        as_of_date as raised_on,
        as_of_date,
        horizon_days,
        usual_value,
        predicted_value,
        churn_probability,
        money_at_stake,
        threshold_value,
        cast(days_since_last_order as integer) as days_since_last_order,
        gap_mean_days,
        {{ cva.alert_reason() }} as reason,
        action,
        {{ cva.alert_is_marketing() }} as is_marketing,
        has_marketing_consent = 1 as has_marketing_consent,
        {{ cva.alert_owner() }} as owner,
        cast(null as date) as acted_on,
        cast(null as boolean) as has_bought,
        cast(null as decimal(18, 4)) as spend_in_horizon
    from chosen
    where stake_rank <= alerts_left
),

every as (
    select * from followed
    union all
    select * from raised
),

final as (
    select
        {%- for column, type in cva.alert_columns().items() %}
        cast({{ column }} as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from every
)

select * from final
order by raised_on, money_at_stake desc, customer_id
