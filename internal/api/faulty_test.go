package api

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// A body in which everything is wrong costs about what one costs that is right.
func TestManyFaultsCostLittle(t *testing.T) {
	w := newWorld(t)
	h := New(Options{Driver: w, Reader: w, Defaults: testDefaults()})
	for name, part := range map[string]string{
		"numbers": `"plan":{"subtasks":[` + strings.Repeat("0,", 100_000) + `0]}`,
		"empty":   `"policy":[` + strings.Repeat("{},", 70_000) + `{}]`,
		"unknown": `"labels":{` + manyKeys(20_000) + `}`,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/runs", strings.NewReader(`{"task":"t",`+part+`}`))
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.ServeHTTP(answer, r)
		runtime.ReadMemStats(&after)
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; answer.Code != http.StatusBadRequest || took > 200 {
			t.Errorf("%s: status %d, and it took %d MB", name, answer.Code, took)
		}
	}
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
