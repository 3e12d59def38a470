// The race detector allocates too.
//go:build !race

package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// nowhere takes what is written to a reader.
type nowhere struct{ http.ResponseWriter }

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Flush()                      {}

// A frame costs its reader so many allocations, and a reader that waits has no
// buffer.
func TestFrameAllocates(t *testing.T) {
	const most = 10
	e := orchestration.Event{
		Seq: 41, Run: "run_1", Subtask: "T1", Attempt: 1, Time: time.Unix(1_700_000_000, 0),
		Fact: &orchestration.SubtaskSucceeded{Output: strings.Repeat("word ", 250), Calls: []orchestration.Call{{Model: "bench"}}},
	}
	w := nowhere{httptest.NewRecorder()}
	f := follower{stream: stream{}, to: w, control: http.NewResponseController(w)}
	allocs := testing.AllocsPerRun(100, func() {
		if err := f.event(e); err != nil {
			t.Fatal(err)
		}
		if err := f.flush(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > most {
		t.Errorf("%v allocations for a frame, at most %d are expected", allocs, most)
	}
	if f.buf != nil {
		t.Error("a reader to whom all is written keeps its buffer")
	}
}
