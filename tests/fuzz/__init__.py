"""Every parser under the verifier, fed with what nobody meant."""
