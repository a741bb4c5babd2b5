"""How to read the page."""

from __future__ import annotations

from html import escape

from cva_sql.cli.report.page import Section

NAME, TITLE = "reading", "How to read this"
TERMS = (
    (
        "A prediction is a mean",
        "Of many customers like this one, the predicted value is what they spend on average. Most "
        "spend less, a few far more; the range from p10 to p90 holds eight in ten or more.",
    ),
    (
        "The typical customer",
        "Attributions start from the prediction for a customer whose features are the shop's "
        "typical ones (the baseline), not from the shop's mean. The packaged rule, which knows no "
        "shop, starts from one who has spent nothing since ordering.",
    ),
    (
        "Attributions add up",
        "By family they are exact: baseline and families together are the prediction. By feature "
        "they are estimates: features of a family share what they have in common.",
    ),
    (
        "Attributions are not causes",
        "They say what the model looked at, not what made a customer buy. That customers with "
        "many orders are worth more does not say that a discount which brings an order makes a "
        "customer worth more; only an experiment tells.",
    ),
    (
        "Past dates are the test",
        "The figures on quality come from dates whose outcome is known, each predicted without "
        "it. They hold as long as the shop goes on as it did.",
    ),
)


def reading() -> Section:
    """The section: what the figures mean, and what they do not."""
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in TERMS)
    sentence = "Predictions are means, and attributions are not causes."
    return Section(NAME, TITLE, sentence, (f"<dl>{terms}</dl>",))
