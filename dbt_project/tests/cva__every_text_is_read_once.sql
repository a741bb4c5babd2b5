-- One vector per text, all by one encoder; where texts are read here, every text of a usable review has
-- one. A tone lies between -1 and 1.
{{ config(enabled=var('cva_spine') == 'scoring') }}

with vectors as (select * from {{ cva.text_vectors() }}),

reviews as (select * from {{ ref('cva', 'int_cva__review_scores') }})

select text_hash, 'read twice' as fault
from vectors
group by text_hash
having count(*) > 1
union all
select max(text_hash), 'several encoders'
from vectors
having count(distinct encoder_key) > 1
union all
select text_hash, 'tone out of range'
from vectors
where sentiment < -1 or sentiment > 1
{%- if cva.setting('cva_udfs') and cva.is_text_read() %}
union all
select text_hash, 'not read'
from reviews
where text_status = 'not_read'
{%- endif %}
