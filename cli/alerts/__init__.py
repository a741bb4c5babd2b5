"""`cva alerts`: who is leaving, what was done about it, and handing it on."""
