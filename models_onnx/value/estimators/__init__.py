"""What members are made of: buy till you die, linear regressions, boosted trees."""
