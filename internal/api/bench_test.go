package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// BenchmarkPostAndWait is what the API adds to a run: request in, run out, with
// 10 subtasks and prompts of 2 kB. The core's own share is in it.
func BenchmarkPostAndWait(b *testing.B) {
	subtasks := make([]map[string]any, 10)
	for i := range subtasks {
		subtasks[i] = map[string]any{"description": "Describe one thing in some words"}
	}
	body, err := json.Marshal(map[string]any{
		"task": "t", "context": map[string]any{"audience": "people", "tags": []string{"a", "b"}}, "plan": map[string]any{"subtasks": subtasks},
		"worker": map[string]any{"prompt": string(bytes.Repeat([]byte("word "), 400))}, "limits": map[string]any{"timeout": "90s"},
	})
	if err != nil {
		b.Fatal(err)
	}
	w := newWorld(nil)
	w.held = true
	handler := New(Options{Driver: atOnce{w}, Reader: w, Defaults: testDefaults()})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/runs", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Prefer", "wait=10")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK {
			b.Fatal(answer.Body)
		}
		w.runs = w.runs[:0]
	}
}

// An atOnce ends its runs before it tells of them.
type atOnce struct{ *world }

func (d atOnce) Start(ctx context.Context, spec *orchestration.Spec, attachments [][]byte, key *orchestration.Key) (orchestration.Row, error) {
	row, err := d.world.Start(ctx, spec, attachments, key)
	d.release(row.ID)
	return row, err
}
