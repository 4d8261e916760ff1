"""A gateway that stands before a real peer and tells its clients something else about transactions.

It has the peer's own TLS key, as a host that lies about its own peer has; what it passes on it passes as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
from fabric_protos.gateway import gateway_pb2

from compose.network import Network
from ledger.hyperledger import wire
from ledger.hyperledger.connection import Peer, Profile, load_profile

Lie = Callable[[Any], None]
"""Changes a CommitStatusResponse in place."""


class Middleman(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Every unary method and the event stream of one real peer; `lie` may change what CommitStatus says.

    While it `swallows`, nothing that is submitted gets further, and all of it is said to be valid.
    """

    def __init__(self, real: grpc.Channel) -> None:
        self.lie: Lie | None = None
        self.swallows = False
        self._real = real

    def service(self, details: Any) -> Any:
        method = details.method
        if method == wire.CHAINCODE_EVENTS:
            return grpc.unary_stream_rpc_method_handler(
                lambda data, context: self._listen(method, data, context)
            )
        return grpc.unary_unary_rpc_method_handler(lambda data, context: self._ask(method, data, context))

    def _ask(self, method: str, data: bytes, context: Any) -> bytes:
        if self.swallows and method == wire.SUBMIT:
            return b""
        if self.swallows and method == wire.COMMIT_STATUS:
            return bytes(gateway_pb2.CommitStatusResponse(block_number=7).SerializeToString())
        try:
            answer = self._real.unary_unary(method)(data, timeout=60)
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata())
            context.abort(error.code(), error.details())
        if method == wire.COMMIT_STATUS and self.lie is not None:
            said = gateway_pb2.CommitStatusResponse.FromString(answer)
            self.lie(said)
            return bytes(said.SerializeToString())
        return bytes(answer)

    def _listen(self, method: str, data: bytes, context: Any) -> Iterator[bytes]:
        stream = self._real.unary_stream(method)(data)
        context.add_callback(stream.cancel)
        try:
            yield from stream
        except grpc.RpcError:
            # The client has gone, or the peer has: either way this stream is over.
            return


@contextmanager
def before_peer(network: Network, number: int) -> Iterator[tuple[Middleman, Profile]]:
    """A middleman before an organisation's peer, and the profile of a client that takes it for the peer."""
    profile = load_profile(network.profile(number))
    server = grpc.server(ThreadPoolExecutor(16))
    with _to(profile.peer) as real:
        middleman = Middleman(real)
        server.add_generic_rpc_handlers((middleman,))
        tls = network.layout.node(f"peer{number}") / "tls"
        pair = ((tls / "server.key").read_bytes(), (tls / "server.crt").read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        server.start()
        try:
            yield middleman, replace(profile, peer=replace(profile.peer, endpoint=f"127.0.0.1:{port}"))
        finally:
            server.stop(0).wait()


@contextmanager
def _to(peer: Peer) -> Iterator[grpc.Channel]:
    assert peer.tls_roots is not None
    credentials = grpc.ssl_channel_credentials(peer.tls_roots.read_bytes())
    options = [("grpc.ssl_target_name_override", peer.server_name)]
    with grpc.secure_channel(peer.endpoint, credentials, options) as real:
        yield real
