"""Ways to run Loomark together with what it stands beside: container files, and a Hyperledger Fabric network on one machine.

`network` starts a real network from plain processes on loopback (``python -m compose.network``); `ccaas` is the peers'
external builder for chaincode that runs as a service. Nothing of this folder is in the distribution.
"""
