-- The sample shop, run in an in-memory DuckDB by shop.py, which sets the variables
-- seed, customers and months. It leaves one table out_<file> a file, and the tables
-- that the facts are read from.
-- Every draw is a uniform that depends on (seed, stream, entity, index) alone, so
-- neither threads nor row order can change it. md5 is used because hash() may differ
-- between DuckDB releases. Amounts are DECIMAL and times whole seconds: sums of DOUBLE
-- would depend on the order in which they are added.

create macro uniform(stream, entity, ix) as
    ((md5_number_lower(concat_ws('/', getvariable('seed'), stream, entity, ix)) >> 12)
        ::double + 0.5) / 4503599627370496;  -- 52 bits, so strictly between 0 and 1
create macro exponential(stream, entity, ix) as -ln(uniform(stream, entity, ix));
create macro normal(stream, entity, ix) as  -- Box-Muller
    sqrt(2 * exponential(stream, entity, ix))
        * cos(2 * pi() * uniform(stream || ' angle', entity, ix));
create macro pick(choices, u) as choices[1 + floor(u * len(choices))::integer];
create macro time_of_day(stream, entity, ix) as  -- seconds: 7 to 23 h, most at 15 h
    (25200
        + 28800 * (uniform(stream, entity, ix) + uniform(stream || ' 2', entity, ix)))
        ::bigint;
create macro days_long(days) as to_seconds((86400 * days)::bigint);
create macro id(prefix, n, digits) as prefix || lpad(n::varchar, digits, '0');

set variable shop_end = timestamp '2026-01-01';
set variable shop_start =
    date_trunc('month', getvariable('shop_end') - to_months(getvariable('months')));

create table seasons as
select * from (values
    (1, 0.95), (2, 0.70), (3, 0.90), (4, 0.95), (5, 1.00), (6, 0.95),
    (7, 0.90), (8, 0.85), (9, 0.95), (10, 1.05), (11, 1.75), (12, 1.85)
) as t (month, month_weight);

-- One row per day. Seasons stretch and squeeze the shop's clock: a day of weight 1.8 is
-- as long as 1.8 days, so rhythms stay regular, which dropping orders at random would
-- undo. `clock` and `signups` are the day's start on that clock and in the flow of
-- sign-ups, which has the same seasons and grows; the flat twins have no seasons.
create table days as
with weights as (
    select
        day::timestamp as day,
        month_weight / (select avg(month_weight) from seasons)
            * [1.15, 1.05, 1.0, 0.95, 0.95, 0.9, 1.0][1 + dayofweek(day)] as season,
        1 + 0.8 * row_number() over (order by day) / count(*) over () as growth
    from range(
        getvariable('shop_start'), getvariable('shop_end'), interval 1 day
    ) as t (day)
    inner join seasons on seasons.month = month(day)
),

lengths as (
    select
        day,
        round(86400 * season)::bigint as clock_length,
        round(86400 * season * growth)::bigint as signups_length,
        round(86400 * growth)::bigint as flat_signups_length
    from weights
)

select
    day,
    (row_number() over by_day - 1) * 86400 as flat_clock,
    (sum(clock_length) over by_day - clock_length)::bigint as clock,
    (sum(signups_length) over by_day - signups_length)::bigint as signups,
    (sum(flat_signups_length) over by_day - flat_signups_length)::bigint
        as flat_signups,
    (sum(clock_length) over ())::bigint as clock_end,
    (sum(signups_length) over ())::bigint as signups_end,
    (sum(flat_signups_length) over ())::bigint as flat_signups_end
from lengths
window by_day as (order by day);

