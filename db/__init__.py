"""PostgreSQL. One module of functions per table; the caller owns connection and transaction."""
