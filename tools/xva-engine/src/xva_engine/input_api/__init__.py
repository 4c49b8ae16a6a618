"""The input API: packages over HTTP, the reference implementation of the contract in its OpenAPI document."""
