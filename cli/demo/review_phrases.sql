-- What reviewers of the sample shop say, one phrase a line: lower case, without a full
-- stop, so that reviews.sql can join them by full stops, commas and "but". The slots:
--   {noun} boots  {name} premium boots
--   {this} this, these  {it} it, them  {they} it, they: agree with the noun, and so do
--   {is} {was} {has} {does} and {s} at the end of a verb
--   {days} until it arrived  {used} days since then  {euros} its price
--   {nth} and {number} of the order  {who} and {occasion} of a present
-- sign: 1 praise, -1 complaint, 0 neither; "but" may stand between 1 and -1.
create table phrase_blocks as
select * from (values
('opening', 'great', 1, $$
absolutely love {this} {noun}
couldn't be happier with {this} {noun}
wow, did not expect {this} {noun} to be that good
best {noun} I've had in years
exactly what I was looking for
what a find
I never write reviews, for {this} {noun} I make an exception
ten out of ten
{this} {noun} {is} brilliant
perfect from start to finish
my new favourite {noun}
great {noun}, great quality
love {this} {noun}
super happy with the {name}
amazing {noun}
fantastic, thank you
so pleased with {this} {noun}
beautiful {noun}
very very happy
$$),
('opening', 'good', 1, $$
happy with {this} {noun}
good {noun}, as described
does what it should
no regrets so far
nothing to complain about
pleased with the {name}
a solid buy
not bad at all
can't fault it really
{noun} arrived as pictured
good overall
all went smoothly
very happy with {this} {noun}
nice {noun}, I like {it}
good buy
I'm happy with {it}
really good {noun}
very satisfied
lovely {noun}
$$),
('opening', 'mixed', 0, $$
mixed feelings about {this} {noun}
it's ok, nothing special
so so
not terrible, not great either
I wanted to like {this} {noun} more than I do
expected a bit more from the description
fine for the price I guess
{this} {noun}: half happy, half not
good idea, average execution
hmm, not sure about {this} {noun}
$$),
('opening', 'bad', -1, $$
really disappointed
not happy at all with {this} {noun}
this is not what I ordered
what a letdown
I had hoped for much more
sorry, but no
don't waste your money on {this} {noun}
can't recommend {this} {noun}
wouldn't give {this} {noun} to anybody
the photos promise more than you get
frustrating from beginning to end
very disappointed
bad quality, bad experience
terrible {noun}
I'm unhappy with {this} {noun}
$$),
('product', 'good', 1, $$
the {name} {is} well made
quality is better than I expected
the {noun} look{s} just like in the photos
after {used} days still very happy with {it}
I use {it} every day now
{they} feel{s} more expensive than {they} {is}
well thought out down to the details
you can tell that somebody cared about the quality
the {noun} did not disappoint
better than the {noun} I had before
simple and does the job
the {noun} {has} earned a place in our house
good quality
great quality for the price
really nice {noun}, well made
very good quality, I love {it}
high quality and looks great
just perfect
exactly as described, very happy with {it}
excellent {noun}, I enjoy {it} every day
looks great and feels great
my whole family likes {it}
$$),
('product', 'fair', 0, $$
the {noun} {is} decent, no more than that
{they} {does} the job
quality is average
looks nicer in the photos than in real life
ok for now, let's see how long {they} last{s}
you get what you pay for
I've had better {noun} and I've had worse
took me {used} days to get used to {it}
the {name} {is} fine for occasional use
not quite what I thought, still usable
$$),
('product', 'bad', -1, $$
the quality is poor
the {noun} {was} damaged when I opened the box
after {used} days I'm already annoyed with {it}
looks cheap and feels cheap
nothing like the pictures
I have not used {it} once since
the {name} {is} not worth the box {they} came in
I expected far better quality
something about the {noun} is just wrong
you can see where they saved money
lasted exactly {used} days
somebody had clearly opened the {noun} before me
very poor quality
cheap material
after {used} days only good for the bin
the {noun} arrived in a bad state
$$),
('fashion', 'good', 1, $$
fits perfectly and the colour is lovely
the fabric is soft and doesn't itch
got compliments at work on day one
survived three washes without losing shape
runs true to size
the stitching is neat everywhere
goes with half of my wardrobe
the colour is even nicer in daylight
comfortable enough to wear all day
beautiful colour and great fit
very comfortable, I love wearing {it}
fits great
soft, warm and really pretty
$$),
('fashion', 'bad', -1, $$
the colour faded after the first wash
runs at least one size too small
the seam came open after {used} days
the fabric is thin and scratchy
it smelled of chemicals and still does
the colour is nothing like on screen
loose threads all over
$$),
('shoes', 'good', 1, $$
comfortable from the first step, no blisters
I walked ten kilometres in {it} without any pain
true to size, even for wide feet
the soles grip well in the rain
light, and they still look smart
easy to clean and no squeaking
the leather gets softer every day
super comfortable, perfect fit
really comfortable and they look great
fit perfectly
$$),
('shoes', 'bad', -1, $$
half a size too small, order bigger
blisters after twenty minutes
the sole is coming off after {used} days
slippery as ice on wet floors
the heel rubs terribly
they squeak with every step
left and right are not the same colour
$$),
('home', 'good', 1, $$
looks lovely in our living room
makes the whole room feel warmer
the colour matches the sofa exactly
bigger than I thought, in a good way
the finish is flawless
beautiful, it looks great on the shelf
so pretty and cosy
really lovely colour
$$),
('home', 'bad', -1, $$
much smaller than the picture suggests
arrived with a chip, and glue does not hide it
the colour clashes with everything I own
smells odd and airing did not help
scratched at the bottom and on one side
looks nothing like in the showroom photo
it wobbles unless you put paper under it
$$),
('beauty', 'good', 1, $$
my skin has not felt this soft in years
no redness, no itching, even with sensitive skin
a little goes a long way
smells fresh without being too strong
my hairdresser asked what I had changed
finally something without that sticky feeling
the scent stays all day
my teenage daughter keeps stealing it
smells amazing
my skin loves it
really good for my skin, very soft
$$),
('beauty', 'bad', -1, $$
gave me a rash within two days
the perfume gives me a headache
dries my skin out instead of helping
half empty after {used} days
the lid leaked all over the parcel
sticky, and the smell stays in the towel
I don't see any effect at all
$$),
('gadgets', 'good', 1, $$
set up in five minutes, even I managed
the battery lasts forever
no dropouts since I plugged {it} in
pairs with my phone straight away
sound and range are better than I dared hope
the buttons feel solid
great sound, easy to set up
works great, very easy to use
very reliable so far
$$),
('gadgets', 'bad', -1, $$
loses the connection twice a day
the battery is empty by noon
stopped working after {used} days
the manual is a bad joke
gets worryingly warm
the app wants my location for no reason
switches itself off whenever it likes
$$),
('toys', 'good', 1, $$
our little one takes {it} everywhere
no sharp edges and no paint coming off
even grandpa wanted a turn
keeps my daughter busy on rainy days
colourful without being loud
my kids love {it}
great fun for the whole family
our son loves {it}
$$),
('toys', 'bad', -1, $$
broken after one afternoon of playing
the paint comes off, not great for toddlers
my son lost interest after five minutes
much too small for the age on the box
one part was missing from the box
smells so much of plastic that I put {it} on the balcony
the dog likes it better than the kids do
$$),
('sports', 'good', 1, $$
held up through {used} days of training
feels great in the hand
light enough to take everywhere
stayed dry through a whole weekend of rain
my coach ordered the same
doesn't slip even when it gets sweaty
good for beginners and not boring later
easy to clean after training
great for training, very comfortable
love training with {it}
perfect for beginners
$$),
('sports', 'bad', -1, $$
smells of rubber and it won't go away
came apart in the second training session
not waterproof, whatever the page says
too heavy for longer trips
slips as soon as you sweat
the material tore after {used} days
meant for children, not for adults
$$),
('food', 'good', 1, $$
tastes wonderful, not too sweet
the whole kitchen smells of it in the morning
the pack was empty in {used} days, that says it all
fresh, with a long best-before date
even my picky kids ask for more
so much better than the supermarket stuff
a proper treat on Sundays
you can taste that nobody saved on ingredients
delicious
tastes great, really fresh
wonderful flavour, we love it
$$),
('food', 'bad', -1, $$
tastes of nothing
best before next week, are they serious
the bag was open and half of it in the box
far too sweet for me
stale, as if it had been open for months
bitter aftertaste that stays all day
the pack is half air
$$),
('delivery', 'quick', 1, $$
arrived after only {days} days
delivery was fast, {days} days
here in {days} days and well packed
quick shipping
{days} days from click to doorstep
parcel came sooner than announced
carefully wrapped, hardly any plastic
the courier even carried it up to the third floor
delivered on time
fast delivery
very fast delivery, great
super fast shipping
delivered quickly and well packed
fast and friendly
$$),
('delivery', 'late', -1, $$
delivery took {days} days
waited {days} days for the parcel
{days} days and no word from anyone
it took {days} days to arrive, tracking stood still
arrived when I no longer needed {it}, after {days} days
had to ask twice where my parcel was
the parcel went round the country for {days} days
promised in 3 days, came in {days}
shipping is painfully slow
very slow delivery, {days} days
far too long for delivery
$$),
('delivery', 'careless', -1, $$
the box was dented
way too much packaging for {this} {noun}
the courier left it in the rain
parcel ended up three houses down the road
no tracking number
$$),
('price', 'fair', 1, $$
worth every cent
for {euros} euros you can't go wrong
{euros} euros is a fair price for this
cheaper than anywhere in town
good value
I've paid twice as much for worse
great price
very good value for money
good price
$$),
('price', 'discount', 1, $$
with the discount a real bargain
got {it} on offer, lucky me
the voucher worked without trouble
reduced price, full quality
only bought {it} because of the discount, to be honest
would not have paid full price for {it}
at the sale price I took two
$$),
('price', 'dear', -1, $$
too expensive for what it is
{euros} euros is a lot for this
a bit pricey
I've seen the same one for less
shipping costs on top are cheeky
the price went down two days after I ordered, of course
$$),
('gift', 'good', 1, $$
bought as a {occasion} present for {who}, big success
was a present for {who} and went down really well
bought for {who}, who loved {it}
was a {occasion} present, {who} hasn't stopped talking about it
a {occasion} present for {who}, eyes lit up
{occasion} present sorted, {who} is delighted
$$),
('gift', 'bad', -1, $$
was meant as a {occasion} present for {who}, that was embarrassing
a present for {who}, who was polite about it, that's all
not something I could give to {who} as a {occasion} present
as a present for {who} it was a flop
bought for {who}, who has already passed {it} on
$$),
('service', 'good', 1, $$
customer service answered within an hour
had a question, got a friendly and useful reply
they sorted out my address mistake without any fuss
replacement came without discussion
there was a handwritten note in the parcel, nice touch
great customer service
very friendly and helpful support
$$),
('service', 'bad', -1, $$
customer service never answered
three emails, zero replies
the hotline hung up on me after half an hour
support only sends canned answers
nobody feels responsible
was told to be patient, twice
terrible customer service
rude and unhelpful support
$$),
('returned', 'bad', -1, $$
sent {it} back
{they} went straight back
returned, and the refund was there within a week
had to send {it} back and pay for the tape myself
returning was easy at least
I returned {it}, not even my neighbour wanted {it}
back to the shop, what a pity
went back in the same box
still annoyed that I had to carry {it} to the post office
$$),
('history', 'first', 0, $$
my first order here
first time I bought from this shop
a friend told me about this shop
found the shop by accident
I was sceptical as I didn't know the shop
was just trying this shop out
$$),
('history', 'repeat', 0, $$
my {nth} order here
this was order number {number}
I've been a customer for a while
{nth} time I order from them
not my first order and so far they got it right
I know the shop from earlier orders
$$),
('intention', 'soon', 1, $$
I've already ordered again
the next basket is already full
next order goes out this week
will order the other colours as well, probably tonight
already have my eye on the next one
I check the new arrivals every week now
won't be the last time, I already picked the next thing
ordering here has become a habit
see you next week
$$),
('intention', 'someday', 1, $$
will be back when I need something again
I don't buy much, when I do it will be here
next year again
if I ever need another one I know where to look
saved the shop for later
might be a while, but I'll come back
will remember this shop for the next occasion
$$),
('intention', 'returning', 1, $$
will definitely order again
I'll be back
gladly again
I wouldn't hesitate to order here again
won't be the last thing I buy here
you've won a regular customer
happy to come back any time
no reason to go anywhere else
from now on I buy my {noun} only here
next time here again for sure
looking forward to the next order
will buy again
I will order here again
happy to order again
definitely buying here again
coming back for sure
$$),
('intention', 'restocking', 1, $$
reordering as soon as {this} {noun} run{s} out
I always keep one in reserve, so the next order is certain
not my first pack, can't be without it
please never stop selling {this} {noun}
would take a subscription if there was one
time to stock up again
I order {it} every few weeks
$$),
('intention', 'despite', 1, $$
I'll give them another chance
will order again anyway, everybody has a bad day
can happen, I'm staying with the shop
I still like this shop
one slip won't drive me away
I'll try another model next time
$$),
('intention', 'undecided', 0, $$
not sure if I'll order again
maybe again, maybe not
let's see about next time
I'll think twice before the next order
next time I'll compare prices first
we'll see whether I come back
would only come back for a good offer
may look around a bit before I order here again
$$),
('intention', 'leaving', -1, $$
probably won't order here again, I found a shop nearby
won't be a regular here, not my kind of shop
don't need anything else from here
I've got what I needed and that's it
unsubscribed from the newsletter, I have enough things
my last order, we are moving abroad
next time I'll buy in town again
I'm switching to another shop, nothing personal
won't need another one for the rest of my life
I have no reason to come back, although all was fine
I'm cutting down on online shopping, so goodbye
another shop has a bigger range, I'm going there now
I won't order again, I don't need more
probably won't buy here again
$$),
('intention', 'upset', -1, $$
never again
won't order here again
that was my last order
they have lost a customer
I'm done with this shop
once and never again
I've deleted my account
in future I'll take my money elsewhere
not coming back, sorry
I would not order here again even for free shipping
the competition gets my next order
nobody in my family will buy here any more
I will not order here again
will not buy from this shop again
I won't come back
$$),
('closing', 'good', 1, $$
thank you
thanks, keep it up
recommended
can recommend
thanks to the whole team
thumbs up
clear recommendation from me
greetings from the north
$$),
('closing', 'mixed', 0, $$
not more, not less
make of that what you will
room for improvement
just my two cents
others may see it differently
$$),
('closing', 'bad', -1, $$
hands off
save your money
be warned
no recommendation from me
please do better
I expected more from you
$$),
('short', 'good', 1, $$
ok
👍
👍👍
top
super
great {noun}
nice {noun}
good {noun} 👍
love {it}
love {it} ❤️
very good
as described
perfect {noun}!!
all good, quick too
{noun} ok
lovely {noun}
would buy again
works
{name}, great
happy 😊
$$),
('short', 'mixed', 0, $$
ok
meh
so so
{noun} ok, delivery not
could be better
average {noun}
it's alright
it's {noun}, what can I say
🤷
hm
$$),
('short', 'bad', -1, $$
no
bad
👎
never again
rubbish {noun}
poor quality
returned
{noun} broken
sadly no
not good
😡
waste of {euros} euros
$$)
) as t (topic, tone, sign, block);

