// Package tool calls what models and plans may use beside models: HTTP requests
// that the configuration declares, and the tools of MCP servers.
//
// A [Set] knows them all by name. It checks a call's arguments against the tool's
// JSON Schema before anything goes out, bounds the call in time and in bytes,
// and says what became of it by a [orchestration.Failure] that holds no secret.
//
// Whatever has an address is dialed by a guard: it connects to the public
// internet only, and to hosts that the tool's configuration names as private. An
// address is judged as it is dialed, after its name was resolved.
//
// The servers that speak over stdin and stdout are processes of ours: they get a
// minimal environment, are started again at the next call when they have died,
// and end with the Set.
package tool
