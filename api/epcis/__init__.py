"""The REST binding of EPCIS 2.0: capture, events, queries, subscriptions and discovery, under `/epcis`."""
