"""The anchor: a child process of a node that takes part in a Hyperledger Fabric channel for it (docs/spec/anchor.md).

It submits the node's published checkpoints, cosigns those of all organisations that its own peer marked VALID, collects
the organisations' lines under the node's own until they make the quorum, and follows other organisations' logs. It reads
what is published in the data folder and never touches the node's database; what it must not forget lies in its own,
`hyperledger/anchor.db`. What it asks of a channel is :class:`.face.AnchorChannel`; what a channel accepts is the
chaincode's business, and is checked here again before anything is signed.

========== =========================================================================================
`store`     what must survive: backlog, position in the events, what was cosigned and not yet sent
`submit`    which checkpoints are anchored, and one after the other
`cosigner`  what may be cosigned: persisted first, sent afterwards
`quorum`    the organisations' lines under an own checkpoint, and the file `log/anchored`
`follow`    what another organisation's server shows against what it anchored
`run`       the loops around these, for one process; `companion` is that process as the node holds it
`status`    what the node, its metrics and `loomark hyperledger status` say about it
========== =========================================================================================
"""
