-- One row per input or output of the deployed model and bin: how customers were distributed when it was
-- trained; none where the model does not say. It holds the only call of cva_distributions; with
-- `cva_udfs: false` it is what `cva score` wrote before.
{{ config(materialized='table') }}

{%- if cva.setting('cva_udfs') %}
with distributions as (select cva_distributions() as found),

items as (select {{ cva.exploded('found') }} as item from distributions),

final as (
    select
        item.input as input,
        item.kind as kind,
        item.bin as bin,
        item.above as above,
        item.up_to as up_to,
        item.text as text,
        item.share as share,
        item.usual_psi as usual_psi,
        item.usual_jensen_shannon as usual_jensen_shannon,
        item.usual_l_infinity as usual_l_infinity,
        item.reference_rows as reference_rows,
        item.model_version as model_version
    from items
)

select * from final
{%- else %}
{{- cva.require_filled(this, "cva score") }}
select * from {{ this }}
{%- endif %}
