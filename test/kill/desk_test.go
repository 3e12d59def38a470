//go:build integration

package kill

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A desk serves the tools book and unbook. It keeps what it is called with: as the
// same call may be made again by the next process, it must bear the same key then,
// and no two calls may bear one.
type desk struct {
	config string // the file that names the tools

	mu     sync.Mutex
	bodies map[string]string // by key
	calls  int
	faults []string
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{bodies: map[string]string{}, config: filepath.Join(t.TempDir(), "tools.yaml")}
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	text := "tools:\n"
	for _, name := range []string{"book", "unbook"} {
		text += fmt.Sprintf("  %s: {description: books, schema: {type: object}, allow_private: [127.0.0.1], http: {method: POST, url: %s/%s}}\n", name, s.URL, name)
	}
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server died
	}
	key, call := r.Header.Get("Idempotency-Key"), r.URL.Path+" "+string(body)
	select { // it may die meanwhile
	case <-time.After(30 * time.Millisecond):
	case <-r.Context().Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if before, known := d.bodies[key]; known && before != call || key == "" {
		d.faults = append(d.faults, fmt.Sprintf("under the key %q came %s, after %s", key, call, before))
	}
	d.bodies[key] = call
	_, _ = io.WriteString(w, "done: "+call)
}

// judge holds the calls to what the runs must have called: each tool of each plan,
// and what undoes it, under a key of its own.
func (d *desk) judge(t *testing.T, posted []*run) {
	t.Helper()
	want := 0
	for _, r := range posted {
		switch {
		case strings.Contains(r.task, "Look at rivers"): // t runs for each item: the one that x leaves out counts as ended
			want += 3
		case strings.Contains(r.task, "Improve a text"): // three iterations
			want += 3
		case strings.Contains(r.task, "Book a journey"): // two, and both undone
			want += 4
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.bodies) != want {
		t.Errorf("tools were called for under %d keys, want %d", len(d.bodies), want)
	}
	for _, f := range d.faults[:min(len(d.faults), 20)] {
		t.Error(f)
	}
	t.Logf("%d calls of tools, %d repeats", d.calls, d.calls-len(d.bodies))
}
