-- The reviews of the sample shop, from shop.sql's tables and review_phrases.sql.
-- A customer has an experience with a product (how good it is, how it suits them, a
-- late parcel, a return) and an intention (whether and how soon they come back, from
-- what drives their orders). The rating follows the experience. The text follows both,
-- so it knows something of the future that the rating hardly does.

create macro filled(template, slots) as  -- slots: [[name, what replaces it], …]
    list_reduce(
        list_prepend([template, ''], slots),
        lambda done, slot: [replace(done[1], '{' || slot[1] || '}', slot[2]), '']
    )[1];
create macro capital(words) as upper(left(words, 1)) || substr(words, 2);
create macro ordinal(n) as
    case
        when n <= 6
            then ['first', 'second', 'third', 'fourth', 'fifth', 'sixth'][n]
        when n % 100 between 11 and 13 then n || 'th'
        when n % 10 between 1 and 3 then n || ['st', 'nd', 'rd'][n % 10]
        else n || 'th'
    end;

-- One row per review: an order of a customer who writes, and one of its products.
create table experiences as
with lifetimes as (
    select draw_no, max(order_ix) as last_ix
    from placed_orders
    group by all
),

reviewed as (
    select
        shop_orders.*,
        traits.leaving_rate,
        traits.orders_per_day,
        traits.is_regular,
        order_ix = last_ix as is_last,  -- whatever else the shop does
        uniform('late', draw_no, order_ix) < if(is_last, 0.18, 0.09) as is_late,
        floor(
            if(is_late, 8, 2) + if(is_late, 9, 3) * uniform('days', draw_no, order_ix)
        )::integer as delivery_days
    from shop_orders
    inner join traits using (draw_no)
    inner join lifetimes using (draw_no)
    where not is_cancelled
        and uniform('writes', draw_no, 0) < 0.32
        and uniform('review', draw_no, order_ix) < if(order_ix = 0, 0.75, 0.45)
),

chosen as (
    select
        order_id,
        product_id,
        row_number() over (
            partition by order_id
            order by uniform('reviewed', order_id, product_id), product_id
        ) as choice
    from lines
),

dated as (
    select
        reviewed.*,
        products.product_no,
        products.category,
        products.product_id,
        products.unit_price,
        lower(regexp_extract(products.name, '^\w+ \w+')) as full_name,
        split_part(full_name, ' ', 2) as noun,
        category = 'Shoes' or noun in ('jeans', 'blocks', 'gloves') as is_plural,
        date_trunc('day', greatest(
            ordered_at + days_long(
                delivery_days + 3.2 + 24 * pow(uniform('lag', draw_no, order_ix), 2)
            ),
            if(is_returned, returned_at + interval 1 day, ordered_at)
        )) as review_day,
        date_diff('day', ordered_at, review_day) - delivery_days as days_used,
        review_day + to_seconds(time_of_day('review time', draw_no, order_ix))
            as reviewed_at
    from reviewed
    inner join chosen on chosen.order_id = reviewed.order_id and chosen.choice = 1
    inner join products on products.product_id = chosen.product_id
),

felt as (
    select
        *,
        0.9 * normal('quality', product_no, 0)  -- the product's own, the same for all
            + 0.7 * normal('suits', draw_no, order_ix)
            - if(is_returned, 1.3, 0) as liking,
        4.3 + 0.75 * liking - if(is_late, 0.8, 0) - 0.4 * if(is_returned, 1, 0)
            + if(discount_amount > 0, 0.15, 0) - 0.8 * (leaving_rate - 0.2)
            as experience,
        0.9 - 2.5 * leaving_rate - if(is_last, 1.0, 0)
            + 0.25 * (experience - 4.2)
            + 0.7 * normal('intention', draw_no, order_ix) as intention,
        orders_per_day * exp(0.5 * normal('pace', draw_no, order_ix)) as pace
    from dated
    where reviewed_at < getvariable('shop_end')
)

