package api

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A body that stops coming is the caller's fault: it is told so when the server's
// patience has ended, and nobody is woken for it.
func TestBodyThatStopsComing(t *testing.T) {
	w := newWorld(t)
	core, logs := observer.New(zap.ErrorLevel)
	h := New(Options{Driver: w, Reader: w, Defaults: testDefaults(), Logger: zap.New(core)})
	late := iotest.ErrReader(&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded})
	for path, begun := range map[string]string{"/v1/runs": `{"task":`, "/v1/workflows/validate": `name: `} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, io.MultiReader(strings.NewReader(begun), late))
		r.Header.Set("Content-Type", "application/json")
		if path != "/v1/runs" {
			r.Header.Set("Content-Type", "application/yaml")
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code != http.StatusRequestTimeout || logs.Len() > 0 {
			t.Errorf("%s: status %d, %d errors logged", path, answer.Code, logs.Len())
		}
	}
}
