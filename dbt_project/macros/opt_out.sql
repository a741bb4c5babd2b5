{#- Customers who object to being profiled, by `profiling_opt_out` of customers: of a customer's rows the newest that
    says anything counts, and of several a true one. Whatever date is looked from, the last word holds. They keep
    their row without a score, and nothing is learned from them. -#}
{% macro opted_out() %}
{%- set customers = ref('cva', 'stg_cva__customers') -%}
{%- if not cva.has_source_column('customers', 'profiling_opt_out') -%}
select cast(null as string) as customer_id
    from (select 1) as nothing
    where 1 = 0
{%- else -%}
{{ cva.opted_out_of(customers) }}
{%- endif -%}
{% endmacro %}


{#- The same by the raw rows as they are now, each of the person that the last run knew it to be of. -#}
{% macro opted_out_by_now() %}
{%- if not cva.has_source_column('customers', 'profiling_opt_out') -%}
select cast(null as varchar) as customer_id where 1 = 0
{%- else -%}
{%- set rows -%}
(
    select
        coalesce(persons.customer_id, given.person_id) as customer_id,
        given.profiling_opt_out,
        given.valid_from,
        null as reject_reason
    from ({{ cva.rows_with_keys('customers') }}) as given
    left join {{ ref('cva', 'int_cva__customer_ids') }} as persons on given.person_id = persons.raw_id
) as rows_now
{%- endset -%}
{{ cva.opted_out_of(rows) }}
{%- endif -%}
{% endmacro %}


{#- The same of a relation; `cva train` asks it too. -#}
{% macro opted_out_of(customers) -%}
select said.customer_id
    from (
        select
            customer_id,
            profiling_opt_out,
            rank() over (
                partition by customer_id
                order by coalesce(valid_from, timestamp '1900-01-01 00:00:00') desc
            ) as place
        from {{ customers }}
        where
            customer_id is not null
            and profiling_opt_out is not null
            and (reject_reason is null or reject_reason = 'duplicate_customer_id')
    ) as said
    where said.place = 1 and said.profiling_opt_out
    group by said.customer_id
{%- endmacro %}


{#- Over score_status: whether tables that place, rank or name customers one by one look at this one. Who objects,
    or is none to be scored by `cva_eligible_customers`, is in totals alone. -#}
{% macro is_profiled(prefix='') %}{{ prefix }}score_status <> 'not_eligible'{% endmacro %}
