"""The page's drawings: SVG helpers, axes, colours, and a painter for each plot."""
