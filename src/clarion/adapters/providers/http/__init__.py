"""Vendors that are spoken to over HTTP: the exchange with them, and what is the same for all of them."""
