"""A black-box conformance suite for the REST binding of EPCIS 2.0: HTTP only, against any server.

It imports nothing of the server under test. Where the server is, it is told by `--epcis-url` or `EPCIS_URL` (the URL below
which `/capture` and `/events` lie), with `--epcis-key` or `EPCIS_KEY` a bearer key for it, and with `--epcis-second-key`
or `EPCIS_SECOND_KEY` one of another client. The documents are made anew for each run, with identifiers nobody used
before, so it can be repeated on a server that holds data; what it captures stays there.

Each test carries the clauses it checks (:mod:`.clauses`): an operation of the binding or a rule of the standard, in our
words, and how much it is required. Where the published artefacts contradict each other the clause says which reading
was taken. The table at the end, and the page `--epcis-report` names, are made from these (:mod:`.report`).
"""
