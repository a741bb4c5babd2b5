-- Every distance is a number from 0 on, with a threshold, once per input and metric.
select
    input,
    metric,
    count(*) as rows_count
from {{ ref('cva', 'cva_drift') }}
group by input, metric
having
    count(*) > 1
    or max(case when value >= 0 and threshold > 0 and importance >= 0 then 0 else 1 end) = 1
