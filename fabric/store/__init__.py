"""What was captured, kept: documents, records, salts, jobs, credentials; and the tables projections live in.

`schema` names the tables, `engine` opens databases, `migrate` brings one to this version. `documents`,
`records`, `jobs`, `credentials` and `things` each read and write one concern on a connection they are given,
and never commit. What a record means is left to `fabric.epcis`, who may see it to `fabric.visibility`.
"""

from __future__ import annotations
