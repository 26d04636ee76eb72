"""What the API serves, one module per resource."""
