package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A body in which everything is wrong costs no more than one costs that is right, as
// what is wrong is looked for until there are a hundred faults. The answer says so.
func TestManyFaultsCostLittle(t *testing.T) {
	const run = "/v1/runs"
	const most = 120 << 20 // bytes; a context of that size takes 64 MB
	w, defaults := newWorld(t), testDefaults()
	defaults.Limits.MaxSubtasks = 1000
	h := New(Options{Driver: w, Reader: w, Defaults: defaults})
	for name, tc := range map[string]struct {
		part   string
		status int
		path   string
	}{
		"right":        {`"context":{"list":[` + many("0", 500_000) + `]}`, http.StatusAccepted, run},
		"numbers":      {`"plan":{"subtasks":[` + many("0", 500_000) + `]}`, http.StatusBadRequest, run},
		"objects":      {`"plan":{"subtasks":[` + many("{}", 340_000) + `]}`, http.StatusBadRequest, run},
		"empty":        {`"policy":[` + many("{}", 340_000) + `]`, http.StatusBadRequest, run},
		"dependencies": {`"plan":{"subtasks":[` + many(`{"depends_on":[`+many("0", 900)+`]}`, 500) + `]}`, http.StatusBadRequest, run},
		"labels":       {`"labels":{` + manyKeys(20_000) + `}`, http.StatusBadRequest, run},
		"bodies": {
			`"plan":{"subtasks":[` + many(`{"for_each":{"items":"x","body":[`+many(`{"depends_on":[`+many("0", 90)+`]}`, 60)+`]}}`, 60) + `]}`, http.StatusBadRequest, run,
		},
		"unknown":  {`"plan":{"subtasks":[` + many(`{"id":"a","description":"d","depends_on":[`+many(`"x"`, 230)+`]}`, 1000) + `]}`, http.StatusUnprocessableEntity, run},
		"long key": {`"edits":{"` + strings.Repeat("k", 300_000) + `":{` + manyKeys(5_000) + `}}`, http.StatusBadRequest, run + "/run_1/fork"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tc.path, strings.NewReader(`{"task":"t",`+tc.part+`}`))
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.ServeHTTP(answer, r)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; answer.Code != tc.status || took > most {
			t.Errorf("%s: status %d, and it took %d MB", name, answer.Code, took>>20)
		}
		if size := answer.Body.Len(); size > 2<<20 {
			t.Errorf("%s: the answer has %d MB", name, size>>20)
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

// counted are expressions that count how much of them is checked, which is what takes
// time.
type counted struct{ bytes int }

func (c *counted) Check(expression string, _, _ []string) (orchestration.Reads, error) {
	c.bytes += len(expression)
	return orchestration.Reads{}, nil
}
func (c *counted) Eval(string, *orchestration.Variables) (string, error) { return "null", nil }
func (c *counted) Reserved(string) bool                                  { return false }

// What a plan would come to is estimated with no more work than its check may take.
func TestEstimatesAreBounded(t *testing.T) {
	w, defaults, count := newWorld(t), testDefaults(), new(counted)
	defaults.Expressions = count
	h := New(Options{Driver: w, Reader: w, Defaults: defaults})
	list := `"[` + strings.Repeat("1,", 4000) + `1]"`
	body := `{"subtasks":[` + many(`{"kind":"for_each","for_each":{"items":`+list+`,"body":[{"description":"d"}]}}`, 100) + `]}`
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/plans/validate", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	if answer.Code != http.StatusOK || count.bytes > 2*orchestration.MaxExpressions {
		t.Errorf("status %d, and %d bytes of expressions were checked: %.200s", answer.Code, count.bytes, answer.Body)
	}
}
