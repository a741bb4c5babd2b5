-- Every line of the catalogue is a column of customer_features, in the type of its kind, and back.
with catalogue as (select * from {{ ref('cva', 'cva_feature_catalog') }}),

columns as (
    {%- set features = ref('cva', 'customer_features') %}
    {%- for column in adapter.get_columns_in_relation(features) if execute %}
    select '{{ column.name | replace("'", "''") }}' as feature, '{{ column.dtype }}' as type
    union all
    {%- endfor %}
    select '' as feature, '' as type where 1 = 0
),

keyless as (select * from columns where feature not in ('customer_id', 'as_of_date'))

select
    catalogue.feature as catalogue_feature,
    catalogue.kind,
    keyless.feature as column_name,
    keyless.type
from catalogue
full outer join keyless on catalogue.feature = keyless.feature
where
    catalogue.feature is null
    or keyless.feature is null
    or (catalogue.kind = 'category') = (lower(keyless.type) = 'double')
