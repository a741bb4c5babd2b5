"""What a shop is: its database, dbt project, vars and models; the connection, dbt, locks."""
