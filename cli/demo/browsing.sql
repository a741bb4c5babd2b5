-- The visits and the marketing of the sample shop, from shop.sql's tables. Some visits lead to an
-- order, others come of interest alone. The variable link is the share of the variance of
-- customers' log spend a day that their interest knows; is_late_sign_in says that nobody is named
-- before the checkout. Marketing reaches who agreed to it, and changes nothing that they do.

create table interests as
with levels as (
    select *, (ln(orders_per_day) + log_level)::decimal(18, 6) as log_spend
    from traits
),

moments as (
    select
        avg(log_spend) as mean,
        sqrt(avg(log_spend * log_spend) - avg(log_spend) * avg(log_spend)) as deviation
    from levels
)

select
    levels.*,
    sqrt(getvariable('link')) * (log_spend - mean) / deviation
        + sqrt(1 - getvariable('link')) * normal('interest', draw_no, 0) as interest,
    0.025 * exp(0.8 * interest) as visits_per_day
from levels, moments;

-- One row per visit of a customer, before sign-up too; order_ix is that of the order it ends in, at
-- ends_at.
create table visits as
with idle as (
    select
        draw_no,
        visit_ix,
        86400 / visits_per_day * exponential('visit', draw_no, visit_ix) as gap_seconds
    from interests,
        range(20 + (2 * visits_per_day * 31 * getvariable('months'))::bigint) as t (visit_ix)
),

timed as (
    select
        idle.draw_no,
        'idle' as kind,
        visit_ix as ix,
        null::bigint as order_ix,
        null::timestamp as ends_at,
        signed_up_at + to_seconds(
            (sum(gap_seconds) over (partition by draw_no order by visit_ix))::bigint
        ) as started_at
    from idle
    inner join interests using (draw_no)
    union all
    select
        draw_no,
        'first',
        visit_ix,
        null,
        null,
        signed_up_at - days_long(8 * exponential('before', draw_no, visit_ix)) - interval 10 minute
    from interests, range(floor(1.5 * exponential('first visits', draw_no, 0))::bigint) as t (visit_ix)
    union all
    -- The last of an order's visits ends in it, the others lie some days before.
    select
        draw_no,
        'order',
        10 * order_ix + visit_ix,
        if(visit_ix = 0, order_ix, null),
        if(visit_ix = 0, ordered_at, null),
        ordered_at - if(
            visit_ix = 0,
            interval 10 minute,
            days_long(0.2 + 5 * exponential('lead', draw_no, 10 * order_ix + visit_ix))
        )
    from shop_orders,
        range(1 + least(4, floor(1.2 * exponential('visits', draw_no, order_ix)))::bigint) as t (visit_ix)
    where channel <> 'store'
)

select
    *,
    concat_ws('-', draw_no, kind, ix) as visit_key,
    id('S', row_number() over (order by started_at, draw_no, kind, ix), 8) as session_id,
    uniform('device', visit_key, 0) < 0.2 as is_second_device,
    uniform('signed in', visit_key, 0) < 0.6 as is_signed_in
from timed
where started_at >= getvariable('shop_start') - interval 30 day
    and started_at < getvariable('shop_end');

-- What is looked at, in order: the lines of the order, else what suits the customer's taste.
create table looks as
with wandering as (
    select
        visits.*,
        look_ix,
        case
            when uniform('look', visit_key, look_ix) < 0.65 then first_taste_no
            when uniform('look', visit_key, look_ix) < 0.85 then second_taste_no
            else draw_category(uniform('any look', visit_key, look_ix))
        end as category_no,
        1 + floor(19 * uniform('product', visit_key, look_ix))::bigint as price_rank
    from visits
    inner join interests using (draw_no),
        range(least(12, 1 + floor(2.5 * exponential('looks', visit_key, 0)))::bigint) as t (look_ix)
    where order_ix is null
)

select wandering.* exclude (category_no, price_rank), products.product_id, products.category
from wandering
inner join products
    on products.category_no = wandering.category_no and products.price_rank = wandering.price_rank
union all
select
    visits.*,
    row_number() over (partition by session_id order by lines.product_id) - 1 as look_ix,
    lines.product_id,
    products.category
from visits
inner join shop_orders using (draw_no, order_ix)
inner join lines using (order_id)
inner join products using (product_id);

-- One row per event. Each look is a step of three: search or list, product, cart.
create table steps as
with counted as (
    select *, count(*) over (partition by session_id) as look_count
    from looks
),

taken as (
    select *, 4 * look_ix as step, 'page_view' as event_type, '/' || lower(category) as page
    from counted
    where look_ix = 0 and uniform('searches', visit_key, 0) >= 0.3
    union all
    select *, 4 * look_ix, 'search', '/search'
    from counted
    where look_ix = 0 and uniform('searches', visit_key, 0) < 0.3
    union all
    select *, 4 * look_ix + 1, 'view_item', '/product/' || product_id
    from counted
    union all
    select *, 4 * look_ix + 2, 'add_to_cart', '/product/' || product_id
    from counted
    where order_ix is not null or uniform('cart', visit_key, look_ix) < 0.08
    union all
    select *, 4 * look_count + 1, 'begin_checkout', '/checkout'
    from counted
    where look_ix = 0 and (order_ix is not null or uniform('checkout', visit_key, 0) < 0.03)
    union all
    select *, 4 * look_count + 2, 'purchase', '/thanks'
    from counted
    where look_ix = 0 and order_ix is not null
)