-- share_to: cumulative share of customers whose first preference this is.
create table categories as
select * from (values
    (1, 'Fashion', 0.22, 45, 0.10, 1.0, ['Dress', 'Shirt', 'Jacket', 'Scarf', 'Jeans']),
    (2, 'Shoes', 0.32, 75, 0.12, 0.8, ['Pumps', 'Boots', 'Clogs', 'Mules', 'Slides']),
    (3, 'Home', 0.48, 35, 0.04, 0.8, ['Candle', 'Cushion', 'Lamp', 'Blanket', 'Vase']),
    (4, 'Beauty', 0.62, 18, 0.02, 1.4, ['Soap', 'Serum', 'Balm', 'Shampoo', 'Mask']),
    (5, 'Gadgets', 0.72, 95, 0.06, 0.6, ['Headset', 'Router', 'Radio', 'Watch', 'Hub']),
    (6, 'Toys', 0.82, 22, 0.03, 0.9, ['Puzzle', 'Blocks', 'Teddy', 'Kite', 'Domino']),
    (7, 'Sports', 0.90, 40, 0.05, 0.9, ['Mat', 'Bottle', 'Racket', 'Tent', 'Gloves']),
    (8, 'Food', 1.00, 9, 0.01, 1.6, ['Coffee', 'Tea', 'Chocolate', 'Honey', 'Granola'])
) as t (category_no, category, share_to, price, return_rate, rate_factor, nouns);

create macro draw_category(u) as
    (select min(category_no) from categories where share_to >= u);

-- price_rank counts from the cheapest product of its category.
create table products as
with drawn as (
    select
        categories.*,
        item_no,
        (floor(price * exp(0.6 * normal('price', category_no, item_no))) + 0.95)
            ::decimal(18, 2) as unit_price
    from categories, range(19) as t (item_no)
)

