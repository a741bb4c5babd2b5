-- One row per raw customer row; a customer may have several, told apart by valid_from. The shop may
-- give ages as years or as bands such as 19-24.
{{ config(post_hook="{{ cva.say_odd_ages(this) }}") }}

with staged as (
    {{ cva.staged('customers') | indent(4) }}
),

banded as (
    select
        *,
        {{ cva.age_band('age', 'age_band') }} as band
    from staged
),

final as (
    select
        {%- for name in cva.staged_columns('customers') if name not in ['age', 'age_band'] %}
        {{ name }},
        {%- endfor %}
        {{ cva.age_in_years('age') }} as age,
        band as age_band,
        coalesce(not {{ cva.is_nobody('age') }} and band is null, false) as is_age_odd,
        reject_reason
    from banded
)

select * from final
