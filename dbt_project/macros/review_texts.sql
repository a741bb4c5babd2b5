{#- Whether texts are read at all: the shop has reviews and the family is on, or their sentences are asked for, or
    what the family `words` reads, or tickets. Else what reads them is an empty relation, without so much as a look at the encoder. While dbt parses
    nobody knows, and the refs have to be seen. -#}
{% macro is_text_read() %}
{{- return(
    'reviews' not in cva.setting('cva_families_off')
    and (not execute or cva.source_relation('reviews') is not none)
    or cva.is_queue_read() and (not execute or cva.source_relation('tickets') is not none)
    or cva.is_insight_read()
    or cva.is_worded()
) -}}
{% endmacro %}


{#- Whether the sentences of what waits for service are read too: they are in a run, and neither in training
    nor for a past date. -#}
{% macro is_queue_read() %}
{{- return(cva.setting('cva_spine') == 'scoring' and cva.setting('cva_reads_service')) -}}
{% endmacro %}


{#- What a text would have been rated, a number a fold of customers. Training does not look at it. -#}
{% macro rated_text() %}
{%- if cva.setting('cva_spine') == 'training' -%}
cast(null as {{ cva.numbers_type() }})
{%- else -%}
cva_rate(unrated.body, vectors.embedding, vectors.sentiment)
{%- endif -%}
{% endmacro %}


{#- The fold of a customer, 1 to 5: what rates a customer's reviews was learned from the other folds. -#}
{% macro rating_fold(customer) -%}
position(substr({{ cva.text_hash(customer) }}, 1, 1) in '0123456789abcdef') % 5 + 1
{%- endmacro %}


{#- The vectors to read: the model, or the relation that `cva_text_vectors` names, so that training in a
    schema of its own reads no text again. -#}
{% macro text_vectors() %}
{{- return(cva.setting('cva_text_vectors') or ref('cva', 'int_cva__text_vectors')) -}}
{% endmacro %}


{#- Before a run: tells the SQL functions which packaged encoder reads. -#}
{% macro use_encoder_tier() %}
{{- return(adapter.dispatch('use_encoder_tier', 'cva')()) -}}
{% endmacro %}

{% macro default__use_encoder_tier() %}
{% if execute and cva.setting('cva_udfs') %}
    {% set known = run_query(
        "select count(*) from duckdb_functions() where function_name = 'cva_use_encoder_tier'"
    ).rows[0][0] %}
    {% if known %}
        {% do run_query("select cva_use_encoder_tier('" ~ cva.setting('cva_encoder_tier') ~ "')") %}
    {% endif %}
{% endif %}
{% endmacro %}

{% macro spark__use_encoder_tier() %}{% endmacro %}


{#- Before int_cva__text_vectors is built, in its transaction: vectors of another encoder go, and the log
    says how many texts that means to read again. -#}
{% macro forget_other_encoders() %}
{%- if cva.setting('cva_udfs') and cva.is_text_read() and is_incremental() -%}
{%- set counts = run_query(
    'select count(*), count(texts.text_hash) from ' ~ this ~ ' as vectors left join '
    ~ ref('cva', 'int_cva__review_texts') ~ ' as texts on vectors.text_hash = texts.text_hash '
    ~ 'where vectors.encoder_key <> cva_encoder_key()'
).rows[0] -%}
{%- if counts[0] > 0 -%}
{%- do log('int_cva__text_vectors: the encoder changed; ' ~ '{:,}'.format(counts[1])
    ~ ' texts are read again', info=true) -%}
delete from {{ this }} where encoder_key <> cva_encoder_key()
{%- endif -%}
{%- endif -%}
{% endmacro %}


{#- After the commit: what was journalled on the way is no longer needed. -#}
{% macro forget_the_journal() %}
{%- if cva.setting('cva_udfs') and cva.is_text_read() -%}
select cva_texts_stored()
{%- endif -%}
{% endmacro %}


{#- With `cva_udfs: false` the tables that Python fills have to be there before a run reads them, with the column
    that an earlier version did not write. -#}
{% macro require_filled(relation, remedy, column=none) %}
{% if execute and flags.WHICH in ('run', 'build') %}
    {% set found = load_relation(relation) %}
    {% if found is none or column and column not in adapter.get_columns_in_relation(found) | map(attribute='name') %}
        {% do exceptions.raise_compiler_error(
            relation ~ (' does not exist' if found is none else ' has no column ' ~ column)
            ~ ', and with cva_udfs: false dbt does not make it; run: ' ~ remedy) %}
    {% endif %}
{% endif %}
{% endmacro %}
