-- One row per raw exchange rate row; of several of one day the latest is used.
{{ config(post_hook="{{ cva.check_rates(this) }}") }}

with source as ({{ cva.source_or_empty('exchange_rates') }}),

judged as (
    select
        *,
        upper(currency) as code,
        cast(date as date) as rate_date,
        case
            {{ cva.reject_cases('exchange_rates') }}
            when rate <= 0 then 'rate_not_positive'
        end as problem
    from source
),

numbered as (
    select
        *,
        row_number() over (
            partition by code, rate_date, problem is null
            order by date desc, rate
        ) as occurrence
    from judged
),

final as (
    select
        code as currency,
        date,
        rate_date,
        rate,
        case
            when problem is not null then problem
            when occurrence > 1 then 'duplicate_rate'
        end as reject_reason
    from numbered
)

select * from final
