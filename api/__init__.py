"""The REST API: aiohttp handlers around the functions of `db`."""
