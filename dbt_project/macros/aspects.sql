{#- What a sentence of a review may be about, said by phrases that are read like any text: whatever encoder reads
    the shop, they are read by it. `words` of the phrases' language say the same by letters. `cva_aspects` adds a
    shop's own, or takes the place of one of these. The phrases of `other` stand for sentences about none.
    docs/text.md has how well that tells them. -#}
{% macro aspects() %}
{% set found = {
    'quality': {
        'phrases': [
            'The quality is excellent.', 'The fabric is soft and well made.',
            'The material is thin and cheap.', 'It fell apart after a week.',
            'It is very comfortable to wear.', 'It does not work.', 'I could not use it.',
            'It works as described.', 'The food tastes great.', 'It broke after the first use.',
            'The stitching is poor and it has holes.', 'Sturdy and well made.'
        ],
        'words': 'quality|fabric|material|soft|comf[a-z]*|thin|thick|sturdy|flimsy|durable|well[- ]made|made of|fell apart|broke[a-z]*|defect[a-z]*|holes?|scratchy|itchy|works|worked|tast[ey][a-z]*|delicious|food'
    },
    'delivery': {
        'phrases': [
            'It arrived on time.', 'The delivery was fast.', 'Shipping took weeks.', 'It came late.',
            'The parcel never arrived.', 'It was delivered by e-mail within minutes.',
            'I received it the next day.', 'Still waiting for my order to ship.',
            'It got lost in the mail.'
        ],
        'words': 'ship[a-z]*|deliver[a-z]*|arriv[a-z]*|mail|mailed|courier|parcel'
    },
    'price': {
        'phrases': [
            'The price is too high.', 'It is good value for the money.', 'It was on sale.',
            'I paid less with a discount.', 'It is overpriced and not worth the money.',
            'There is an extra fee.', 'A great deal.', 'It is cheaper elsewhere.',
            'The cost is reasonable.', 'I waited until it went on sale and saved money.',
            'There is no extra charge.'
        ],
        'words': 'price[a-z]*|cheap[a-z]*|expensive|costs?|money|discount[a-z]*|sale|worth|fees?|value|paid|pay|deal|overpriced|afford[a-z]*'
    },
    'fit': {
        'phrases': [
            'It fits perfectly.', 'It is too small for me.', 'It runs large, order a size down.',
            'The sleeves are too long.', 'It is tight in the waist.',
            'I usually wear a medium and bought a small.', 'The length is just right for my height.',
            'It is flattering on my body.', 'True to size.'
        ],
        'words': 'fit|fits|fitted|fitting|siz(e|es|ed|ing)|small|large|petite|tight|loose|snug|big|huge|short|shorter|long|longer|length|waist|hips|chest|bust|shoulders|sleeves|flattering|x?xs|xl|hem|hemmed|runs'
    },
    'service': {
        'phrases': [
            'The customer service was helpful.', 'The staff was rude.', 'They refunded my money.',
            'Nobody answered my e-mail.', 'The seller was friendly and responded quickly.',
            'I called support and they solved it.', 'The waiter ignored us.',
            'They refused to exchange it.', 'The sales associate helped me.', 'A great seller.'
        ],
        'words': 'service|seller|staff|support|refund[a-z]*|representatives?|manager|customer|rude|waiter|waitress|associate|employees?'
    },
    'packaging': {
        'phrases': [
            'The packaging is beautiful.', 'It came in a nice box.', 'The box was damaged.',
            'It was wrapped carefully.', 'The envelope was torn.', 'It comes in a cute tin.',
            'The gift box looks great.', 'It was packed badly.', 'No need to wrap it.'
        ],
        'words': 'packag[a-z]*|packed|box|boxes|boxed|envelope|wrap|wrapped|wrapping|tin|holders?|sleeve'
    },
} %}
{% for name, phrases in cva.setting('cva_aspects').items() %}
    {% set own = name | lower if name | lower in found else name %}
    {% do found.update({own: {'phrases': phrases, 'words': none}}) %}
{% endfor %}
{{ return(found) }}
{% endmacro %}


{#- Sentences about no aspect, and what they are called among the phrases. -#}
{% macro no_aspect() %}{{ return('other') }}{% endmacro %}

{% macro no_aspect_phrases() %}
{{ return([
    'I love it.', 'It is beautiful.', 'Great gift.', 'My daughter loved it.',
    'I bought this for my brother.', 'I love the color.', 'I would recommend it.', 'Great product.',
    'I will buy it again.', 'It looks great with jeans.', 'I was so excited.', 'Thank you.',
    'The design is cute.', 'I do not like it.', 'He uses it every day.', 'I ordered it online.',
    'I saw it in the store.', 'A gift card is always a good gift.', 'It is exactly what I wanted.',
    'The pattern is different from the picture.', 'I returned it.', 'They like to eat there.',
    'As described.', 'It was easy to use.'
]) }}
{% endmacro %}


{#- How near a sentence is to an aspect, over the list of its similarities to the phrases, the largest first, and
    `sentence`: the mean of the three nearest, and a little more where one of the words stands in it. No aspect has
    a lead, so that in doubt nothing is said. Both were set on sentences other than those of docs/text.md, by the
    packaged encoder; `scale` says how much further apart another lays the phrases about no aspect. -#}
{% macro aspect_nearness(scale) -%}
(
            {{ cva.list_item('nearest', 1) }} + {{ cva.list_item('nearest', 2) }} + {{ cva.list_item('nearest', 3) }}
        ) / (3 * {{ scale }}) + case
            when aspect = '{{ cva.no_aspect() }}' then 0.05
            {%- for name, line in cva.aspects().items() if line.words %}
            when aspect = '{{ name }}' and {{ cva.matches('lower(sentence)', '(^|[^a-z])(' ~ line.words ~ ')([^a-z]|$)') }} then 0.15
            {%- endfor %}
            else 0
        end
{%- endmacro %}


{#- The deviation of cosines among the phrases about no aspect, by the packaged encoder. -#}
{% macro aspect_spread() %}{{ return(0.1126) }}{% endmacro %}


{#- Over how near, the share of the nearest is a probability: the width was set where that was right as often as it
    says, on the same sentences. -#}
{% macro aspect_width() %}{{ return(0.06) }}{% endmacro %}