select
    id('V', row_number() over (order by reviewed_at, order_no), 6) as review_id,
    *,
    experience + 0.4 * normal('stars', draw_no, order_ix) as star_level,
    1 + (star_level > 2.3)::integer + (star_level > 2.8)::integer
        + (star_level > 3.5)::integer + (star_level > 4.4)::integer as stars,
    -- A few take one star for the best.
    if(uniform('mix-up', draw_no, order_ix) < 0.015, 6 - stars, stars) as rating,
    experience + 0.35 * normal('mood', draw_no, order_ix) as mood_level,
    case
        when mood_level > 4.7 then 'great' when mood_level > 3.5 then 'good'
        when mood_level > 2.6 then 'mixed' else 'bad'
    end as mood,
    case when liking > -0.5 then 'good' when liking > -1.1 then 'fair' else 'bad' end
        as liked,
    case
        when intention < -0.6 then if(mood in ('great', 'good'), 'leaving', 'upset')
        when intention < 0 then 'undecided'
        when mood in ('mixed', 'bad') then 'despite'
        when pace > 0.02 and order_ix > 0 and category in ('Food', 'Beauty')
            then 'restocking'
        when pace > 0.03 then 'soon'
        when pace < 0.008 then 'someday'
        else 'returning'
    end as intends,
    -- How many things they mention; 0 is a word or an emoji, null a rating alone.
    case
        when uniform('silent', draw_no, order_ix) < 0.06 then null
        when uniform('short', draw_no, order_ix) < 0.03 then 0
        else 1 + floor(
            2.6 * uniform('talkative', draw_no, 0)
                + 2.6 * uniform('talks', draw_no, order_ix)
        )::integer
    end as mentions
from felt;

-- What each reviewer could mention; weight: how much it matters to them.
create table candidate_parts as
with candidates as (
    select
        experiences.*,
        unnest([
            {topic: 'opening', tone: mood, place: 1, weight: if(mentions = 1, 0, 1.1)},
            {topic: 'history', tone: if(order_ix = 0, 'first', 'repeat'), place: 1,
                weight: if(mentions = 1, 0, 0.5)},
            {topic: 'gift', tone: if(liked = 'bad', 'bad', 'good'), place: 2,
                weight: if(
                    not is_regular and pace < 0.02
                        and uniform('gift', draw_no, order_ix) < 0.3, 2.5, 0)},
            {topic: 'product', tone: liked, place: 3, weight: 1.4},
            {topic: lower(category),
                tone: if((liked = 'bad')
                    != (uniform('yet', draw_no, order_ix) < 0.08), 'bad', 'good'),
                place: 4, weight: if(liked = 'fair', 0.8, 1.8)},
            {topic: 'delivery',
                tone: case
                    when is_late then 'late'
                    when uniform('care', draw_no, order_ix) < 0.15 then 'careless'
                    else 'quick'
                end,
                place: 5, weight: if(is_late, 4, 0.7)},
            {topic: 'price',
                tone: case
                    when discount_amount > 0 then 'discount'
                    when experience < 3.6 or uniform('dear', draw_no, order_ix) < 0.15
                        then 'dear'
                    else 'fair'
                end,
                place: 6, weight: if(discount_amount > 0, 1.2, 0.45)},
            {topic: 'service',
                tone: if(
                    intention + 0.5 * (experience - 4) - if(is_late, 0.5, 0) > -0.4,
                    'good', 'bad'),
                place: 7, weight: if(is_late or is_returned, 0.7, 0.2)},
            {topic: 'returned', tone: 'bad', place: 7, weight: if(is_returned, 4, 0)},
            {topic: 'intention', tone: intends, place: 8, weight: 2},
            {topic: 'closing', tone: if(mood = 'great', 'good', mood), place: 9,
                weight: if(mentions < 3 or intends in ('leaving', 'upset'), 0, 0.5)}
        ], recursive := true)
    from experiences
    where mentions > 0
)

select
    *,
    -- The smallest of exponentials with these rates: a draw by weight without repeats.
    row_number() over (
        partition by review_id
        order by exponential('topic ' || topic, draw_no, order_ix) / weight, topic
    ) as importance
from candidates
where weight > 0
union all by name
select
    *,
    'short' as topic,
    case mood when 'great' then 'good' else mood end as tone,
    1 as place,
    1 as weight,
    1 as importance
from experiences
where mentions = 0;

create table review_parts as
with presents as (
    select
        *,
        pick(
            ['my sister', 'my mum', 'my dad', 'a friend', 'my partner', 'my niece',
                'a colleague', 'my neighbour', 'my brother', 'my grandmother',
                'my son', 'my daughter', 'my godchild', 'my mother-in-law'],
            uniform('who', draw_no, order_ix)
        ) as who,
        case
            when month(ordered_at) in (11, 12) then 'Christmas'
            when month(ordered_at) in (3, 4) then 'little Easter'
            else pick(['birthday', 'birthday', 'birthday', 'wedding', 'housewarming',
                'farewell', 'thank-you'], uniform('occasion', draw_no, order_ix))
        end as occasion
    from candidate_parts
    where importance <= greatest(mentions, 1)
)

