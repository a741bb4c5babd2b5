-- One row per row of int_cva__customers_without_text: what the deployed model predicts then.
{{ config(materialized='table') }}
{%- if not cva.is_text_reasoned() %}
select
    cast(null as string) as customer_id,
    cast(null as date) as as_of_date,
    cast(null as integer) as text_place,
    cast(null as integer) as sentence_number,
    cast(null as double) as predicted_value
from (select 1) as nothing
where 1 = 0
{%- else %}
with cva_rows as (select * from {{ ref('cva', 'int_cva__customers_without_text') }}),

scored as (
    select
        customer_id,
        as_of_date,
        text_place,
        sentence_number,
        cva_predict(cva_rows) as prediction
    from cva_rows
),

final as (
    select
        customer_id,
        as_of_date,
        cast(text_place as integer) as text_place,
        cast(sentence_number as integer) as sentence_number,
        prediction.predicted_value as predicted_value
    from scored
)

select * from final
{%- endif %}
