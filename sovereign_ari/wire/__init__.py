"""The sockets to Asterisk, and nothing above bytes and ARI objects."""