create table phrases as
select
    topic,
    tone,
    sign,
    list_filter(string_split(block, chr(10)), lambda line: line != '') as texts
from phrase_blocks;

-- Reviews that are not put together from phrases, each in place of one of that rating.
create table whole_reviews as
select * from (values
    (1, 5, 'Sehr schöne Qualität und schnelle Lieferung, gerne wieder!'),
    (2, 5, 'とても気に入りました。また買います。'),
    (3, 4, 'Très content de mon achat, livraison un peu lente mais bon produit.'),
    (4, 5, 'Дуже задоволена, рекомендую!'),
    (5, 2, 'Leider nach kurzer Zeit kaputt, der Kundendienst meldet sich nicht.'),
    (6, 4, 'สินค้าดีมาก ส่งไว ขอบคุณค่ะ'),
    (7, 3, $$I usually keep these short, but this order deserves the long version. I
ordered on a Sunday evening because the old one had finally given up and my
sister was coming to stay. The confirmation came within a minute, so far so
good. On Tuesday I got a mail that the parcel was on its way, on Wednesday
another one that it was not, and on Thursday a third one that apologised for
the second. By Friday I had given up hope and bought a cheap replacement in
town, and of course the doorbell rang on Saturday morning at ten to eight. The
courier was friendly and had a dog in the van, which made up for some of it.
Now to the thing itself. The packaging was sensible, no plastic, and
everything was where it should be. The first impression was good: heavier than
I expected, nicely finished, and the colour is the one in the photos, which is
not something I can say of every shop. After a week of use I noticed a small
mark on one side. I wrote to customer service without much hope and got an
answer the same afternoon, from somebody who had actually read my mail. They
offered me a discount or a replacement, and I took the discount, because the
mark faces the wall anyway. So what do I make of it? The product gets four
stars, the delivery two, the service five, and my patience is not rated here.
Would I order again? I think so, yes, though next time I will order a week
earlier and not promise anything to my sister. She, by the way, wants the same
one now, so perhaps it was not as bad as I made it sound at the beginning. If
you are in no hurry, go for it.$$)
) as t (whole_no, rating, body);
