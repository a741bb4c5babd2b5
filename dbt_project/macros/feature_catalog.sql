{#- The registry of features, one line a feature. What loops over it: customer_features and its yml, training,
    reasons, `cva explain`, the report, docs/reference/features.md (`make generate`). A line says

      name, label, label_zh     column of customer_features, and what people call it
      family                    the model feat_cva__<family> has the column
      reason_family             what it counts as when reasons are named; the family, where it is not said. A
                                feature that mixes things counts as what it adds up, overdue_ratio as recency
      kind, unit                `number` (default) or `category`; unit: how a value is written, see unit_formats
      by_itself                 what becomes of it while nothing happens: `grows` by up to 1 a day (default where
                                the unit is days), `fades` towards 0, else nothing
      direction                 1: more is worth more, -1: less is; 0 (default): no fixed sign
      description               what people read of the column
      table                     the raw table without which the family has no rows, and is not read
      if_absent                 what stands for customers that the family has no row of, where not NULL
      is_model_input            true, or the var that says it: age, gender and occupation are for auditing
      known_from                the raw column that says since when the value holds: without it nobody knows what
                                was known on a past date, and no model learns from the feature
      is_reason                 false for what says nothing by itself
      is_on                     the var without which there is no such feature
      is_base                   true: every model learns from it. All other families are optional: each has to earn
                                its weight in training. days_since_signup is, as it tells customers without an
                                order apart
      sentence                  how reasons say it: {value}; day[s] and categor[y|ies] for one or many;
                                {horizon_2} for twice the horizon's days. Without it: `label: value`
      zero, one, none           the sentence for 0, for 1 (1 of a rate: all) and for NULL, where they differ

    and `sentence_zh`, `zero_zh` and so on the same in Chinese. `families` has what all lines of a family share
    unless they say otherwise; it needs no entry for a family without. -#}
{% macro feature_catalog() %}
{% set families = {
    'purchases': {'is_required': true, 'is_base': true, 'none': "no order yet", 'none_zh': "尚未下单"},
    'baskets': {'table': 'order_items', 'is_base': true, 'none': "items bought not known", 'none_zh': "所购商品未知"},
    'returns': {'is_base': true, 'none': "no return yet", 'none_zh': "没有退货"},
    'reviews': {'table': 'reviews', 'none': "no review yet", 'none_zh': "尚无评价"},
    'browse': {'table': 'events', 'reason_family': 'browsing', 'none': "no visit known", 'none_zh': "没有已知的访问"},
    'taste': {'table': 'products', 'only_if_read': true, 'reason_family': 'frequency', 'none': "taste not known", 'none_zh': "偏好未知"},
    'attributes': {'table': 'customers'},
    'marketing': {'table': 'marketing_touches', 'none': "not reached by marketing",
        'none_zh': "未被营销触达"},
    'words': {'only_if_read': true, 'none': "not known", 'none_zh': "未知"},
    'sequence': {'is_on': 'cva_use_sequences', 'is_base': true},
    'shop': {'is_required': true, 'is_base': true, 'is_model_input': false}
} %}
{% set lines = [
    {'name': 'orders_count', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'count',
     'direction': 1,
     'label': "orders", 'label_zh': "订单数",
     'description': "Valid orders before as_of_date; 0 where there is none.",
     'sentence': "placed {value} order[s]", 'zero': "no order yet",
     'sentence_zh': "共下单 {value} 次", 'zero_zh': "尚未下单"},
    {'name': 'order_days_count', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'count',
     'direction': 1,
     'label': "days with an order", 'label_zh': "有订单的天数",
     'description': "Days with a valid order; 0 where there is none.",
     'sentence': "ordered on {value} day[s]", 'zero': "no order yet",
     'sentence_zh': "在 {value} 天里下过单", 'zero_zh': "尚未下单"},
    {'name': 'frequency', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'count', 'direction': 1,
     'label': "repeat purchase days", 'label_zh': "复购天数",
     'description': "Days with an order after the first; 0 where there is none.",
     'sentence': "ordered on {value} further day[s]", 'zero': "ordered on no further day",
     'sentence_zh': "首单日之后又有 {value} 天下单", 'zero_zh': "之后没有再下单"},
    {'name': 'recency_days', 'family': 'purchases', 'reason_family': 'recency', 'unit': 'days', 'direction': 1,
     'label': "days from first to last order", 'label_zh': "首单到末单的天数",
     'description': "Days from the first to the last order; null without an order.",
     'sentence': "first and last order {value} day[s] apart", 'zero': "all orders on one day",
     'sentence_zh': "首单与末单相隔 {value} 天", 'zero_zh': "订单都在同一天"},
    {'name': 't_days', 'family': 'purchases', 'reason_family': 'recency', 'unit': 'days',
     'label': "days since the first order", 'label_zh': "距首单天数",
     'description': "Days from the first order to as_of_date; null without an order.",
     'sentence': "first ordered {value} day[s] ago",
     'sentence_zh': "{value} 天前首次下单"},
    {'name': 'days_since_last_order', 'family': 'purchases', 'reason_family': 'recency', 'unit': 'days',
     'direction': -1,
     'label': "days since the last order", 'label_zh': "距上次下单天数",
     'description': "Days from the last order to as_of_date, 1 or more; null without an order.",
     'sentence': "last ordered {value} day[s] ago",
     'sentence_zh': "{value} 天前最近一次下单"},
    {'name': 'monetary_value', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "mean spend on a repeat purchase day", 'label_zh': "复购日平均消费",
     'description': "Mean spend on a purchase day after the first, in the shop's currency; null with fewer "
         "than two days. With `cva_value: net` refunds take the same share off each day.",
     'sentence': "spent {value} per further order day", 'none': "ordered on no further day",
     'sentence_zh': "复购日平均消费 {value}", 'none_zh': "之后没有再下单"},
    {'name': 'historic_value', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "spend so far", 'label_zh': "累计消费",
     'description': "Spend before as_of_date, in the shop's currency; net of refunds with `cva_value: net`; 0 "
         "without an order.",
     'sentence': "spent {value} so far", 'zero': "nothing spent yet",
     'sentence_zh': "累计消费 {value}", 'zero_zh': "尚未消费"},
    {'name': 'order_mean_amount', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "mean order", 'label_zh': "平均订单金额",
     'description': "Mean order, in the shop's currency; null without an order.",
     'sentence': "spent {value} per order on average",
     'sentence_zh': "平均每单 {value}"},
    {'name': 'order_max_amount', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "largest order", 'label_zh': "最大订单金额",
     'description': "Largest order, in the shop's currency; null without an order.",
     'sentence': "largest order was {value}",
     'sentence_zh': "最大一单 {value}"},
    {'name': 'first_order_day_amount', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "spend on the first day", 'label_zh': "首日消费",
     'description': "Spend on the first purchase day, in the shop's currency; null without an order. With "
         "`cva_value: net` refunds take the same share off each day.",
     'sentence': "spent {value} on the first order day",
     'sentence_zh': "首单当天消费 {value}"},
    {'name': 'last_order_amount', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "last order", 'label_zh': "最近一单金额",
     'description': "Amount of the last order, the largest of its day, in the shop's currency; null without "
         "an order.",
     'sentence': "last order was {value}",
     'sentence_zh': "最近一单 {value}"},
    {'name': 'order_amount_cv', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'ratio',
     'is_reason': false,
     'label': "variation between orders", 'label_zh': "订单金额波动",
     'description': "Standard deviation of the order amount over its mean; null with fewer than two orders.",
     'sentence': "order amounts vary by {value} of their mean", 'none': "fewer than two orders",
     'sentence_zh': "订单金额波动为均值的 {value} 倍", 'none_zh': "订单不足两笔"},
    {'name': 'order_amount_trend_rate', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'per day',
     'direction': 1,
     'label': "trend of the order amount per day", 'label_zh': "订单金额每日趋势",
     'description': "Slope of the order amount over time, per day and as a share of the mean order; null with "
         "fewer than two purchase days.",
     'sentence': "order amounts change by {value} of their mean a day", 'zero': "order amounts do not change",
     'none': "ordered on no further day",
     'sentence_zh': "订单金额每天变化均值的 {value}", 'zero_zh': "订单金额没有变化", 'none_zh': "之后没有再下单"},
    {'name': 'gap_mean_days', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'days',
     'direction': -1,
     'label': "mean days between purchases", 'label_zh': "平均购买间隔天数",
     'description': "Mean days between purchase days; null with fewer than two.",
     'sentence': "orders every {value} days on average", 'one': "orders every day on average",
     'none': "ordered on no further day",
     'sentence_zh': "平均每 {value} 天下单一次", 'none_zh': "之后没有再下单"},
    {'name': 'gap_std_days', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'days',
     'is_reason': false,
     'label': "variation of the days between purchases", 'label_zh': "购买间隔波动天数",
     'description': "Standard deviation of the days between purchase days; null with fewer than three.",
     'sentence': "days between orders vary by {value}", 'none': "fewer than three order days",
     'sentence_zh': "下单间隔波动 {value} 天", 'none_zh': "下单日不足三天"},
    {'name': 'gap_max_days', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'days',
     'direction': -1,
     'label': "longest gap between purchases", 'label_zh': "最长购买间隔天数",
     'description': "Longest gap between purchase days, in days; null with fewer than two.",
     'sentence': "longest break between orders was {value} day[s]", 'none': "ordered on no further day",
     'sentence_zh': "下单间隔最长 {value} 天", 'none_zh': "之后没有再下单"},
    {'name': 'gap_last_days', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'days', 'is_model_input': false,
     'is_reason': false, 'by_itself': none,
     'label': "days between the last two purchase days", 'label_zh': "最近两个购买日相隔天数",
     'description': "Days between the last two days with an order; null with fewer than two."},
    {'name': 'overdue_ratio', 'family': 'purchases', 'reason_family': 'recency', 'unit': 'ratio',
     'direction': -1, 'by_itself': 'grows',
     'label': "days since the last order over the mean gap", 'label_zh': "距上次下单天数与平均间隔之比",
     'description': "days_since_last_order over gap_mean_days; null with fewer than two purchase days.",
     'sentence': "no order for {value} times the usual gap", 'none': "ordered on no further day",
     'sentence_zh': "未下单时间为平时间隔的 {value} 倍", 'none_zh': "之后没有再下单"}
] %}
{% for days in [30, 90, 180, 365] %}
{% do lines.extend([
    {'name': 'orders_' ~ days ~ 'd_count', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'count',
     'direction': 1,
     'label': "orders in " ~ days ~ " days", 'label_zh': "近" ~ days ~ "天订单数",
     'description': "Orders in the " ~ days ~ " days before as_of_date.",
     'sentence': "placed {value} order[s] in the last " ~ days ~ " days",
     'zero': "no order in the last " ~ days ~ " days",
     'sentence_zh': "近 " ~ days ~ " 天下单 {value} 次", 'zero_zh': "近 " ~ days ~ " 天没有下单"},
    {'name': 'spend_' ~ days ~ 'd', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "spend in " ~ days ~ " days", 'label_zh': "近" ~ days ~ "天消费",
     'description': "Spend in the " ~ days ~ " days before as_of_date, in the shop's currency; net of refunds "
         "with `cva_value: net`.",
     'sentence': "spent {value} in the last " ~ days ~ " days",
     'zero': "nothing spent in the last " ~ days ~ " days",
     'sentence_zh': "近 " ~ days ~ " 天消费 {value}", 'zero_zh': "近 " ~ days ~ " 天没有消费"}
]) %}
{% endfor %}
{% for but, but_zh in [
    ('', "上一"), (" but one", "倒数第二个"), (" but two", "倒数第三个"), (" but three", "倒数第四个")
] %}
{% set k = loop.index %}
{% set days = 'in the last {horizon_1} days' if k == 1 else '{horizon_' ~ (k - 1) ~ '} to {horizon_' ~ k ~ '} days ago' %}
{% set days_zh = '近 {horizon_1} 天' if k == 1 else '{horizon_' ~ (k - 1) ~ '} 至 {horizon_' ~ k ~ '} 天前' %}
{% do lines.append(
    {'name': 'spend_horizon_' ~ k, 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "spend in the last horizon" ~ but, 'label_zh': but_zh ~ "预测期消费",
     'description': "Spend in the last window" ~ but ~ " as long as the horizon, in the shop's currency; net of "
         "refunds with `cva_value: net`.",
     'sentence': "spent {value} " ~ days, 'zero': "nothing spent " ~ days,
     'sentence_zh': days_zh ~ "消费 {value}", 'zero_zh': days_zh ~ "没有消费"}
) %}
{% endfor %}
{% do lines.extend([
    {'name': 'spend_same_season', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'money',
     'direction': 1,
     'label': "spend in the same season a year before", 'label_zh': "去年同期消费",
     'description': "Spend a year ago in the days that the horizon will cover, in the shop's currency; net of "
         "refunds with `cva_value: net`.",
     'sentence': "spent {value} in the same season a year ago",
     'zero': "nothing spent in the same season a year ago",
     'sentence_zh': "去年同期消费 {value}", 'zero_zh': "去年同期没有消费"},
    {'name': 'season_orders_rate', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'rate',
     'direction': 1,
     'label': "share of orders in the coming season", 'label_zh': "即将到来季节的订单占比",
     'description': "Share of orders that fell into the season of the coming horizon, in any year (0 to 1); "
         "null without an order.",
     'sentence': "{value} of past orders fell in the coming season of the year",
     'zero': "never ordered in the coming season of the year", 'one': "always ordered in the coming season of the year",
     'sentence_zh': "{value} 的订单落在即将到来的季节", 'zero_zh': "从未在即将到来的季节下单", 'one_zh': "总是在即将到来的季节下单"},
    {'name': 'weekend_orders_rate', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'rate',
     'label': "share of orders at a weekend", 'label_zh': "周末订单占比",
     'description': "Share of orders on Saturday or Sunday (0 to 1); null without an order.",
     'sentence': "{value} of orders at a weekend", 'zero': "never ordered at a weekend",
     'one': "always ordered at a weekend",
     'sentence_zh': "{value} 的订单在周末", 'zero_zh': "从未在周末下单", 'one_zh': "总是在周末下单"},
    {'name': 'discount_rate', 'family': 'purchases', 'reason_family': 'spend', 'unit': 'rate',
     'label': "share of discount", 'label_zh': "折扣占比",
     'description': "Discount over discount and spend (0 to 1); null without an order.",
     'sentence': "got {value} off through discounts", 'zero': "never had a discount",
     'sentence_zh': "折扣占 {value}", 'zero_zh': "从未享受折扣"},
    {'name': 'discounted_orders_rate', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'rate',
     'label': "share of orders with a discount", 'label_zh': "有折扣的订单占比",
     'description': "Share of orders with a discount (0 to 1); null without an order.",
     'sentence': "{value} of orders with a discount", 'zero': "never ordered with a discount",
     'one': "always ordered with a discount",
     'sentence_zh': "{value} 的订单有折扣", 'zero_zh': "从未在有折扣时下单", 'one_zh': "总是在有折扣时下单"}
]) %}
{% for days in [30, 90, 180, 365] %}
{% do lines.append(
    {'name': 'decayed_spend' ~ ('' if days == 180 else '_' ~ days ~ 'd'), 'family': 'purchases',
     'reason_family': 'spend', 'unit': 'money', 'direction': 1, 'by_itself': 'fades',
     'label': "recent spend (fading in " ~ days ~ " days)", 'label_zh': "近期消费（" ~ days ~ "天衰减）",
     'description': "Spend, each amount times exp(-age in days / " ~ days ~ "), in the shop's currency; net of "
         "refunds with `cva_value: net`.",
     'sentence': "spent {value} recently, weighted to the last " ~ days ~ " days", 'zero': "nothing spent recently",
     'sentence_zh': "近期消费 {value}，侧重最近 " ~ days ~ " 天", 'zero_zh': "近期没有消费"}
) %}
{% endfor %}
{% do lines.extend([
    {'name': 'decayed_orders', 'family': 'purchases', 'reason_family': 'frequency', 'unit': 'count',
     'direction': 1, 'by_itself': 'fades',
     'label': "recent orders (fading in 180 days)", 'label_zh': "近期订单（180天衰减）",
     'description': "Orders, each counted as exp(-age in days / 180).",
     'sentence': "placed {value} order[s] recently, weighted to the last 180 days", 'zero': "no order yet",
     'sentence_zh': "近期下单 {value} 次，侧重最近 180 天", 'zero_zh': "尚未下单"},
    {'name': 'products_count', 'family': 'baskets', 'reason_family': 'frequency', 'unit': 'count',
     'direction': 1,
     'label': "products bought", 'label_zh': "购买商品数",
     'description': "Different products bought; null where no item is known.",
     'sentence': "bought {value} different product[s]",
     'sentence_zh': "买过 {value} 种商品"},
    {'name': 'categories_count', 'family': 'baskets', 'reason_family': 'frequency', 'unit': 'count',
     'direction': 1,
     'label': "categories bought", 'label_zh': "购买品类数",
     'description': "Different categories bought; null where none is known.",
     'sentence': "bought from {value} categor[y|ies]", 'none': "category of purchases not known",
     'sentence_zh': "买过 {value} 个品类", 'none_zh': "所购品类未知"},
    {'name': 'top_category_rate', 'family': 'baskets', 'reason_family': 'frequency', 'unit': 'rate',
     'label': "share of the main category", 'label_zh': "主要品类占比",
     'description': "Share of item rows in the customer's main category, of those whose category is known (0 "
         "to 1); null where no item is known.",
     'sentence': "{value} of items from the main category", 'one': "bought from one category only",
     'sentence_zh': "{value} 的商品来自主要品类", 'one_zh': "只买同一品类"},
    {'name': 'repeat_product_rate', 'family': 'baskets', 'reason_family': 'frequency', 'unit': 'rate',
     'direction': 1,
     'label': "share of items bought before", 'label_zh': "重复购买商品占比",
     'description': "Share of item rows that repeat a product bought before (0 to 1); null where no item is "
         "known.",
     'sentence': "{value} of items bought before", 'zero': "never bought the same product twice",
     'sentence_zh': "{value} 的商品是重复购买", 'zero_zh': "从未重复购买同一商品"},
    {'name': 'order_mean_quantity', 'family': 'baskets', 'reason_family': 'spend', 'unit': 'count',
     'direction': 1,
     'label': "items per order", 'label_zh': "每单件数",
     'description': "Pieces per order; null where no item is known.",
     'sentence': "bought {value} item[s] per order",
     'sentence_zh': "每单 {value} 件"},
    {'name': 'item_mean_price', 'family': 'baskets', 'reason_family': 'spend', 'unit': 'money', 'direction': 1,
     'label': "mean price of an item", 'label_zh': "商品平均单价",
     'description': "Mean price of a piece, in the shop's currency; null where no item is known.",
     'sentence': "paid {value} per item on average",
     'sentence_zh': "平均每件 {value}"},
    {'name': 'margin_rate', 'family': 'baskets', 'reason_family': 'spend', 'unit': 'rate',
     'label': "margin on what was bought", 'label_zh': "所购商品毛利率",
     'description': "1 - cost / list amount over items with a known cost, negative where sold below cost; "
         "null where no cost is known.",
     'sentence': "{value} margin on what was bought", 'none': "cost of purchases not known",
     'sentence_zh': "所购商品毛利率 {value}", 'none_zh': "所购商品成本未知"},
    {'name': 'returns_count', 'family': 'returns', 'reason_family': 'spend', 'unit': 'count', 'if_absent': 0,
     'label': "returns", 'label_zh': "退货数",
     'description': "Returns before as_of_date; 0 where there is none.",
     'sentence': "made {value} return[s]", 'zero': "no return yet",
     'sentence_zh': "退货 {value} 次", 'zero_zh': "没有退货"},
    {'name': 'refund_amount', 'family': 'returns', 'reason_family': 'spend', 'unit': 'money', 'if_absent': 0,
     'label': "refunds", 'label_zh': "退款金额",
     'description': "Refunds before as_of_date, in the shop's currency; 0 where there is none.",
     'sentence': "got {value} refunded", 'zero': "no refund yet",
     'sentence_zh': "退款 {value}", 'zero_zh': "没有退款"},
    {'name': 'days_since_last_return', 'family': 'returns', 'reason_family': 'recency', 'unit': 'days',
     'label': "days since the last return", 'label_zh': "距上次退货天数",
     'description': "Days from the last return to as_of_date, 1 or more; null without a return.",
     'sentence': "last return {value} day[s] ago",
     'sentence_zh': "{value} 天前最近一次退货"},
    {'name': 'reviews_count', 'family': 'reviews', 'unit': 'count', 'if_absent': 0,
     'label': "reviews", 'label_zh': "评价数",
     'description': "Reviews before as_of_date; 0 where there is none.",
     'sentence': "wrote {value} review[s]", 'zero': "no review yet",
     'sentence_zh': "写过 {value} 条评价", 'zero_zh': "尚无评价"},
    {'name': 'days_since_last_review', 'family': 'reviews', 'unit': 'days',
     'label': "days since the last review", 'label_zh': "距上次评价天数",
     'description': "Days from the last review to as_of_date, 1 or more; null without a review.",
     'sentence': "last review {value} day[s] ago",
     'sentence_zh': "{value} 天前最近一次评价"},
    {'name': 'rating_mean', 'family': 'reviews', 'unit': 'rating', 'direction': 1,
     'label': "mean rating", 'label_zh': "平均评分",
     'description': "Mean rating, on the shop's own scale; null where nothing was rated.",
     'sentence': "rated {value} on average", 'none': "no rating yet",
     'sentence_zh': "平均评分 {value}", 'none_zh': "尚未评分"},
    {'name': 'rating_last', 'family': 'reviews', 'unit': 'rating', 'direction': 1,
     'label': "last rating", 'label_zh': "最近评分",
     'description': "Last rating, on the shop's own scale; null where nothing was rated.",
     'sentence': "last rating was {value}", 'none': "no rating yet",
     'sentence_zh': "最近一次评分 {value}", 'none_zh': "尚未评分"},
    {'name': 'rating_min', 'family': 'reviews', 'unit': 'rating', 'direction': 1,
     'label': "lowest rating", 'label_zh': "最低评分",
     'description': "Lowest rating, on the shop's own scale; null where nothing was rated.",
     'sentence': "lowest rating was {value}", 'none': "no rating yet",
     'sentence_zh': "最低评分 {value}", 'none_zh': "尚未评分"},
    {'name': 'rating_trend_rate', 'family': 'reviews', 'unit': 'per day', 'direction': 1,
     'label': "trend of the rating per day", 'label_zh': "评分每日趋势",
     'description': "Slope of the rating over time, per day; null with ratings on fewer than two days.",
     'sentence': "ratings change by {value} a day", 'zero': "ratings do not change",
     'none': "ratings on fewer than two days",
     'sentence_zh': "评分每天变化 {value}", 'zero_zh': "评分没有变化", 'none_zh': "评分不足两天"},
    {'name': 'sentiment_mean', 'family': 'reviews', 'unit': 'sentiment', 'direction': 1,
     'label': "mean tone of the reviews", 'label_zh': "评价平均语气",
     'description': "Mean tone of the texts, -1 (negative) to 1 (positive); null where no text was read.",
     'sentence': "tone of reviews is {value}, from -1 to 1", 'none': "no review text read",
     'sentence_zh': "评价平均语气 {value}，范围 -1 到 1", 'none_zh': "没有可读的评价文字"},
    {'name': 'sentiment_last', 'family': 'reviews', 'unit': 'sentiment', 'direction': 1,
     'label': "tone of the last review", 'label_zh': "最近评价语气",
     'description': "Tone of the last text, -1 (negative) to 1 (positive); null where no text was read.",
     'sentence': "tone of the last review is {value}, from -1 to 1", 'none': "no review text read",
     'sentence_zh': "最近一条评价语气 {value}，范围 -1 到 1", 'none_zh': "没有可读的评价文字"},
    {'name': 'sentiment_min', 'family': 'reviews', 'unit': 'sentiment', 'direction': 1,
     'label': "tone of the harshest review", 'label_zh': "最差评价语气",
     'description': "Lowest tone of a text, -1 (negative) to 1 (positive); null where no text was read.",
     'sentence': "tone of the harshest review is {value}, from -1 to 1", 'none': "no review text read",
     'sentence_zh': "最差一条评价语气 {value}，范围 -1 到 1", 'none_zh': "没有可读的评价文字"},
    {'name': 'sentiment_trend_rate', 'family': 'reviews', 'unit': 'per day', 'direction': 1,
     'label': "trend of the tone per day", 'label_zh': "语气每日趋势",
     'description': "Slope of the tone over time, per day; null with texts of fewer than two days.",
     'sentence': "tone of reviews changes by {value} a day", 'zero': "tone of reviews does not change",
     'none': "review texts of fewer than two days",
     'sentence_zh': "评价语气每天变化 {value}", 'zero_zh': "评价语气没有变化", 'none_zh': "评价文字不足两天"},
    {'name': 'negative_review_rate', 'family': 'reviews', 'unit': 'rate', 'direction': -1,
     'label': "share of negative reviews", 'label_zh': "差评占比",
     'description': "Share of the texts whose tone is below 0 (0 to 1); null where no text was read.",
     'sentence': "{value} of reviews are negative", 'zero': "no negative review",
     'one': "every review is negative", 'none': "no review text read",
     'sentence_zh': "{value} 的评价为差评", 'zero_zh': "没有差评", 'one_zh': "全部是差评", 'none_zh': "没有可读的评价文字"},
    {'name': 'review_mean_tokens', 'family': 'reviews', 'unit': 'count',
     'label': "mean length of a review", 'label_zh': "评价平均长度",
     'description': "Mean length of a text in tokens; null where no text was read.",
     'sentence': "reviews are {value} tokens long on average", 'none': "no review text read",
     'sentence_zh': "评价平均长 {value} 个词元", 'none_zh': "没有可读的评价文字"}
]) %}
{% for k in range(1, 17) %}
{% do lines.append(
    {'name': 'text_' ~ k, 'family': 'reviews', 'unit': 'component', 'is_reason': false,
     'label': "what the reviews say, part " ~ k, 'label_zh': "评价内容（第" ~ k ~ "部分）",
     'description': "Mean of component " ~ k ~ " of the texts' vectors in the directions of the deployed model; "
         "null where no text was read or the model has none."}
) %}
{% endfor %}
{% for kind, said, said_zh, of in [
    ('bought', "what was bought", "所购商品", "texts of products bought, weighted by spend"),
    ('searched', "what was searched for", "搜索内容", "searches, of texts that two people at least had searched for by then"),
    ('asked', "what tickets say", "工单内容", "tickets")
] %}
{% for k in range(1, 9) %}
{% do lines.append(
    {'name': kind ~ '_' ~ k, 'family': 'words', 'unit': 'component', 'is_reason': false,
     'label': said ~ ", part " ~ k, 'label_zh': said_zh ~ "（第" ~ k ~ "部分）",
     'description': "Decayed mean (180 days) of component " ~ k ~ " of the vectors of " ~ of ~ ", in the directions "
         "of the deployed model; null where there is none or the model has none."}
) %}
{% endfor %}
{% endfor %}
{% do lines.extend([
    {'name': 'searches_count', 'family': 'words', 'unit': 'count', 'if_absent': 0,
     'label': "searches", 'label_zh': "搜索次数",
     'description': "Different searches a day before as_of_date, of browsers that had been named as the customer by then; 0 where there is none.",
     'sentence': "searched {value} time[s]", 'zero': "no search known",
     'sentence_zh': "搜索 {value} 次", 'zero_zh': "没有已知的搜索"},
    {'name': 'tickets_count', 'family': 'words', 'unit': 'count', 'if_absent': 0,
     'label': "tickets", 'label_zh': "工单数",
     'description': "Tickets opened before as_of_date; 0 where there is none.",
     'sentence': "opened {value} ticket[s]", 'zero': "no ticket yet",
     'sentence_zh': "提交工单 {value} 次", 'zero_zh': "没有工单"},
    {'name': 'visits_count', 'family': 'browse', 'unit': 'count', 'direction': 1, 'if_absent': 0,
     'label': "visits", 'label_zh': "访问次数",
     'description': "Visits before as_of_date, of browsers that had been named as the customer by then; 0 where there is none.",
     'sentence': "visited {value} time[s]", 'zero': "no visit known",
     'sentence_zh': "访问 {value} 次", 'zero_zh': "没有已知的访问"},
    {'name': 'visits_30d_count', 'family': 'browse', 'unit': 'count', 'direction': 1, 'if_absent': 0,
     'label': "visits in 30 days", 'label_zh': "近 30 天访问次数",
     'description': "Visits of the last 30 days; 0 where there is none.",
     'sentence': "visited {value} time[s] in 30 days", 'zero': "no visit in 30 days",
     'sentence_zh': "近 30 天访问 {value} 次", 'zero_zh': "近 30 天没有访问"},
    {'name': 'visits_90d_count', 'family': 'browse', 'unit': 'count', 'direction': 1, 'if_absent': 0,
     'label': "visits in 90 days", 'label_zh': "近 90 天访问次数",
     'description': "Visits of the last 90 days; 0 where there is none.",
     'sentence': "visited {value} time[s] in 90 days", 'zero': "no visit in 90 days",
     'sentence_zh': "近 90 天访问 {value} 次", 'zero_zh': "近 90 天没有访问"},
    {'name': 'visit_days_90d_count', 'family': 'browse', 'unit': 'count', 'direction': 1, 'if_absent': 0,
     'label': "days with a visit in 90 days", 'label_zh': "近 90 天有访问的天数",
     'description': "Days of the last 90 with a visit; 0 where there is none.",
     'sentence': "visited on {value} day[s] of the last 90", 'zero': "no visit in 90 days",
     'sentence_zh': "近 90 天中有 {value} 天访问", 'zero_zh': "近 90 天没有访问"},
    {'name': 'days_since_last_visit', 'family': 'browse', 'unit': 'days',
     'label': "days since the last visit", 'label_zh': "距上次访问天数",
     'description': "Days from the last visit to as_of_date, 1 or more; null without a visit.",
     'sentence': "last visit {value} day[s] ago",
     'sentence_zh': "{value} 天前最近一次访问"},
    {'name': 'visit_mean_seconds', 'family': 'browse', 'unit': 'seconds',
     'label': "mean length of a visit", 'label_zh': "平均访问时长",
     'description': "Mean length of a visit in seconds, what its events lasted or from its first to its last; null without a visit.",
     'sentence': "visits last {value} seconds on average",
     'sentence_zh': "每次访问平均 {value} 秒"},
    {'name': 'visit_mean_views', 'family': 'browse', 'unit': 'count',
     'label': "pages per visit", 'label_zh': "每次访问浏览页数",
     'description': "Pages and products looked at per visit; null without a visit.",
     'sentence': "looks at {value} page[s] per visit",
     'sentence_zh': "每次访问浏览 {value} 页"},
    {'name': 'product_visits_rate', 'family': 'browse', 'unit': 'rate', 'direction': 1,
     'label': "visits that look at a product", 'label_zh': "浏览商品的访问占比",
     'description': "Share of visits that look at a product (0 to 1); null without a visit.",
     'sentence': "{value} of visits look at a product", 'zero': "visits never look at a product",
     'sentence_zh': "{value} 的访问浏览商品", 'zero_zh': "访问从未浏览商品"},
    {'name': 'cart_visits_rate', 'family': 'browse', 'unit': 'rate', 'direction': 1,
     'label': "visits that put something into the cart", 'label_zh': "加入购物车的访问占比",
     'description': "Share of visits that put something into the cart (0 to 1); null without a visit.",
     'sentence': "{value} of visits put something into the cart", 'zero': "visits never put something into the cart",
     'sentence_zh': "{value} 的访问加入购物车", 'zero_zh': "访问从未加入购物车"},
    {'name': 'checkout_visits_rate', 'family': 'browse', 'unit': 'rate', 'direction': 1,
     'label': "visits that go to checkout", 'label_zh': "进入结账的访问占比",
     'description': "Share of visits that go to checkout (0 to 1); null without a visit.",
     'sentence': "{value} of visits go to checkout", 'zero': "visits never go to checkout",
     'sentence_zh': "{value} 的访问进入结账", 'zero_zh': "访问从未进入结账"},
    {'name': 'view_cart_rate', 'family': 'browse', 'unit': 'rate', 'direction': 1,
     'label': "visits with a product that fill the cart", 'label_zh': "浏览商品后加购占比",
     'description': "Visits that put something into the cart, as a share of those that look at a product (0 to 1); null where none does.",
     'sentence': "{value} of visits that look at a product fill the cart", 'zero': "looks at products and never fills the cart",
     'sentence_zh': "{value} 的商品浏览访问加入购物车", 'zero_zh': "浏览商品但从未加购"},
    {'name': 'cart_order_rate', 'family': 'browse', 'unit': 'rate', 'direction': 1,
     'label': "carts that were bought", 'label_zh': "加购后下单占比",
     'description': "Share of the days with something put into the cart on which there was an order or a purchase as well (0 to 1); null without a cart.",
     'sentence': "{value} of days with a cart end in an order", 'zero': "never ordered on a day with a cart",
     'sentence_zh': "{value} 的加购日当天下单", 'zero_zh': "加购当天从未下单"},
    {'name': 'abandoned_carts_count', 'family': 'browse', 'unit': 'count', 'if_absent': 0,
     'label': "carts since the last order", 'label_zh': "上次下单后的加购次数",
     'description': "Visits of the last 30 days that put something into the cart, after the last day with an order or a purchase; 0 where there is none.",
     'sentence': "filled the cart in {value} visit[s] since the last order", 'zero': "no cart left since the last order",
     'sentence_zh': "上次下单后有 {value} 次访问加购", 'zero_zh': "上次下单后没有未结的购物车"},
    {'name': 'is_browsing_what_was_bought', 'family': 'browse', 'unit': 'flag',
     'label': "looks at the category bought most", 'label_zh': "浏览最常购买的品类",
     'description': "1 where the category looked at on most days is the one bought most, else 0; null where either is not known.",
     'sentence': "looks most at the category bought most", 'zero': "looks most at another category than the one bought most",
     'sentence_zh': "最常浏览的品类就是最常购买的品类", 'zero_zh': "最常浏览的品类不是最常购买的品类"}
]) %}
{% for kind, plural, tell, basis_zh, seen_zh in [
    ('text', "texts", "say", "文字", "商品文字"),
    ('image', "pictures", "look like", "图片", "商品外观")
] %}
{% do lines.extend([
    {'name': kind ~ '_taste_breadth', 'family': 'taste', 'unit': 'ratio',
     'label': "how broad the taste is, by " ~ plural, 'label_zh': "按" ~ basis_zh ~ "看的偏好广度",
     'description': "One less the length of the mean direction of the vectors of products bought before as_of_date, by their " ~ plural ~ ": 0 where "
         "all are alike, towards 1 the more they differ; null where nothing bought has a vector.",
     'sentence': "what was bought differs by {value} (0 to 1), going by what products " ~ tell, 'zero': "all that was bought is alike, going by what products " ~ tell,
     'sentence_zh': "按" ~ seen_zh ~ "看，所购商品差异为 {value}（0 到 1）", 'zero_zh': "按" ~ seen_zh ~ "看，所购商品都相似"},
    {'name': kind ~ '_taste_drift', 'family': 'taste', 'unit': 'ratio',
     'label': "change of taste, by " ~ plural, 'label_zh': "按" ~ basis_zh ~ "看的偏好变化",
     'description': "One less the cosine between the mean directions of the vectors of products bought in the last 180 days and of those "
         "bought before, by their " ~ plural ~ ": 0 where they are the same, 1 where they have nothing in common, 2 at most; null without both.",
     'sentence': "taste moved by {value} (0 to 2) in 180 days, going by what products " ~ tell, 'zero': "taste stayed the same, going by what products " ~ tell,
     'none': "no change of taste known", 'sentence_zh': "按" ~ seen_zh ~ "看，近 180 天偏好变化为 {value}（0 到 2）",
     'zero_zh': "按" ~ seen_zh ~ "看，偏好没有变化", 'none_zh': "偏好变化未知"},
    {'name': kind ~ '_browsed_similarity', 'family': 'taste', 'reason_family': 'browsing', 'unit': 'ratio',
     'label': "looks at what is like the things bought, by " ~ plural, 'label_zh': "按" ~ basis_zh ~ "看浏览与所购的相似度",
     'description': "Cosine between the mean directions of the vectors of products looked at and of those bought before as_of_date, by "
         "their " ~ plural ~ ", of one product a day and browser (-1 to 1); null without both.",
     'sentence': "looks at products {value} like those bought (-1 to 1), going by what products " ~ tell,
     'zero': "looks at products unlike those bought, going by what products " ~ tell, 'one': "looks at products just like those bought, going by what products " ~ tell,
     'none': "nothing known of what is looked at", 'sentence_zh': "按" ~ seen_zh ~ "看，浏览商品与所购商品的相似度为 {value}（-1 到 1）",
     'zero_zh': "按" ~ seen_zh ~ "看，浏览商品与所购商品不同", 'one_zh': "按" ~ seen_zh ~ "看，浏览商品与所购商品一样", 'none_zh': "浏览偏好未知"}
]) %}
{% endfor %}
{% do lines.extend([
    {'name': 'days_since_signup', 'family': 'attributes', 'unit': 'days', 'is_base': true,
     'label': "days since sign-up", 'label_zh': "注册天数",
     'description': "Days from sign-up to as_of_date, 1 or more; null where unknown.",
     'sentence': "signed up {value} day[s] ago", 'none': "sign-up date not known",
     'sentence_zh': "{value} 天前注册", 'none_zh': "注册日期未知"},
    {'name': 'country', 'family': 'attributes', 'kind': 'category',
     'label': "country", 'label_zh': "国家",
     'description': "As the shop names it; null where unknown.",
     'none': "country not known",
     'none_zh': "国家未知"},
    {'name': 'acquisition_channel', 'family': 'attributes', 'kind': 'category',
     'label': "acquisition channel", 'label_zh': "获客渠道",
     'description': "Where the customer came from, as the shop names it; null where unknown.",
     'none': "acquisition channel not known",
     'none_zh': "获客渠道未知"},
    {'name': 'has_marketing_consent', 'family': 'attributes', 'unit': 'flag', 'direction': 1,
     'known_from': 'valid_from',
     'label': "agreed to marketing", 'label_zh': "同意接收营销",
     'description': "1 agreed to marketing, 0 did not; null where unknown. A model input only where `customers` has "
         "`valid_from`.",
     'sentence': "agreed to marketing", 'zero': "did not agree to marketing",
     'none': "agreement to marketing not known",
     'sentence_zh': "同意接收营销", 'zero_zh': "不同意接收营销", 'none_zh': "是否同意营销未知"},
    {'name': 'age', 'family': 'attributes', 'unit': 'years', 'is_model_input': 'cva_use_demographics',
     'known_from': 'valid_from',
     'label': "age", 'label_zh': "年龄",
     'description': "Years; null where unknown. For auditing, a model input only with `cva_use_demographics`.",
     'sentence': "is {value} year[s] old", 'none': "age not known",
     'sentence_zh': "年龄 {value} 岁", 'none_zh': "年龄未知"},
    {'name': 'age_band', 'family': 'attributes', 'kind': 'category', 'is_model_input': 'cva_use_demographics',
     'known_from': 'valid_from',
     'label': "age band", 'label_zh': "年龄段",
     'description': "Such as 25-34: the shop's own, else by age; null where unknown. For auditing, like age.",
     'none': "age not known",
     'none_zh': "年龄未知"},
    {'name': 'gender', 'family': 'attributes', 'kind': 'category', 'is_model_input': 'cva_use_demographics',
     'known_from': 'valid_from',
     'label': "gender", 'label_zh': "性别",
     'description': "As the shop names it; null where unknown. For auditing, like age.",
     'none': "gender not known",
     'none_zh': "性别未知"},
    {'name': 'occupation', 'family': 'attributes', 'kind': 'category',
     'is_model_input': 'cva_use_demographics', 'known_from': 'valid_from',
     'label': "occupation", 'label_zh': "职业",
     'description': "As the shop names it; null where unknown. For auditing, like age.",
     'none': "occupation not known",
     'none_zh': "职业未知"},
    {'name': 'touches_count', 'family': 'marketing', 'unit': 'count', 'if_absent': 0,
     'label': "marketing touches", 'label_zh': "营销触达次数",
     'description': "Times marketing reached the customer before as_of_date, controls left out; 0 where it did not.",
     'sentence': "reached by marketing {value} time[s]", 'zero': "not reached by marketing",
     'sentence_zh': "被营销触达 {value} 次", 'zero_zh': "未被营销触达"},
    {'name': 'touches_30d_count', 'family': 'marketing', 'unit': 'count', 'if_absent': 0, 'by_itself': 'fades',
     'label': "marketing touches in 30 days", 'label_zh': "近 30 天营销触达次数",
     'description': "The same in the 30 days before as_of_date.",
     'sentence': "reached by marketing {value} time[s] in 30 days", 'zero': "not reached by marketing in 30 days",
     'sentence_zh': "近 30 天被营销触达 {value} 次", 'zero_zh': "近 30 天未被营销触达"},
    {'name': 'touches_90d_count', 'family': 'marketing', 'unit': 'count', 'if_absent': 0, 'by_itself': 'fades',
     'label': "marketing touches in 90 days", 'label_zh': "近 90 天营销触达次数",
     'description': "The same in the 90 days before as_of_date.",
     'sentence': "reached by marketing {value} time[s] in 90 days", 'zero': "not reached by marketing in 90 days",
     'sentence_zh': "近 90 天被营销触达 {value} 次", 'zero_zh': "近 90 天未被营销触达"},
    {'name': 'days_since_last_touch', 'family': 'marketing', 'unit': 'days',
     'label': "days since the last marketing touch", 'label_zh': "距上次营销触达天数",
     'description': "Days from the last touch to as_of_date, 1 or more; null without one.",
     'sentence': "last reached by marketing {value} day[s] ago",
     'sentence_zh': "{value} 天前最近一次被营销触达"},
    {'name': 'unanswered_touches_count', 'family': 'marketing', 'unit': 'count', 'if_absent': 0,
     'label': "touches since the last order", 'label_zh': "末单后的营销触达次数",
     'description': "Touches that no order has followed yet: how tired of it the customer may be; 0 where there "
         "is none.",
     'sentence': "no order after the last {value} marketing touch[es]", 'zero': "no marketing since the last order",
     'sentence_zh': "最近 {value} 次营销触达后未下单", 'zero_zh': "末单后未被营销触达"},
    {'name': 'response_rate', 'family': 'marketing', 'unit': 'rate', 'direction': 1,
     'label': "touches answered by an order", 'label_zh': "营销触达后下单的比例",
     'description': "Share of touches that an order followed within `cva_response_days`, of those old enough; "
         "null without one.",
     'sentence': "ordered after {value} of marketing touches", 'zero': "never ordered after a marketing touch",
     'one': "ordered after each marketing touch", 'none': "no marketing touch old enough to judge",
     'sentence_zh': "{value} 的营销触达后下单", 'zero_zh': "营销触达后从未下单", 'one_zh': "每次营销触达后都下单",
     'none_zh': "尚无可判断的营销触达"},
    {'name': 'visit_response_rate', 'family': 'marketing', 'unit': 'rate', 'direction': 1,
     'label': "touches answered by a visit", 'label_zh': "营销触达后到访的比例",
     'description': "Share of touches that a visit followed within `cva_response_days`, of those old enough; "
         "null without one, and where the shop has no `events`.",
     'sentence': "visited after {value} of marketing touches", 'zero': "never visited after a marketing touch",
     'one': "visited after each marketing touch", 'none': "no marketing touch old enough to judge by visits",
     'sentence_zh': "{value} 的营销触达后到访", 'zero_zh': "营销触达后从未到访", 'one_zh': "每次营销触达后都到访",
     'none_zh': "尚无可按到访判断的营销触达"},
    {'name': 'touch_cost', 'family': 'marketing', 'unit': 'money',
     'label': "cost of marketing touches", 'label_zh': "营销触达成本",
     'description': "What touches before as_of_date cost, in the shop's currency; null where no cost is known.",
     'sentence': "marketing to the customer cost {value}", 'none': "cost of marketing not known",
     'sentence_zh': "对该客户的营销花费 {value}", 'none_zh': "营销成本未知"},
    {'name': 'horizon_days', 'family': 'shop', 'reason_family': 'recency', 'unit': 'days',
     'label': "length of the forecast", 'label_zh': "预测天数",
     'description': "Length of the forecast, in days (`cva_horizon_days`)."},
    {'name': 'shop_history_days', 'family': 'shop', 'reason_family': 'spend', 'unit': 'days',
     'label': "days of history of the shop", 'label_zh': "店铺历史天数",
     'description': "Days from the shop's first valid order to as_of_date; 0 where there is none."},
    {'name': 'shop_spend_level', 'family': 'shop', 'reason_family': 'spend', 'unit': 'ratio',
     'label': "level of spend by back-test", 'label_zh': "回测消费水平",
     'description': "What the decayed past would have predicted a horizon ago is multiplied by this to give "
         "what was spent (0.2 to 5); 1 with less than two horizons of history."},
    {'name': 'shop_orders_level', 'family': 'shop', 'reason_family': 'frequency', 'unit': 'ratio',
     'label': "level of orders by back-test", 'label_zh': "回测订单水平",
     'description': "The same for the number of orders (0.2 to 5); 1 with less than two horizons of history."},
    {'name': 'shop_retention_rate', 'family': 'shop', 'reason_family': 'frequency', 'unit': 'rate',
     'label': "share of spend kept from one horizon to the next", 'label_zh': "消费留存率",
     'description': "Share of spend kept from one horizon to the next (0.3 to 0.98); 0.8 with less than three "
         "horizons of history."},
    {'name': 'shop_cold_start_value', 'family': 'shop', 'reason_family': 'spend', 'unit': 'money',
     'label': "mean spend of customers without an order", 'label_zh': "无订单客户平均消费",
     'description': "Mean spend in the last horizon of customers seen but without an order before it, in the "
         "shop's currency; 0 where there were none."},
    {'name': 'shop_cold_start_purchase_rate', 'family': 'shop', 'reason_family': 'frequency', 'unit': 'rate',
     'label': "share of customers without an order who buy", 'label_zh': "无订单客户购买率",
     'description': "Share of those customers who bought in the last horizon (0 to 1); 0 where there were "
         "none."},
    {'name': 'shop_error_spread', 'family': 'shop', 'reason_family': 'spend', 'unit': 'ratio',
     'label': "spread of the rule's error", 'label_zh': "规则误差幅度",
     'description': "Standard deviation of log(spent / predicted) over those who bought; 0.8 with fewer than "
         "30 of them."}
]) %}
{% for place in ['', ' but one', ' but two', ' but three', ' but four', ' but five', ' but six', ' but seven'] %}
{% set k = loop.index %}
{% set nth = 'the last day' ~ place ~ ' with an order' %}
{% set nth_zh = '最近第 ' ~ k ~ ' 个下单日' %}
{% do lines.extend([
    {'name': 'order_day_' ~ k ~ '_age', 'family': 'sequence', 'reason_family': 'recency', 'unit': 'count',
     'by_itself': 'grows',
     'label': "days since " ~ nth, 'label_zh': "距" ~ nth_zh ~ "的天数",
     'sentence': nth ~ " was {value} day[s] ago", 'sentence_zh': "距" ~ nth_zh ~ " {value} 天",
     'none': "no " ~ k ~ " days with an order", 'none_zh': "没有 " ~ k ~ " 个下单日",
     'description': "Days from " ~ nth ~ " to as_of_date, 1 or more; null without one. Only with `cva_use_sequences`."},
    {'name': 'order_day_' ~ k ~ '_amount', 'family': 'sequence', 'reason_family': 'spend', 'unit': 'money',
     'label': "spend on " ~ nth, 'label_zh': nth_zh ~ "的消费",
     'sentence': "spent {value} on " ~ nth, 'sentence_zh': nth_zh ~ "消费 {value}",
     'none': "no " ~ k ~ " days with an order", 'none_zh': "没有 " ~ k ~ " 个下单日",
     'description': "Spend on " ~ nth ~ ", in the shop's currency; null without one. Only with `cva_use_sequences`."}
]) %}
{% endfor %}
{% set features = [] %}
{% for line in lines %}
    {% set feature = {
        'reason_family': line.family, 'kind': 'number', 'direction': 0, 'if_absent': none,
        'unit': 'text' if line.kind == 'category' else '', 'is_model_input': true, 'is_reason': true,
        'is_base': false, 'by_itself': 'grows' if line.unit == 'days' else none
    } %}
    {% do feature.update(families.get(line.family, {})) %}
    {% do feature.update(line) %}
    {% do features.append(feature) %}
{% endfor %}
{{ return(features) }}
{% endmacro %}


{#- Reason families that only features of the user's own count as. Each family that a shop has features of
    doubles what it takes to explain a customer. -#}
{% macro own_reason_families() %}{{ return(['browsing', 'marketing', 'own']) }}{% endmacro %}
