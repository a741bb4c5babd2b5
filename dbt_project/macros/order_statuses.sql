{#- What the words of orders.status mean, in the languages of shops; `cva load`, `cva init --scan` and `cva
    doctor` go by them as well. Words are in lower case; a blank may be - or _. `cva_status_counts` and
    `cva_status_cancelled` add to the lists and come before them.

    counts     a sale
    cancelled  none
    refunded   a sale whose money all went back; so does a part of it in `partly refunded`
    asked      not paid, it seems: whether that counts is the shop's to say -#}
{% macro status_words() %}
{{ return({
    'counts': [
        'paid', 'complete', 'completed', 'processing', 'shipped', 'partially shipped', 'dispatched', 'sent',
        'delivered', 'fulfilled', 'partially fulfilled', 'unfulfilled', 'succeeded', 'success', 'successful',
        'captured', 'settled', 'approved', 'accepted', 'confirmed', 'invoiced', 'finished', 'ready to ship',
        'in transit', 'picked up', 'wc completed', 'wc processing',
        'bezahlt', 'versendet', 'versandt', 'verschickt', 'geliefert', 'ausgeliefert', 'zugestellt',
        'abgeschlossen', 'erledigt', 'in bearbeitung', 'teilweise versendet', 'bestätigt',
        'payé', 'payée', 'paye', 'payee', 'expédié', 'expédiée', 'expedie', 'livré', 'livrée', 'livre', 'terminé',
        'terminée', 'termine', 'en cours', 'en préparation', 'paiement accepté', 'confirmé', 'confirmée',
        'pagado', 'pagada', 'enviado', 'enviada', 'entregado', 'entregada', 'completado', 'completada',
        'procesando', 'en proceso', 'finalizado', 'pago aceptado',
        'pagato', 'spedito', 'consegnato', 'completato', 'evaso', 'in lavorazione', 'pagamento accettato',
        'pago', 'paga', 'entregue', 'concluído', 'concluido', 'completo', 'em processamento', 'faturado',
        'betaald', 'verzonden', 'geleverd', 'bezorgd', 'afgerond', 'voltooid', 'in behandeling',
        'opłacone', 'opłacony', 'zapłacone', 'wysłane', 'wysłany', 'dostarczone', 'zrealizowane',
        'zrealizowany', 'zakończone', 'w realizacji',
        'ödendi', 'odendi', 'kargoya verildi', 'teslim edildi', 'tamamlandı', 'hazırlanıyor',
        'оплачен', 'оплачено', 'оплачена', 'отправлен', 'отправлено', 'доставлен', 'доставлено', 'выполнен',
        'выполнено', 'завершен', 'завершён', 'завершено', 'в обработке',
        '交易成功', '已完成', '完成', '已付款', '已支付', '支付成功', '付款成功', '买家已付款', '等待卖家发货',
        '买家已付款，等待卖家发货', '待发货', '已发货', '卖家已发货', '等待买家确认收货', '卖家已发货，等待买家确认',
        '待收货', '已收货', '已签收', '待评价', '已评价', '待出貨', '已出貨', '已送達',
        '完了', '支払済み', '支払い済み', '入金済み', '発送済み', '出荷済み', '配送済み', '処理中',
        '결제완료', '배송중', '배송완료', '구매확정',
    ],
    'cancelled': [
        'cancelled', 'canceled', 'void', 'voided', 'failed', 'declined', 'order cancelled', 'order canceled',
        'payment failed', 'payment declined', 'wc cancelled', 'wc failed',
        'storniert', 'storno', 'abgebrochen', 'annulliert', 'fehlgeschlagen',
        'annulé', 'annulée', 'annule', 'annulee', 'échoué', 'échouée',
        'cancelado', 'cancelada', 'anulado', 'anulada', 'fallido',
        'annullato', 'annullata', 'cancellato', 'fallito', 'falhou',
        'geannuleerd', 'mislukt', 'anulowane', 'anulowany', 'anulowana', 'anulowano',
        'iptal', 'iptal edildi', 'i̇ptal edildi', 'başarısız',
        'отменен', 'отменён', 'отменено', 'отменена', 'отмена', 'аннулирован',
        '交易关闭', '交易關閉', '交易取消', '已取消', '取消', '已关闭', '订单取消', '訂單取消', '已作废',
        'キャンセル', 'キャンセル済み', '取消済み', '취소', '주문취소', '취소완료',
    ],
    'refunded': [
        'refunded', 'fully refunded', 'returned', 'wc refunded', 'erstattet', 'rückerstattet', 'retourniert',
        'remboursé', 'remboursée', 'reembolsado', 'reembolsada', 'devuelto', 'rimborsato', 'devolvido',
        'terugbetaald', 'zwrócone', 'zwrócony', 'iade edildi', 'возвращен', 'возвращён', 'возврат',
        '已退款', '退款成功', '全额退款', '返金済み', '환불완료',
    ],
    'partly refunded': [
        'partially refunded', 'partly refunded', 'partial refund', 'partially returned', 'teilweise erstattet',
        'teilerstattet', 'partiellement remboursé', 'parcialmente reembolsado', 'parzialmente rimborsato',
        'gedeeltelijk terugbetaald', '部分退款', '一部返金',
    ],
    'asked': [
        'pending', 'on hold', 'hold', 'draft', 'checkout draft', 'incomplete', 'overdue', 'requires action',
        'requires payment method', 'requires confirmation', 'wc pending', 'wc on hold', 'wc checkout draft',
        'ausstehend', 'zahlung ausstehend', 'wartet auf zahlung', 'in wartestellung', 'entwurf',
        'en attente', 'brouillon', 'pendiente', 'en espera', 'borrador', 'sin pagar',
        'in attesa', 'in sospeso', 'bozza', 'pendente', 'em espera', 'rascunho',
        'in de wacht', 'openstaand', 'concept', 'oczekujące', 'wstrzymane', 'beklemede', 'bekliyor',
        'в ожидании', 'на удержании', '保留', '保留中', '結帳中', '结算中',
    ],
}) }}
{% endmacro %}


{#- Parts of words, as a regular expression: what neither list has and says one of these is asked as well. -#}
{% macro status_doubts() -%}
cancel|storn|annul|anul|void|declin|reject|refus|fail|abort|abandon|expir|fraud|charge.?back|iptal|отмен|取消|关闭|關閉|キャンセル|unpaid|not.paid|(await|pending|wait).*pay|payment.*(pending|due|required)|unbezahlt|offene.zahlung|(wart|aussteh).*zahlung|impay|non.pay|attente.*(paiement|règlement)|(pendiente|esperando).*pago|(impag|no.pag|não.pag|nao.pag)|(aguardando|attesa|pendente).*pag|non.pagat|onbetaald|betaling|płatno|nieopłac|niezapłac|ödeme.*bekl|ödenmedi|(ожид).*оплат|не.?оплач|未付|未支付|待付款|待支付|等待.*付款|未払|未入金|入金待|支払い?待|결제대기|입금대기|미결제
{%- endmacro %}


{#- A list with what the vars add to it and take from it, as SQL literals: spelt out with - and _, as it
    takes DuckDB long to replace them in each status. -#}
{% macro status_list(meaning) %}
{% set words = {} %}
{% for name in ['counts', 'cancelled'] %}
    {% set said = [] %}
    {% for word in cva.setting('cva_status_' ~ name) %}
        {% do said.extend([word | lower | trim, (word | lower | trim).replace('_', ' ').replace('-', ' ')]) %}
    {% endfor %}
    {% do words.update({name: said}) %}
{% endfor %}
{% set taken = words['counts' if meaning == 'cancelled' else 'cancelled'] %}
{% set all = words.get(meaning, []) + (cva.status_words()[meaning] | reject('in', taken) | list) %}
{% set quoted = [] %}
{% for word in all %}
    {% for spelt in [word, word.replace(' ', '-'), word.replace(' ', '_')] | unique %}
        {% do quoted.append("'" ~ spelt.replace("'", "''") ~ "'") %}
    {% endfor %}
{% endfor %}
{{ return(quoted) }}
{% endmacro %}


{#- Over orders.status: whether it is one of the words of this meaning. -#}
{% macro is_status(meaning) -%}
coalesce({{ cva.is_one_of('lower(status)', cva.status_list(meaning)) }}, false)
{%- endmacro %}


{#- Over a status: counts, cancelled, asked or unknown. -#}
{% macro status_meaning(status) -%}
{%- set word = 'lower(trim(' ~ status ~ '))' -%}
case
    when coalesce(trim({{ status }}), '') = '' then 'counts'
    when {{ cva.is_one_of(word, cva.status_list('cancelled')) }} then 'cancelled'
    when {{ cva.is_one_of(word, cva.status_list('counts')) }} then 'counts'
    when {{ cva.is_one_of(word, cva.status_list('refunded')) }} then 'counts'
    when {{ cva.is_one_of(word, cva.status_list('partly refunded')) }} then 'counts'
    when {{ cva.is_one_of(word, cva.status_list('asked')) }} then 'asked'
    when {{ cva.matches(word, cva.status_doubts()) }} then 'asked'
    else 'unknown'
end
{%- endmacro %}


{#- From rows of status, orders and money: `'on-hold' (3 orders, 60.00)`, five at most. -#}
{% macro statuses_named(rows, noun='orders') %}
{% set named = [] %}
{% for status, count, money in rows[:5] %}
    {% set shown = status if status | length <= 40 else status[:39] ~ '…' %}
    {% set what = noun[:-1] if count == 1 else noun %}
    {% do named.append(
        "'" ~ shown ~ "' (" ~ '{:,}'.format(count) ~ ' ' ~ what ~ ', ' ~ '{:,.2f}'.format(money or 0) ~ ')') %}
{% endfor %}
{{ return(named | join(', ') ~ (' and ' ~ (rows | length - 5) ~ ' more' if rows | length > 5 else '')) }}
{% endmacro %}


{#- In one line: what is not known, with the vars that settle it as dbt and cva's commands take them. -#}
{% macro statuses_asked(rows, settled, noun='orders') %}
{{ return(
    noun ~ ' of status ' ~ cva.statuses_named(rows, noun) ~ ' may not be paid: do they count? ' ~ settled) }}
{% endmacro %}


{% macro statuses_unknown(rows, settled, noun='orders') %}
{{ return(
    'status not known, so it counts: ' ~ cva.statuses_named(rows, noun) ~ '; if one does not, ' ~ settled) }}
{% endmacro %}


{#- All of those that may not be paid, as each has to be settled. -#}
{% macro status_vars(rows, name) %}
{% set words = [] %}
{% for row in rows %}
    {% do words.append('"' ~ row[0].replace('"', '\\"') ~ '"') %}
{% endfor %}
{{ return("--vars '{" ~ name ~ ': [' ~ words | join(', ') | replace("'", "'\\''") ~ "]}'") }}
{% endmacro %}


{#- Says which statuses no list knows, and refuses to go on where some may not be paid: a hook of staged
    orders. A shop with an `is_cancelled` of its own has decided. -#}
{% macro check_statuses(orders) %}
{% if execute and cva.setting('cva_spine') == 'scoring'
    and cva.is_cancelled() | trim == cva.default__is_cancelled() | trim %}
    {% set counted = 'select status, count(*) as order_count, sum(amount) as money from ' ~ orders
        ~ ' where reject_reason is null and cancelled_at is null and status is not null group by status' %}
    {% set rows = run_query(
        'select status, order_count, money, meaning from (select *, ' ~ cva.status_meaning('status')
        ~ ' as meaning from (' ~ counted ~ ") as counted) as judged where meaning in ('asked', 'unknown') "
        ~ 'order by order_count desc, status').rows %}
    {% set found = {'asked': [], 'unknown': []} %}
    {% for row in rows %}{% do found[row[3]].append([row[0], row[1] | int, row[2] | float]) %}{% endfor %}
    {% if found.asked and cva.setting('cva_questions') %}
        {% do exceptions.raise_compiler_error('cva asks: ' ~ cva.statuses_asked(
            found.asked, cva.status_vars(found.asked, 'cva_status_cancelled') ~ ' or cva_status_counts')) %}
    {% endif %}
    {% if found.unknown %}
        {% do log('cva: ' ~ cva.statuses_unknown(
            found.unknown, cva.status_vars(found.unknown[:1], 'cva_status_cancelled')), info=true) %}
    {% endif %}
{% endif %}
{% endmacro %}
