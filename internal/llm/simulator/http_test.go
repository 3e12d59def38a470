package simulator

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A response to a call without a network.
type response struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, h http.Handler, method, path, body string) *response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return &response{w.Code, w.Header(), w.Body.String()}
}

type errorBody struct {
	Message, Type string
	Param, Code   *string
}

func (e errorBody) param() string {
	if e.Param == nil {
		return ""
	}
	return *e.Param
}

// errorBody reads the error as strictly as it is written: all four keys and no others.
func (r *response) errorBody(t *testing.T) errorBody {
	t.Helper()
	var keys struct{ Error map[string]any }
	var out struct{ Error errorBody }
	if err := json.Unmarshal([]byte(r.body), &keys); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &out); err != nil || len(keys.Error) != 4 {
		t.Fatalf("%v: %s", err, r.body)
	}
	return out.Error
}
