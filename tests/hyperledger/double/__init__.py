"""A Hyperledger Fabric network in this process: real gRPC on loopback, real messages, a simulated ledger.

`network` starts one, `authority` makes its certificates, `checks` does what peers check, `simulation` runs the real
chaincode over its real stream, `ledger` orders and validates, `peer` answers, `faults` says what a peer does wrong.
"""
