-- One row per status: how the texts of the usable reviews could be read.
{{ config(materialized='table', enabled=var('cva_spine') == 'scoring') }}

with reviews as (select * from {{ ref('cva', 'int_cva__review_scores') }}),

final as (
    select
        text_status as status,
        count(*) as review_count,
        count(distinct text_hash) as text_count
    from reviews
    group by text_status
)

select * from final
