package injection

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/test/service"
)

// mark is a part of every payload, and of nothing else.
const mark = "zq7x"

// payloads reads testdata/payloads.txt: a JSON string a line.
func payloads(t *testing.T) []string {
	t.Helper()
	file, err := os.Open("testdata/payloads.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var payload string
		if err := json.Unmarshal(lines.Bytes(), &payload); err != nil || !strings.Contains(payload, mark) {
			t.Fatalf("line %d: %v", len(all)+1, err)
		}
		all = append(all, payload)
	}
	if len(all) < 100 {
		t.Fatalf("%d payloads", len(all))
	}
	return all
}

// A world is a server, and the models that it calls.
type world struct {
	*service.Server

	mu      sync.Mutex
	answers map[simulator.Role]string
	replies map[simulator.Role]func(simulator.Request) string // in the place of an answer
	sent    []simulator.Request
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{}
	models, err := simulator.Listen(simulator.Options{Answer: w.answer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = models.Close() })
	w.Server = service.Start(t, "OPENAI_BASE_URL="+models.URL(), "OPENAI_API_KEY=none", "TUTTI_LOG_LEVEL=debug")
	return w
}

// answer says what the role is to say. All calls cost the same.
func (w *world) answer(r simulator.Request) (simulator.Reply, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, r)
	// Whoever is asked is known by the first words of its system message, which
	// no payload may change.
	asked := simulator.Worker
	switch system := r.Messages[0].Text; {
	case strings.HasPrefix(system, "You are the planner"):
		asked = simulator.Planner
	case strings.HasPrefix(system, "You are the synthesizer"):
		asked = simulator.Synthesizer
	case strings.HasPrefix(system, "You are the evaluator"):
		asked = simulator.Evaluator
	}
	if f := w.replies[asked]; f != nil {
		return simulator.Reply{Text: f(r), Usage: &simulator.Usage{Prompt: 10, Completion: 5}}, true
	}
	return simulator.Reply{Text: w.answers[asked], Usage: &simulator.Usage{Prompt: 10, Completion: 5}}, true
}

// A request is what a caller asks for.
type request struct {
	Task        string         `json:"task"`
	Context     map[string]any `json:"context,omitempty"`
	Worker      any            `json:"worker,omitempty"`
	Synthesizer any            `json:"synthesizer,omitempty"`
	Plan        any            `json:"plan,omitempty"`
}

// A planned subtask, as a planner writes it.
type planned struct {
	ID          string   `json:"id"`
	Type        string   `json:"type"`
	Description string   `json:"description"`
	DependsOn   []string `json:"depends_on"`
}

func plan(first, second planned) string {
	return raw(map[string]any{"analysis": "Two of them.", "subtasks": []planned{first, second}})
}

// raw is JSON whose strings have their angle brackets as they are.
func raw(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // of strings alone
	return b.String()
}

var harmless = plan(planned{"T1", "formal", "Find the facts", nil}, planned{"T2", "critic", "Write it up", []string{"T1"}})

// A told is a run as its caller and its models saw it.
type told struct {
	run     service.Run
	prompts []string // by the order of the calls, which are in series
	authors []string
}

// say sets what the models answer from now on, and forgets what they were sent.
func (w *world) say(planner, worker, synthesizer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = map[simulator.Role]string{simulator.Planner: planner, simulator.Worker: worker, simulator.Synthesizer: synthesizer}
	w.sent = nil
}

// do performs a run and checks what must be true of each.
func (w *world) do(t *testing.T, r request, planner, worker, synthesizer string) told {
	t.Helper()
	w.say(planner, worker, synthesizer)
	a := w.Post(t, "/v1/runs", raw(r), "Prefer: wait=60")
	if a.Status != http.StatusOK {
		t.Fatalf("status %d: %s", a.Status, a.Body)
	}
	wantClean(t, "the answer's header", fmt.Sprint(a.Header))
	var result told
	a.Into(t, &result.run)
	w.wantFrames(t, result.run.ID)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sent := range w.sent {
		last := sent.Messages[len(sent.Messages)-1]
		result.prompts = append(result.prompts, last.Text)
		for _, m := range sent.Messages {
			result.authors = append(result.authors, m.Author)
		}
		wantClean(t, "a call's header", fmt.Sprint(sent.Header))
		wantClean(t, "a system message", sent.Messages[0].Text)
	}
	return result
}

