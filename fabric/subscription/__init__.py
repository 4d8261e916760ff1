"""Named queries and subscriptions: what members asked to be told, and telling them, by webhook or websocket.

| module | decides |
|---|---|
| `queries`, `subscriptions` | what is stored of each, and whose it is |
| `wanted`, `schedule`, `destination` | what may be asked for: pure |
| `progress` | how far a subscription has come, and what each thing that happens makes of that: pure |
| `courier` | one subscription's deliveries: noted before they are sent, and again when they were taken |
| `deliveries` | which subscription is due, and which thread delivers it |
| `post`, `signature`, `report` | one delivery: the connection, the signature, the document |
| `service` | what members do with all this |

What matches a query is for `fabric.query`, who sees it for `fabric.visibility`; HTTP towards members is for `api`.
The promises, and how a receiver verifies a delivery: docs/spec/subscriptions.md.
"""
