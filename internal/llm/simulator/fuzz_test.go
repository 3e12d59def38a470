package simulator

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest feeds bodies of any kind: each gets an answer with a status, and none panics.
func FuzzRequest(f *testing.F) {
	f.Add(`{"model":"m","messages":[{"role":"user","content":"You are the planner <task>x</task> [[sim subtasks=3 shape=random]]"}]}`)
	f.Add(`{"model":"m","stream":true,"max_tokens":3,"messages":[{"role":"user","content":"<result id=\"a\">é</result><results> <response>"}]}`)
	f.Add(`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Task: x\nStyle: y"}]}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","required":["a"],"properties":{"a":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}}}}}`)
	f.Add(`{"model":"m","messages":[{"role":"user","content":"<tasks> <type>formal</type> <description> at least 2-3 tasks"}],"response_format":{"type":"text"}}`)
	f.Add(`{"model":"m","messages":[{"role":"user","content":null}],"response_format":{"type":"json_schema","json_schema":{"name":"plan","schema":{"properties":{"subtasks":{"items":{"properties":{"id":1}}}}}}}}`)
	f.Add(`{"model":"m","messages":[{"role":"user","content":"You are a worker <subtask>[[sim tool=f args={\"a\":[[1]]} tool=f]] [[sim json={}]]</subtask><refused>(revision 9999999999)</refused><feedback>x</feedback>"}],"tools":[{"type":"function","function":{"name":"f"}}],"stream":true}`)
	f.Add(`{"model":"m","messages":[{"role":"user","content":"<rubric>[[sim unsatisfied=2 option=\"x]]</rubric><output>\"revision\": 1"}],"response_format":{"type":"json_schema","json_schema":{"name":"verdict","schema":{"properties":{"option":{"enum":["a"]},"satisfied":true}}}}}`)
	plain := New(Options{PrefixCache: CacheAtOnce, ReasoningTokens: 1, ChunkTokens: 1})
	faulty := New(Options{
		Faults:    map[Fault]float64{Truncated: 0.2, Cut: 0.2, Refusal: 0.2, StreamError: 0.1},
		Malformed: map[Flaw]float64{Fenced: 0.2, TrailingComma: 0.2, SingleQuotes: 0.2, OwnLines: 0.2, CyclicPlan: 0.2},
	})
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(body, "latency") {
			t.Skip("would wait")
		}
		for _, s := range []*Simulator{plain, faulty} {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body)))
			if w.Code != 200 && w.Code != 400 && w.Code != 500 || w.Body.Len() == 0 {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		}
	})
}
