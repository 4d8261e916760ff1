"""A Hyperledger Fabric channel as the ledger that several organisations share: the client side of it.

`connection` reads a profile and `identity` the X.509 identity it names; `channel` is the typed face of the chaincode, and
all that the rest of Loomark uses; `gateway` asks one peer, `blocks` reads blocks from one, both by `wire`, the one module
that imports gRPC and the protocol's messages (extra `hyperledger`). `receipt` verifies offline what peers endorsed that
they read, under the pins of `roots`; it reads messages with `protobuf`, which takes one spelling of each. What a log and a
checkpoint are is decided in `ledger`; what the chaincode accepts, in `chaincode`.

Importing this package, `errors`, `connection`, `identity`, `channel` or `receipt` needs the base install only::

    from ledger.hyperledger.connection import load_profile
    from ledger.hyperledger.gateway import open_channel

    channel = open_channel(load_profile(Path("Org1.toml")))
    print(channel.latest("log.example/a"))
"""
