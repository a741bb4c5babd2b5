{#- Browse events: what their types mean, who is no person, and which days of them are built. -#}

{#- What the types of events mean, in lower case; a blank may be _, - or nothing. `product` are views of one
    product, `other` what says nothing of a way through the shop. GA4, GA360's and Shopify's pixel, Segment and
    Matomo are in it. -#}
{% macro event_words() %}
{{ return({
    'view': [
        'view', 'pv', 'page', 'screen', 'page view', 'page viewed', 'viewed page', 'screen view', 'screen viewed',
        'view item list', 'view promotion', 'view cart', 'cart viewed', 'product list viewed', 'product list view',
        'collection viewed', 'category viewed', 'view category', 'list view', 'visit', 'action', 'home',
    ],
    'product': [
        'view item', 'item view', 'product viewed', 'product view', 'viewed product', 'view product',
        'product detail', 'product detail view', 'detail', 'view content', 'ecommerce product detail view',
    ],
    'search': [
        'search', 'searched', 'search submitted', 'site search', 'products searched', 'product searched',
        'view search results',
    ],
    'cart': [
        'cart', 'basket', 'add to cart', 'added to cart', 'product added', 'product added to cart', 'add to basket',
        'cart update', 'ecommerce cart update', 'ecommerce abandoned cart', 'addition to cart',
    ],
    'wishlist': [
        'wishlist', 'add to wishlist', 'added to wishlist', 'product added to wishlist', 'fav', 'favorite',
        'favourite',
    ],
    'checkout': [
        'checkout', 'begin checkout', 'started checkout', 'checkout started', 'initiate checkout',
        'checkout step viewed', 'checkout step completed', 'add shipping info', 'add payment info',
        'payment info entered', 'payment info submitted', 'checkout address info submitted',
        'checkout contact info submitted', 'checkout shipping info submitted',
    ],
    'purchase': [
        'purchase', 'purchased', 'buy', 'order', 'placed order', 'order placed', 'order completed',
        'checkout completed', 'transaction', 'ecommerce order',
    ],
    'other': [
        'other', 'event', 'click', 'scroll', 'user engagement', 'session start', 'first visit', 'first open',
        'app open', 'select item', 'select promotion', 'select content', 'product clicked', 'promotion clicked',
        'promotion viewed', 'remove from cart', 'product removed', 'product removed from cart',
        'product removed from wishlist', 'transaction item', 'item', 'file download', 'download', 'outlink',
        'link', 'video start', 'video progress', 'video complete', 'form start', 'form submit', 'form submitted',
        'login', 'sign up', 'signed in', 'signed up', 'identify', 'goal', 'heartbeat', 'ping', 'refund',
        'order refunded', 'order cancelled', 'order updated', 'coupon applied', 'coupon entered', 'impression',
        'input changed', 'input focused', 'input blurred', 'clicked', 'alert displayed', 'ui extension errored',
    ],
}) }}
{% endmacro %}


{#- The words of some kinds as SQL literals, spelt as vendors do. -#}
{% macro event_list(kinds) %}
{% set quoted = [] %}
{% for kind in kinds %}
    {% for word in cva.event_words()[kind] %}
        {% for blank in [' ', '_', '-', ''] if ' ' in word or blank == '' %}
            {% do quoted.append("'" ~ word.replace(' ', blank) ~ "'") %}
        {% endfor %}
    {% endfor %}
{% endfor %}
{{ return(quoted | unique | list) }}
{% endmacro %}


{#- What a type of event is: view, search, cart, wishlist, checkout, purchase or other; NULL where nobody knows,
    which is counted. A project may override it, with its own cases before ours. -#}
{% macro event_kind(event_type) %}
{{- return(adapter.dispatch('event_kind', 'cva')(event_type)) -}}
{% endmacro %}

{% macro default__event_kind(event_type) -%}
case
            {%- for kind in ['view', 'search', 'cart', 'wishlist', 'checkout', 'purchase', 'other'] %}
            when {{ cva.is_one_of(
                'lower(' ~ event_type ~ ')', cva.event_list(['view', 'product'] if kind == 'view' else [kind])) }}
                then '{{ kind }}'
            {%- endfor %}
        end
{%- endmacro %}


{#- Whether a view is of one product, by its type; one that names a product is as well. -#}
{% macro is_product_view(event_type) %}
{{- return(adapter.dispatch('is_product_view', 'cva')(event_type)) -}}
{% endmacro %}

{% macro default__is_product_view(event_type) -%}
coalesce({{ cva.is_one_of('lower(' ~ event_type ~ ')', cva.event_list(['product'])) }}, false)
{%- endmacro %}


{#- Whether a browser's name for itself is that of a program. -#}
{% macro is_bot_agent(user_agent) %}
{{- return(adapter.dispatch('is_bot_agent', 'cva')(user_agent)) -}}
{% endmacro %}

{#- Cubot makes telephones. -#}
{% macro default__is_bot_agent(user_agent) -%}
coalesce({{ cva.matches(
    'lower(' ~ user_agent ~ ')',
    '(^|[^u])bot|crawl|spider|slurp|headless|lighthouse|pingdom|facebookexternalhit|^curl|^wget|python-|scrapy|phantomjs'
) }}, false)
{%- endmacro %}


{#- Over a day of a visitor (events_count, first_at, last_at), why it is no person's, else NULL: more events than
    anybody makes in a day, or hundreds of them faster than one a second. Judged by day, so that no later one
    changes an earlier. -#}
{% macro bot_reason() %}
{{- return(adapter.dispatch('bot_reason', 'cva')()) -}}
{% endmacro %}

{% macro default__bot_reason() -%}
case
            when events_count > 5000 then 'bot_too_many'
            when events_count >= 300 and {{ cva.seconds_between('first_at', 'last_at') }} < events_count
                then 'bot_too_fast'
        end
{%- endmacro %}


{#- Which days int_cva__browse_days has to build: none stands for all of them. It keeps the days whose rows are as
    many as before, with and without a customer; the last `cva_events_lookback_days` are built again anyway, and
    so is one with rows that were to come. A day goes with the one before it, as visits last past midnight. -#}
{% macro event_days(kept) %}
{% set staged, key = ref('cva', 'stg_cva__events'), cva.event_days_key() %}
{% if not execute or not is_incremental() or not cva.is_browsed() %}{{ return(none) }}{% endif %}
{% set lookback = '-' ~ cva.setting('cva_events_lookback_days') %}
{% set rows = cva.rows_once("
with given as (
    select
        coalesce(occurred_date, cast('0001-01-01' as date)) as event_date,
        count(*) as n, count(customer_id) as named
    from " ~ staged ~ " group by 1
),
kept as (
    select
        event_date, sum(events_count) as n, sum(named_count) as named,
        max(case when reject_reason = 'in_the_future' then 1 else 0 end) as is_to_come,
        max(case when built_as <> '" ~ key ~ "' then 1 else 0 end) as is_other
    from " ~ kept ~ " group by 1
),
newest as (select max(event_date) as event_date from kept where is_to_come = 0),
days as (
    select
        event_date, coalesce(kept.is_other, 0) as is_other,
        case
            when kept.n = given.n and kept.named = given.named and kept.is_to_come = 0
                and event_date <= " ~ cva.add_days('newest.event_date', lookback) ~ " then 0
            else 1
        end as is_changed
    from given full join kept using (event_date) cross join newest
),
state as (
    select max(is_other) as is_other, count(*) as n, (select count(*) from kept) as kept_n from days
)
select
    cast(days.event_date as string) as event_date,
    state.is_other = 1 or state.kept_n = 0 or 2 * count(*) over () > state.n as is_all
from days
left join days as earlier on days.event_date = " ~ cva.add_days('earlier.event_date', 1) ~ "
cross join state
where days.is_changed = 1 or earlier.is_changed = 1
order by 1") %}
{% if rows | length and rows[0][1] %}{{ return(none) }}{% endif %}
{{ return(rows | map(attribute=0) | list) }}
{% endmacro %}


{#- What days are made by, in few letters: others are not kept. -#}
{% macro event_days_key() %}
{{- return(local_md5([
    cva.package_version(), cva.canonical_rows('events'), cva.customer_key_of('events'),
    cva.event_kind('event_type'), cva.is_product_view('event_type'), cva.is_bot_agent('user_agent'),
    cva.bot_reason()
] | join('#'))) -}}
{% endmacro %}


{#- Whether there are events to read; while dbt parses nobody knows. -#}
{% macro is_browsed() %}
{{- return(not execute or cva.source_relation('events') is not none) -}}
{% endmacro %}


{#- Before int_cva__browse_days is built, in its transaction: the days that it builds anew go. -#}
{% macro forget_event_days(kept) %}
{%- if is_incremental() -%}
{%- set days = cva.event_days(kept) -%}
{%- if days is none -%}
delete from {{ kept }}
{%- elif days -%}
delete from {{ kept }} where event_date in ({{ cva.date_list(days) }})
{%- endif -%}
{%- endif -%}
{% endmacro %}


{% macro date_list(days) -%}
{%- for day in days -%}
cast('{{ day }}' as date){{ ', ' if not loop.last }}
{%- endfor -%}
{%- endmacro %}


{#- Staged events of some days, and, where `before`, of the day before each; none stands for all days. -#}
{% macro events_of(days, columns, condition, before=false) -%}
(
        select {{ columns }}
        from {{ ref('cva', 'stg_cva__events') }}
        where
            {{ condition }}
            {%- if days is not none %}
            {%- set all = days + (cva.days_before(days) if before else []) %}
            {#- The span first: it skips what lies before it without a look at each row. #}
            {%- if all | min != '0001-01-01' %}
            and occurred_at >= cast('{{ all | min }}' as timestamp)
            {%- endif %}
            and coalesce(occurred_date, cast('0001-01-01' as date)) in ({{ cva.date_list(all | unique | list) }})
            {%- endif %}
    )
{%- endmacro %}


{#- The same from the common table expression `told`, where copies are told apart. -#}
{% macro told_events(is_copied, days, columns, condition, before=false) -%}
{%- if is_copied -%}
(select {{ columns }} from told where {{ condition }}{{ '' if before else ' and is_built' }})
{%- else -%}
{{ cva.events_of(days, columns, condition, before) }}
{%- endif -%}
{%- endmacro %}


{% macro days_before(days) %}
{% set found = [] %}
{% for day in days if day != '0001-01-01' %}
    {% set date = modules.datetime.datetime.strptime(day, '%Y-%m-%d') - modules.datetime.timedelta(days=1) %}
    {% do found.append(date.strftime('%Y-%m-%d')) %}
{% endfor %}
{{ return(found) }}
{% endmacro %}


{#- Whether events of these days are there more than once; taken as yes where nobody can be asked. -#}
{% macro has_event_copies(days) %}
{% if not execute or load_relation(ref('cva', 'stg_cva__events')) is none %}{{ return(true) }}{% endif %}
{% if not cva.has_source_column('events', 'event_id') %}{{ return(false) }}{% endif %}
{#- Of rows that are not used too: to see that there is no copy takes less than to see which are. #}
{% set rows = cva.events_of(days, 'event_id, occurred_date', 'event_id is not null') %}
{{ return(run_query(
    'select 1 from (' ~ cva.repeated_keys(rows ~ ' as events', 'event_id, occurred_date') ~ ') as keys limit 1'
).rows | length > 0) }}
{% endmacro %}


{#- The days of a table that has them, or other rows made of it, with `person_id`: whose account the row names, as
    identity has it today. -#}
{% macro days_of_persons(table, rows=none) -%}
{%- set ids = ref('cva', 'int_cva__customer_ids') -%}
{%- set days = rows or ref('cva', cva.raw_tables()[table].daily) -%}
(
        {%- if cva.is_identified() %}
        select days.*, coalesce(persons.person, days.customer_id) as person_id
        from {{ days }} as days
        left join (select raw_id, customer_id as person from {{ ids }}) as persons
            on days.customer_id = persons.raw_id
        {%- else %}
        select *, customer_id as person_id from {{ days }}
        {%- endif %}
    )
{%- endmacro %}


{#- Whether some of the events do not say which visit they are of; taken as yes where nobody can be asked. -#}
{% macro has_events_without_visit(days) %}
{% if not execute or load_relation(ref('cva', 'stg_cva__events')) is none %}{{ return(true) }}{% endif %}
{% if not cva.has_source_column('events', 'session_id') %}{{ return(true) }}{% endif %}
{{ return(run_query(
    'select 1 from ' ~ cva.events_of(days, 'session_id', 'session_id is null', true) ~ ' as events limit 1'
).rows | length > 0) }}
{% endmacro %}


{#- Whom each visitor was named as last before each date, as a query over `days`, of days_of_persons, and `dates`. -#}
{% macro named_visitors() -%}
select
        days.visitor_id,
        dates.as_of_date,
        max_by(days.person_id, (days.named_at, days.person_id)) as person_id
    from days
    cross join dates
    where
        days.event_date < dates.as_of_date
        and days.visitor_id is not null
        and days.person_id is not null
    group by days.visitor_id, dates.as_of_date
{%- endmacro %}


{#- What visitors did, once per date after it, with `owner_id`, whose it is on that date: who was named on its day,
    else on the last before the date. What is nobody's is left out. A query over `dates`, `named`, of
    named_visitors, and what days_of_persons gives. -#}
{% macro owned_by_customers(rows) -%}
select
        {{ rows }}.*,
        dates.as_of_date,
        coalesce({{ rows }}.person_id, named.person_id) as owner_id
    from {{ rows }}
    cross join dates
    left join named
        on {{ rows }}.visitor_id = named.visitor_id and dates.as_of_date = named.as_of_date
    where
        {{ rows }}.event_date < dates.as_of_date
        and coalesce({{ rows }}.person_id, named.person_id) is not null
{%- endmacro %}
