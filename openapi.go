// Package tutti holds what the whole module shares: the HTTP contract, and the
// schema of workflow templates.
package tutti

import _ "embed"

// OpenAPI is openapi.yaml, the contract that package api serves, checks
// requests against, and is tested by.
//
//go:embed openapi.yaml
var OpenAPI []byte
