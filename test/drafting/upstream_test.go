// Package drafting judges the dispatch of subtasks while their plan is being
// written: in virtual time by how much sooner runs end, and through the real
// server and a model's endpoint that writes its plans as slowly as a test wants.
package drafting

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

// An upstream is a model's endpoint. Its planner is the test; its workers and its
// synthesizer answer at once.
type upstream struct {
	*httptest.Server
	planner func(question int, prompt string, a *answer) // from 1
	asked   atomic.Int64                                 // questions to the planner
	works   chan work
}

// A work is a request to a worker that has arrived, and waits to be answered.
type work struct {
	prompt string
	key    string // its idempotency key
	answer chan<- struct{}
}

// serveModel serves an endpoint. With workers, each of their requests waits for the
// test to let it be answered.
func serveModel(t testing.TB, workers bool, planner func(question int, prompt string, a *answer)) *upstream {
	u := &upstream{planner: planner, works: make(chan work, 100)}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Stream   bool
			Messages []struct{ Role, Content string }
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &asked) != nil {
			http.Error(w, "no request", http.StatusBadRequest)
			return
		}
		prompt := asked.Messages[len(asked.Messages)-1].Content
		switch role := asked.Messages[0].Content; {
		case strings.HasPrefix(role, "You are the planner."):
			a := &answer{w: w, r: r}
			u.planner(int(u.asked.Add(1)), prompt, a)
		case strings.HasPrefix(role, "You are a worker."):
			answer := make(chan struct{})
			u.works <- work{prompt, r.Header.Get("Idempotency-Key"), answer}
			if workers {
				select {
				case <-answer:
				case <-r.Context().Done():
				}
			}
			whole(w, "done")
		default:
			whole(w, "<response>all done</response>")
		}
	}))
	t.Cleanup(u.Close)
	return u
}

func whole(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	content, _ := json.Marshal(text)
	fmt.Fprintf(w, `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`, content)
}

// An answer is one that is written piece by piece.
type answer struct {
	w http.ResponseWriter
	r *http.Request
}

// say writes a piece.
func (a *answer) say(text string) {
	a.w.Header().Set("Content-Type", "text/event-stream")
	content, _ := json.Marshal(text)
	fmt.Fprintf(a.w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n\n", content)
	_ = http.NewResponseController(a.w).Flush()
}

// end says that the answer is whole.
func (a *answer) end() {
	_, _ = io.WriteString(a.w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
}

// gone waits until whoever asked has gone.
func (a *answer) gone() { <-a.r.Context().Done() }

// part is the number n of the plan's subtasks, in JSON.
func part(n int, on ...string) string {
	ids, _ := json.Marshal(on)
	if on == nil {
		ids = []byte("[]")
	}
	return fmt.Sprintf(`{"id": "T%d", "type": "default", "description": "Do part %d.", "depends_on": %s}`, n, n, ids)
}

// partXML is the same in XML.
func partXML(n int, on ...string) string {
	return fmt.Sprintf("<task><type>default</type><description>Do part %d.</description><id>T%d</id><depends_on>%s</depends_on></task>", n, n, strings.Join(on, ","))
}
