"""The data fabric: EPCIS model, capture, record store, lineage, graph, visibility, trace, compliance, reports.

It stands on `ledger` for evidence and on `ontology` for vocabulary; how people and programs reach it is left
to `api`. Everything about Hyperledger Fabric says `hyperledger` instead.
"""