select
    presents.*,
    phrases.sign,
    filled(
        pick(phrases.texts, uniform('phrase ' || presents.topic, draw_no, order_ix)),
        [
            ['noun', noun], ['name', full_name],
            ['this', if(is_plural, 'these', 'this')],
            ['it', if(is_plural, 'them', 'it')],
            ['they', if(is_plural, 'they', 'it')],
            ['is', if(is_plural, 'are', 'is')], ['was', if(is_plural, 'were', 'was')],
            ['has', if(is_plural, 'have', 'has')],
            ['does', if(is_plural, 'do', 'does')], ['s', if(is_plural, '', 's')],
            ['days', delivery_days::varchar],
            ['used', days_used::varchar],
            ['euros', round(unit_price)::integer::varchar],
            ['nth', ordinal(order_ix + 1)], ['number', (order_ix + 1)::varchar],
            ['who', who], ['occasion', occasion]
        ]
    ) as words,
    row_number() over (partition by review_id order by place, presents.topic) as part_no
from presents
inner join phrases
    on phrases.topic = presents.topic and phrases.tone = presents.tone;

-- The parts in one text, in the reviewer's way of writing.
create table out_reviews as
with neighbours as (
    select
        *,
        lag(sign) over by_review as sign_before,
        lag(words) over by_review as words_before,
        sign * sign_before = -1 and not contains(words || words_before, 'but')
            as is_turn,
        uniform('joint', draw_no, 10 * order_ix + part_no) as u
    from review_parts
    window by_review as (partition by review_id order by part_no)
),

joints as (
    select
        *,
        case
            when part_no = 1 then ''
            when is_turn and u < 0.5
                and count(*) filter (where is_turn) over by_review = 1 then ', but '
            when u < 0.08 then ' - '
            when sign_before = 1 and u < 0.16 then '! '
            when u > 0.97 then '... '
            else '. '
        end as joint
    from neighbours
    window by_review as (partition by review_id order by part_no)
),

joined as (
    select
        review_id,
        draw_no,
        order_ix,
        mood,
        mentions,
        string_agg(
            joint || if(joint in ('', '. ', '! ', '... '), capital(words), words),
            '' order by part_no
        ) as sentences
    from joints
    group by all
),

mistakes as (
    select
        [['the ', 'teh '], ['definitely', 'definatly'], ['quality', 'qualtiy'],
            ['really', 'realy'], ['received', 'recieved'], ['n''t', 'nt'],
            ['because', 'becuase'], ['after', 'afer'], ['their', 'there'],
            ['too ', 'to '], ['would', 'woud'], ['again', 'agian'],
            ['looks', 'loks'], ['order', 'oder'], ['arrived', 'arived'],
            ['every', 'evry'], ['I''', 'i'], ['with', 'whit']] as slips
),

typed as (
    select
        joined.*,
        -- Whoever types in haste makes about a third of these mistakes.
        if(
            mentions > 0 and uniform('haste', draw_no, 0) < 0.12,
            list_reduce(
                list_prepend(
                    [sentences, ''],
                    list_filter(slips, lambda slip:
                        uniform('slip ' || slip[1], draw_no, order_ix) < 0.3)
                ),
                lambda done, slip: [replace(done[1], slip[1], slip[2]), '']
            )[1],
            sentences
        ) as spelled,
        case
            when uniform('lower case', draw_no, 0) < 0.1 then lower(spelled)
            when mentions > 0 and uniform('shouts', draw_no, order_ix) < 0.012
                then upper(spelled)
            else spelled
        end as cased,
        cased || case
            when mentions = 0 then ''
            when mood in ('great', 'good')
                and uniform('emoji', draw_no, order_ix) < 0.07 then ' ' || pick(
                    ['😊', '👍', '❤️', '😍', '🎉', '🙏', '⭐⭐⭐⭐⭐', ':)', '☀️'],
                    uniform('which emoji', draw_no, order_ix))
            when mood = 'bad'
                and uniform('emoji', draw_no, order_ix) < 0.07 then ' ' || pick(
                    ['😡', '👎', '😞', ':(', '🙄'],
                    uniform('which emoji', draw_no, order_ix))
            when uniform('full stop', draw_no, 0) < 0.3 then ''
            when mood in ('great', 'bad')
                and uniform('end', draw_no, order_ix) < 0.25 then '!'
            else '.'
        end as body
    from joined, mistakes
),

ranked as (
    select
        review_id,
        rating,
        row_number() over (
            partition by rating order by uniform('whole', draw_no, order_ix), review_id
        ) as rank
    from experiences
    where mentions > 0
),

ranked_wholes as (
    select
        *,
        row_number() over (partition by rating order by whole_no) as rank
    from whole_reviews
)

select
    experiences.review_id,
    experiences.customer_id,
    experiences.product_id,
    experiences.order_id,
    experiences.reviewed_at,
    experiences.rating,
    coalesce(replace(ranked_wholes.body, chr(10), ' '), typed.body) as body
from experiences
left join typed using (review_id)
left join ranked using (review_id)
left join ranked_wholes
    on ranked_wholes.rating = ranked.rating and ranked_wholes.rank = ranked.rank
order by experiences.review_id;
