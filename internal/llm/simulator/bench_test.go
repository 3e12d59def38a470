package simulator

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func BenchmarkCall(b *testing.B) {
	prompt := "You are a worker. <task>Sell</task>\\n<description>Write it [[sim out=2000]]</description>\\n" + strings.Repeat("Some words of a prompt. ", 80)
	for name, body := range map[string]string{
		"whole":    `{"model":"m","messages":[{"role":"user","content":"` + prompt + `"}]}`,
		"streamed": `{"model":"m","stream":true,"messages":[{"role":"user","content":"` + prompt + `"}]}`,
		"20kB":     `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(prompt, 10) + `"}]}`,
		"planner":  `{"model":"m","messages":[{"role":"user","content":"You are the planner. <task>x [[sim subtasks=10]]</task> ` + prompt + `"}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			s := New(Options{})
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body)))
			}
		})
	}
}
