"""Links between nodes and clients: identity, mutual TLS, and Cap'n Proto RPC, whose library enters through `rpc` alone."""