select
    19 * (category_no - 1) + item_no + 1 as product_no,
    id('P', product_no, 4) as product_id,
    ['Basic', 'Classic', 'Premium', 'Eco'][1 + item_no // 5] || ' '
        || nouns[1 + item_no % 5]
        || case product_no when 39 then ' 🕯️' when 98 then ' 🧸❤️' else '' end as name,
    category_no,
    category,
    return_rate,
    unit_price,
    (unit_price * (0.35 + 0.3 * uniform('cost', product_no, 0)))::decimal(18, 2)
        as unit_cost,
    row_number() over (partition by category_no order by unit_price, item_no)
        as price_rank
from drawn;

-- One row per customer, with what nobody at the shop can see: rhythm, loyalty, taste,
-- level.
create table traits as
with flows as (
    select
        draw_no,
        (uniform('signup', draw_no, 0) * signups_end)::bigint as signups_at,
        (uniform('signup', draw_no, 0) * flat_signups_end)::bigint as flat_signups_at,
        to_seconds(time_of_day('signup time', draw_no, 0)) as since_midnight
    from range(getvariable('customers')) as t (draw_no)
    inner join days on days.day = getvariable('shop_start')  -- any day knows the ends
),

signed_up as (
    select
        flows.draw_no,
        days.day + flows.since_midnight as signed_up_at,
        flat_days.day + flows.since_midnight as flat_signed_up_at
    from flows
    asof join days on flows.signups_at >= days.signups
    asof join days as flat_days on flows.flat_signups_at >= flat_days.flat_signups
),

drawn as (
    select
        *,
        row_number() over (order by signed_up_at, draw_no) as customer_no,
        draw_category(uniform('first taste', draw_no, 0)) as first_taste_no,
        draw_category(uniform('second taste', draw_no, 0)) as second_taste_no,
        uniform('acquired', draw_no, 0) as acquired,
        case
            when acquired < 0.30 then 'organic'
            when acquired < 0.55 then 'search'
            when acquired < 0.75 then 'social'
            when acquired < 0.87 then 'email'
            when acquired < 0.95 then 'referral'
            else 'marketplace'
        end as acquisition_channel,
        uniform('consent', draw_no, 0) < 0.55 as marketing_consent
    from signed_up
)

select
    *,
    id('C', customer_no, 6) as customer_id,
    uniform('never', draw_no, 0) < 0.07 as is_never_ordering,
    uniform('regular', draw_no, 0) < 0.3 as is_regular,
    -- Weibull of shape 0.8: as skewed as a gamma with shape below 1, in closed form;
    -- nobody orders more often than every tenth day on average.
    least(
        0.1,
        0.025 * pow(exponential('rate', draw_no, 0), 1.25)
            * rate_factor
            * if(marketing_consent, 1.15, 0.9)
            * case acquisition_channel
                when 'referral' then 1.35 when 'search' then 1.1
                when 'social' then 0.75 when 'marketplace' then 0.7 else 1.0
            end
    ) as orders_per_day,
    -- The customer leaves after any order with this chance (beta-like, as in BG/NBD).
    0.02 + 0.55 * pow(uniform('leaving', draw_no, 0), 2) as leaving_rate,
    3.6 + 0.6 * normal('level', draw_no, 0) as log_level,
    if(uniform('bargains', draw_no, 0) < 0.18, 0.5, 0.075) as discount_rate,
    pick(['web', 'web', 'app', 'app', 'store'], uniform('device', draw_no, 0))
        as home_channel
from drawn
inner join categories on categories.category_no = drawn.first_taste_no;

-- One row per order and, beside it, when it would have been placed in a shop without
-- seasons; ordered_at is null where it lies past the shop's last day.
create table placed_orders as
with first_orders as (
    select
        *,
        if(
            uniform('same visit', draw_no, 0) < 0.75,
            120 + 2400 * uniform('delay', draw_no, 0),
            3600 + 1036800 * exponential('delay', draw_no, 0)  -- 12 days on average
        )::bigint as delay_seconds,
        signed_up_at + to_seconds(delay_seconds) as ordered_at,
        flat_signed_up_at + to_seconds(delay_seconds) as flat_ordered_at,
        least(
            1 + floor(exponential('orders', draw_no, 0) / -ln(1 - leaving_rate)), 300
        )::bigint as lifetime_orders
    from traits
    where not is_never_ordering
),

gaps as (
    select
        draw_no,
        order_ix,
        -- A gap beyond the shop's whole time is cut: it ends in the future either way.
        least(86400 * 62 * getvariable('months'), 86400 / orders_per_day * if(
            is_regular,  -- Erlang-4: half the spread of an exponential
            (
                exponential('gap 1', draw_no, order_ix)
                + exponential('gap 2', draw_no, order_ix)
                + exponential('gap 3', draw_no, order_ix)
                + exponential('gap 4', draw_no, order_ix)
            ) / 4,
            exponential('gap 1', draw_no, order_ix)
                * if(uniform('burst', draw_no, order_ix) < 0.5, 0.3, 1.7)
        ))::bigint as gap_seconds
    from first_orders, range(1, lifetime_orders) as t (order_ix)
),

elapsed as (
    select
        draw_no,
        order_ix,
        (sum(gap_seconds) over (partition by draw_no order by order_ix))::bigint
            as seconds
    from gaps
),

-- The clock of repeats starts on the day after the first order.
clocks as (
    select
        elapsed.draw_no,
        elapsed.order_ix,
        days.clock + elapsed.seconds as clock_at,
        days.clock_end,
        date_trunc('day', first_orders.flat_ordered_at) + interval 1 day
            + to_seconds(elapsed.seconds) as flat_ordered_at
    from elapsed
    inner join first_orders on first_orders.draw_no = elapsed.draw_no
    inner join days
        on days.day = date_trunc('day', first_orders.ordered_at) + interval 1 day
)

select draw_no, 0 as order_ix, ordered_at, flat_ordered_at
from first_orders
union all
select
    clocks.draw_no,
    clocks.order_ix,
    if(
        clocks.clock_at < clocks.clock_end,
        days.day
            + to_seconds(time_of_day('order time', clocks.draw_no, clocks.order_ix)),
        null
    ),
    clocks.flat_ordered_at
from clocks
asof join days on clocks.clock_at >= days.clock;

-- Orders per calendar month with and without seasons, both as indexes whose mean is 1.
create table month_index as
with counts as (
    select
        month,
        month_weight,
        count(*) filter (
            where month(ordered_at) = month
                and ordered_at < getvariable('shop_end')
        ) as seasonal,
        count(*) filter (
            where month(flat_ordered_at) = month
                and flat_ordered_at < getvariable('shop_end')
        ) as flat
    from seasons, placed_orders
    group by all
)

select
    month,
    (month_weight / avg(month_weight) over ())::double as put_in,
    (seasonal / greatest(flat, 1)) / avg(seasonal / greatest(flat, 1)) over () as seen
from counts;

create table basket_orders as
select
    row_number() over (order by ordered_at, traits.draw_no, order_ix) as order_no,
    id('O', order_no, 7) as order_id,
    traits.*,
    order_ix,
    ordered_at,
    -- One order in 600 is someone buying for a company or a wedding.
    exp(log_level + 0.45 * normal('basket', traits.draw_no, order_ix))
        * if(uniform('large', traits.draw_no, order_ix) < 1 / 600, 20, 1) as target,
    least(ceil(exponential('lines', traits.draw_no, order_ix) / 0.6), 6)::integer
        as line_count
from placed_orders
inner join traits on traits.draw_no = placed_orders.draw_no
where ordered_at < getvariable('shop_end');

-- A line goes to a taste, then to a product that fits its share of the target; the
-- quantity makes up the rest.
create table lines as
with drawn as (
    select
        order_id,
        draw_no,
        100 * order_ix + line_ix as ix,
        target / line_count * (0.6 + 0.8 * uniform('share', draw_no, ix))
            as line_target,
        case
            when uniform('taste', draw_no, ix) < 0.65 then first_taste_no
            when uniform('taste', draw_no, ix) < 0.85 then second_taste_no
            else draw_category(uniform('any taste', draw_no, ix))
        end as category_no
    from basket_orders, range(line_count) as t (line_ix)
),

affordable as (
    select
        drawn.*,
        coalesce(products.price_rank, 1) as highest_rank
    from drawn
    asof left join products
        on drawn.category_no = products.category_no
        and 1.2 * drawn.line_target >= products.unit_price
)

select
    order_id,
    product_id,
    unit_price,
    return_rate,
    sum(greatest(1, round(line_target / unit_price)::bigint))::bigint as quantity
from affordable
inner join products
    on products.category_no = affordable.category_no
    and products.price_rank
        = ceil(highest_rank * sqrt(uniform('product', draw_no, ix)))::bigint
group by all;

create table shop_orders as
with totals as (
    select
        order_id,
        sum(quantity * unit_price)::decimal(18, 2) as total,
        max(return_rate) as return_rate
    from lines
    group by all
),

discounted as (
    select
        basket_orders.* exclude (return_rate),
        totals.total,
        totals.return_rate,
        if(
            uniform('discounted', draw_no, order_ix) < discount_rate,
            total * pick(
                [0.1, 0.1, 0.15, 0.2, 0.3], uniform('discount', draw_no, order_ix)
            ),
            0
        )::decimal(18, 2) as discount_amount,
        ordered_at + days_long(1 + 4 * uniform('change', draw_no, order_ix))
            as cancelled_at
    from basket_orders
    inner join totals on totals.order_id = basket_orders.order_id
)

select
    order_no,
    draw_no,
    order_ix,
    order_id,
    customer_id,
    ordered_at,
    total - discount_amount as amount,
    -- What happens after the extract is not in it.
    uniform('cancelled', draw_no, order_ix) < 0.02
        and cancelled_at < getvariable('shop_end') as is_cancelled,
    if(is_cancelled, 'cancelled', 'completed') as status,
    if(is_cancelled, cancelled_at, null) as status_changed_at,
    discount_amount,
    'EUR' as currency,
    if(
        uniform('moved', draw_no, order_ix) < 0.75,
        home_channel,
        pick(['web', 'web', 'app', 'store'], uniform('channel', draw_no, order_ix))
    ) as channel,
    ordered_at + days_long(3 + 22 * uniform('returned', draw_no, order_ix))
        as returned_at,
    not is_cancelled
        and uniform('return', draw_no, order_ix) < return_rate
        and returned_at < getvariable('shop_end') as is_returned,
    if(
        uniform('partly', draw_no, order_ix) < 0.55,
        amount,
        amount * (0.2 + 0.7 * uniform('refund', draw_no, order_ix))
    )::decimal(18, 2) as refund_amount
from discounted;

-- The dirt: each kind takes the next few of the shuffled orders that are completed and
-- kept.
create table dirt_plan as
select *, sum(orders) over (order by kind) as last_rank
from (values
    ('duplicate_order', 10), ('null_amount', 4), ('negative_amount', 3),
    ('zero_amount', 3), ('null_customer', 5), ('order_in_2099', 1),
    ('foreign_currency', 1), ('blanks_around_customer', 2), ('emoji_in_status', 1)
) as t (kind, orders);

create table dirty_orders as
with shuffled as (
    select
        order_id,
        row_number() over (order by uniform('dirt', order_no, 0), order_no) as rank
    from shop_orders
    where not is_cancelled and not is_returned
)

select shuffled.order_id, dirt_plan.kind
from shuffled
inner join dirt_plan
    on shuffled.rank > dirt_plan.last_rank - dirt_plan.orders
    and shuffled.rank <= dirt_plan.last_rank;

create table out_orders as
select
    order_id,
    case kind
        when 'null_customer' then null
        when 'blanks_around_customer' then '  ' || customer_id || ' '
        else customer_id
    end as customer_id,
    ordered_at + to_years(if(kind = 'order_in_2099', 2099 - year(ordered_at), 0))
        as ordered_at,
    case kind
        when 'null_amount' then null
        when 'negative_amount' then -amount
        when 'zero_amount' then 0
        else amount
    end as amount,
    if(kind = 'emoji_in_status', 'completed 🎉', status) as status,
    status_changed_at,
    discount_amount,
    if(kind = 'foreign_currency', 'USD', currency) as currency,
    channel
from shop_orders
left join dirty_orders using (order_id),
    range(if(kind = 'duplicate_order', 2, 1)) as t (copy)
order by order_no;

create table out_order_items as
select order_id, product_id, quantity, unit_price
from lines
union all
select id('O', 9999900 + product_no, 7), product_id, 1, unit_price
from products
where product_no <= 6
order by order_id, product_id;

create table out_products as
select product_id, name, category, unit_cost
from products
order by product_id;

create table out_customers as
select
    customer_id,
    signed_up_at,
    if(
        uniform('age known', draw_no, 0) < 0.9,
        greatest(18, least(85, round(41 + 14 * normal('age', draw_no, 0))))::integer,
        null
    ) as age,
    pick(
        ['female', 'female', 'female', 'female', 'female',
            'male', 'male', 'male', 'male', null],
        uniform('gender', draw_no, 0)
    ) as gender,
    pick(
        ['employee', 'employee', 'employee', 'self-employed', 'civil servant',
            'student', 'retired', 'homemaker', null, null],
        uniform('occupation', draw_no, 0)
    ) as occupation,
    pick(
        ['DE', 'DE', 'DE', 'DE', 'DE', 'DE', 'DE', 'DE', 'DE', 'DE', 'DE', 'DE',
            'AT', 'AT', 'AT', 'NL', 'NL', 'FR', 'FR', 'CH'],
        uniform('country', draw_no, 0)
    ) as country,
    acquisition_channel,
    marketing_consent,
    signed_up_at as valid_from
from traits
order by customer_id;

create table out_returns as
with refunds as (
    select
        order_id,
        customer_id,
        returned_at,
        amount,
        refund_amount,
        row_number() over (order by uniform('refund dirt', order_no, 0), order_no)
            as rank
    from shop_orders
    where is_returned
),

all_returns as (
    select
        order_id,
        customer_id,
        returned_at,
        if(rank <= 2, 1.5 * amount + 5, refund_amount)::decimal(18, 2) as refund_amount
    from refunds
    union all
    select
        id('O', 9999950 + orphan_no, 7),
        null,
        getvariable('shop_end') - to_days(orphan_no * 20),
        19.95
    from range(1, 4) as t (orphan_no)
)

select
    id('R', row_number() over (order by returned_at, order_id), 6) as return_id,
    order_id,
    customer_id,
    returned_at,
    refund_amount
from all_returns
order by return_id;

create table dirt as
select kind, count(*) as found
from dirty_orders
group by all
union all
select 'orphan_order_item', count(*)
from out_order_items anti join shop_orders using (order_id)
union all
select 'orphan_return', count(*)
from out_returns anti join shop_orders using (order_id)
union all
select 'refund_above_amount', count(*)
from out_returns inner join shop_orders using (order_id)
where out_returns.refund_amount > shop_orders.amount
union all
select 'emoji_in_name', count(*)
from out_products
where not regexp_full_match(name, '[\x20-\x7e]*');
