//go:build race

package service

// race says that the tests run under the race detector: so does the server.
const race = true
