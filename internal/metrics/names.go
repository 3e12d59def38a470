package metrics

import (
	"net/http"
	"strconv"
)

const (
	other         = "other"   // stands for every name that is not ours
	defaultWorker = "default" // performs what no specialist does
)

// names are the values that a label may have.
type names map[string]struct{}

func newNames(list ...string) names {
	n := make(names, len(list))
	for _, name := range list {
		n[name] = struct{}{}
	}
	return n
}

// of returns the name if it is one of ours, and "other" in its place if not.
func (n names) of(name string) string {
	if _, ok := n[name]; ok {
		return name
	}
	return other
}

// methods of HTTP: a caller may send any word.
var methods = newNames(
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
)

// statusCodes are written out once, as every request needs one.
var statusCodes = func() (codes [600]string) {
	for i := range codes {
		codes[i] = strconv.Itoa(i)
	}
	return codes
}()

func codeLabel(code int) string {
	if code < 100 || code >= len(statusCodes) {
		return other
	}
	return statusCodes[code]
}