// like checks that a run took the very course of another.
func (got told) like(t *testing.T, want told) {
	t.Helper()
	if got.run.Status != "succeeded" || got.run.Plan.Source != want.run.Plan.Source || got.run.Usage != want.run.Usage {
		t.Errorf("the run is %s by a plan of the %s, at a cost of %+v, want %+v", got.run.Status, got.run.Plan.Source, got.run.Usage, want.run.Usage)
	}
	if !slices.Equal(ids(got.run), ids(want.run)) {
		t.Errorf("the plan is %v, want %v", ids(got.run), ids(want.run))
	}
	if !slices.Equal(got.authors, want.authors) || len(got.prompts) != len(want.prompts) {
		t.Fatalf("%d calls with messages of %v, want %v", len(got.prompts), got.authors, want.authors)
	}
	for i, prompt := range got.prompts {
		if a, b := frame(prompt), frame(want.prompts[i]); a != b {
			t.Errorf("prompt %d is\n%s\nwhich is read as\n%s\nwant\n%s", i, prompt, a, b)
		}
	}
}

func ids(run service.Run) []string {
	var ids []string
	for _, s := range run.Plan.Subtasks {
		ids = append(ids, s.ID+" "+s.Status)
	}
	return ids
}

func wantClean(t *testing.T, what, text string) {
	t.Helper()
	if at := strings.Index(text, mark); at >= 0 {
		t.Errorf("%s has a payload: %.300q", what, text[max(0, at-100):])
	}
}

// wantFrames checks that a run's stream has exactly the journal's events.
func (w *world) wantFrames(t *testing.T, run string) {
	t.Helper()
	var page struct {
		Data []struct {
			Seq  int64
			Type string
		}
	}
	var whole struct{ Data []json.RawMessage }
	pages := w.Get(t, "/v1/runs/"+run+"/events?limit=200")
	pages.Into(t, &page)
	pages.Into(t, &whole)
	a := w.Get(t, "/v1/runs/"+run+"/events", "Accept: text/event-stream")
	wantClean(t, "the stream's header", fmt.Sprint(a.Header))
	frames := strings.Split(strings.TrimSuffix(string(a.Body), "\n\n"), "\n\n")
	if len(frames) != len(page.Data) {
		t.Fatalf("%d frames for %d events", len(frames), len(page.Data))
	}
	for i, e := range page.Data {
		var data bytes.Buffer
		_ = json.Compact(&data, whole.Data[i])
		want := fmt.Sprintf("id: %d\nevent: %s\ndata: %s", i+1, e.Type, data.String())
		if frames[i] != want || strings.ContainsAny(want, "\r\x00") || e.Seq != int64(i)+1 || !slices.Contains(orchestration.EventTypes(), e.Type) {
			t.Errorf("frame %d is\n%q\nwant\n%q", i, frames[i], want)
		}
	}
}

// wantLive checks that a stream with deltas has events without a gap and deltas
// without an id, each of three lines or two, and returns the last event's type.
func wantLive(t *testing.T, stream string) string {
	t.Helper()
	seq, last := 0, ""
	for frame := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		id, rest, found := strings.Cut(frame, "\n")
		number, numbered := strings.CutPrefix(id, "id: ")
		if !numbered {
			rest, found = frame, true
		}
		event, data, _ := strings.Cut(strings.TrimPrefix(rest, "event: "), "\ndata: ")
		if numbered {
			seq, last = seq+1, event
		}
		known := numbered && number == strconv.Itoa(seq) && slices.Contains(orchestration.EventTypes(), event)
		if !found || !known && (numbered || event != "delta") || !json.Valid([]byte(data)) || strings.ContainsAny(data, "\r\n") {
			t.Errorf("after event %d comes a frame %q", seq, frame)
		}
	}
	return last
}

// wantQuiet checks that nothing of a payload has got into metrics or the log.
func (w *world) wantQuiet(t *testing.T) {
	t.Helper()
	wantClean(t, "/metrics", string(w.Get(t, "/metrics").Body))
	wantClean(t, "the log", w.Log())
	for line := range strings.Lines(w.Log()) {
		if !json.Valid([]byte(line)) || strings.Contains(line, "panicked") {
			t.Errorf("the log has a line %q", line)
		}
	}
}
