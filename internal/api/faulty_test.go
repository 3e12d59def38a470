package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// A body in which everything is wrong costs no more than one costs that is right, as
// what is wrong is looked for until there are a hundred faults. The answer says so.
func TestManyFaultsCostLittle(t *testing.T) {
	const most = 80 << 20 // bytes; a context of that size takes 64 MB
	w, defaults := newWorld(t), testDefaults()
	defaults.Limits.MaxSubtasks = 1000
	h := New(Options{Driver: w, Reader: w, Defaults: defaults})
	for name, tc := range map[string]struct {
		part   string
		status int
	}{
		"right":        {`"context":{"list":[` + many("0", 500_000) + `]}`, http.StatusAccepted},
		"numbers":      {`"plan":{"subtasks":[` + many("0", 500_000) + `]}`, http.StatusBadRequest},
		"objects":      {`"plan":{"subtasks":[` + many("{}", 340_000) + `]}`, http.StatusBadRequest},
		"empty":        {`"policy":[` + many("{}", 340_000) + `]`, http.StatusBadRequest},
		"dependencies": {`"plan":{"subtasks":[` + many(`{"depends_on":[`+many("0", 900)+`]}`, 500) + `]}`, http.StatusBadRequest},
		"labels":       {`"labels":{` + manyKeys(20_000) + `}`, http.StatusBadRequest},
		"bodies": {
			`"plan":{"subtasks":[` + many(`{"for_each":{"items":"x","body":[`+many(`{"depends_on":[`+many("0", 90)+`]}`, 60)+`]}}`, 60) + `]}`, http.StatusBadRequest,
		},
		"unknown": {`"plan":{"subtasks":[` + many(`{"id":"a","description":"d","depends_on":[`+many(`"x"`, 230)+`]}`, 1000) + `]}`, http.StatusUnprocessableEntity},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/runs", strings.NewReader(`{"task":"t",`+tc.part+`}`))
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.ServeHTTP(answer, r)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; answer.Code != tc.status || took > most {
			t.Errorf("%s: status %d, and it took %d MB", name, answer.Code, took>>20)
		}
		var p Problem
		_ = json.Unmarshal(answer.Body.Bytes(), &p)
		if len(p.Errors) > maxFaults || (len(p.Errors) == maxFaults) != strings.HasSuffix(p.Detail, "; and more") {
			t.Errorf("%s: %d faults: %s", name, len(p.Errors), p.Detail)
		}
	}
}

// many repeats an item of a list.
func many(item string, times int) string {
	return strings.Repeat(item+",", times-1) + item
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"key ` + string(rune('a'+i%26)) + strings.Repeat("x", i%7) + strings.Repeat("y", i/26%50) + strings.Repeat("z", i/1300) + `":1`)
	}
	return b.String()
}