select *, (8 + 40 * exponential('stays', visit_key, step))::bigint as stays
from taken;

create table named_steps as
with timed as (
    select
        *,
        (sum(stays) over (partition by session_id order by step) - stays)::bigint as elapsed,
        (sum(if(event_type = 'purchase', 0, stays)) over (partition by session_id))::bigint
            as until_purchase,
        coalesce(ends_at - to_seconds(until_purchase), started_at) + to_seconds(elapsed)
            as occurred_at
    from steps
)

select
    interests.customer_id,
    id('W', 2 * interests.customer_no + timed.is_second_device::bigint, 7) as visitor_id,
    case
        when event_type in ('begin_checkout', 'purchase') then true
        when getvariable('is_late_sign_in') then false
        else is_signed_in and occurred_at >= interests.signed_up_at
    end as is_named,
    timed.* exclude (draw_no, elapsed, until_purchase)
from timed
inner join interests using (draw_no)
where occurred_at < getvariable('shop_end');

-- Who never signs in: half as many visitors as customers, a visit or a few each.
create table strangers as
select
    null::varchar as customer_id,
    id('X', visitor_no, 7) as visitor_id,
    id('T', 10 * visitor_no + visit_ix, 8) as session_id,
    getvariable('shop_start') + to_seconds((
        uniform('stranger', visitor_no, visit_ix)
            * (epoch(getvariable('shop_end')) - epoch(getvariable('shop_start')) - 3600)
    )::bigint) + to_seconds(30 * look_ix) as occurred_at,
    'view_item' as event_type,
    id('P', 1 + floor(152 * uniform('seen', visitor_no, 100 * visit_ix + look_ix))::bigint, 4)
        as product_id,
    30::bigint as stays
from range((getvariable('customers') / 2)::bigint) as t (visitor_no),
    range(1 + floor(exponential('stranger visits', visitor_no, 0))::bigint) as u (visit_ix),
    range(1 + floor(2 * exponential('stranger looks', visitor_no, visit_ix))::bigint) as v (look_ix);

create table out_events as
with all_events as (
    select
        if(is_named, customer_id, null) as customer_id,
        visitor_id,
        session_id,
        occurred_at,
        event_type,
        if(event_type in ('view_item', 'add_to_cart'), product_id, null) as product_id,
        page,
        if(event_type = 'search', lower(category), null) as search_query,
        stays as duration_seconds
    from named_steps
    union all
    select
        customer_id, visitor_id, session_id, occurred_at, event_type, product_id,
        '/product/' || product_id, null, stays
    from strangers
    union all
    -- A bot reads the whole shop, a product a second, and again.
    select
        null, 'bot', 'bot', getvariable('shop_end') - interval 10 day + to_seconds(look_ix),
        'view_item', id('P', 1 + look_ix % 152, 4), '/product/' || id('P', 1 + look_ix % 152, 4), null, 1
    from range(3000) as t (look_ix)
    union all
    select
        null, id('W', 2 * n, 7), null, getvariable('shop_end') - interval 5 day + to_seconds(n),
        'hover', null, '/', null, null
    from range(1, 8) as t (n)
    union all
    select
        null, if(n = 0, id('W', 2, 7), null), null,
        if(n = 0, timestamp '2099-01-01', getvariable('shop_end') - interval 3 day + to_seconds(n)),
        'page_view', null, '/', null, null
    from range(4) as t (n)
),

numbered as (
    select
        id('E', row_number() over (
            order by occurred_at, visitor_id, session_id, event_type, product_id
        ), 9) as event_id,
        *
    from all_events
)

select numbered.*
from numbered, range(if(event_id in ('E000000010', 'E000000020'), 2, 1)) as t (copy)
order by event_id;

-- Two mails a month to who agreed; a tenth is left alone, to compare with.
create table out_marketing_touches as
with mails as (
    select
        strftime(month, '%Y-%m-') || mail_no as campaign_id,
        month + to_days(4 + 14 * mail_no) + interval 9 hour as touched_at
    from range(
        getvariable('shop_start'), getvariable('shop_end'), interval 1 month
    ) as t (month), range(2) as u (mail_no)
),

mailed as (
    select
        *,
        touched_at + to_seconds((3600 * uniform('mailed', draw_no, campaign_id))::bigint)
            as mailed_at,
        uniform('control', draw_no, campaign_id) < 0.1 as is_control
    from mails
    inner join traits on marketing_consent and signed_up_at < touched_at
    where uniform('open inbox', draw_no, campaign_id) < 0.9
)

select
    id('M', row_number() over (order by mailed_at, customer_id), 8) as touch_id,
    customer_id,
    mailed_at as touched_at,
    'email' as channel,
    campaign_id,
    if(is_control, 0, 0.02)::decimal(18, 2) as cost,
    is_control,
    pick(['A', 'B'], uniform('variant', draw_no, campaign_id)) as variant
from mailed
order by touch_id;

insert into dirt
select 'bot_event', count(*) from out_events where visitor_id = 'bot'
union all
select 'event_of_unknown_type', count(*) from out_events where event_type = 'hover'
union all
select 'event_of_nobody', count(*) from out_events where visitor_id is null and customer_id is null
union all
select 'event_in_2099', count(*) from out_events where year(occurred_at) = 2099
union all
select 'duplicate_event', count(*) - count(distinct event_id) from out_events;
