package language

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/test/service"
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

const (
	address = "127.0.0.1:8080" // of the server, as readers type it
	shop    = "127.0.0.1:9000" // of the tools, as the page configures them
	task    = "Introduce our new tea"
	context = `{"audience": "food journalists", "words": 150}`
)

// tools are what the page's tools do: they know a stock, and keep orders.
func tools(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{item}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("item") == "unicorn" {
			http.Error(w, "There is no such item.", http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `{"item": %q, "left": %d}`, r.PathValue("item"), 3*len(r.PathValue("item")))
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id": "o-1"}`) })
	mux.HandleFunc("DELETE /orders/{id}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `"gone"`) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// server starts a server with the page's configuration and templates.
func server(t *testing.T, blocks []block) *service.Server {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := ""
	if err := os.Mkdir(filepath.Join(dir, "workflows"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		switch {
		case b.begins("tools"):
			config += strings.ReplaceAll(b.text, shop, tools(t))
		case b.begins("name"):
			write(fmt.Sprintf("workflows/%d.yaml", i), b.text)
		}
	}
	return service.Start(t, "TUTTI_CONFIG="+write("tutti.yaml", config), "TUTTI_WORKFLOWS="+filepath.Join(dir, "workflows"))
}

// TestSamples carries out every sample of the page, in its order.
func TestSamples(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	text, blocks := page(t)
	s := server(t, blocks)
	runs := map[int]sample{}
	for i, b := range blocks { // all at once, since each takes a while
		if b.isPlan() {
			runs[i] = begin(t, s, b)
		}
	}
	var fresh strings.Builder
	written, run := 0, ""
	for i, b := range blocks {
		now := b.text
		switch {
		case b.isPlan():
			run = runs[i].run
		case b.language == "text":
			now = runs[i-1].outcome(t, s)
		case b.language == "console":
			now = typed(t, s, b.text, run)
		}
		if diff := cmp.Diff(steady(b.text), steady(now)); diff != "" && !*rewrite {
			t.Errorf("this has changed; if that is right, go test ./test/language -rewrite (-page +now), after\n%s\n%s", blocks[max(i-1, 0)].text, diff)
		}
		fresh.WriteString(text[written:b.start] + now)
		written = b.end
	}
	fresh.WriteString(text[written:])
	if *rewrite {
		if err := os.WriteFile(file, []byte(fresh.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A sample is a plan of the page: what is wrong with it, or the path of its run.
type sample struct {
	problems []problem
	run      string
}

type problem struct{ Pointer, Code, Detail string }

// begin checks a plan and, if nothing is wrong with it, starts a run of it.
func begin(t *testing.T, s *service.Server, b block) sample {
	t.Helper()
	plan := b.asJSON(t)
	var check struct{ Problems []problem }
	a := s.Post(t, "/v1/plans/validate", string(plan))
	if a.Status != http.StatusOK {
		t.Fatalf("status %d: %s, of\n%s", a.Status, a.Body, b.text)
	}
	a.Into(t, &check)
	if len(check.Problems) > 0 {
		return sample{problems: check.Problems}
	}
	request, err := json.Marshal(map[string]any{"task": task, "context": json.RawMessage(context), "plan": plan})
	if err != nil {
		t.Fatal(err)
	}
	if a = s.Post(t, "/v1/runs", string(request)); a.Status != http.StatusAccepted {
		t.Fatalf("status %d: %s, of\n%s", a.Status, a.Body, b.text)
	}
	return sample{run: a.Header.Get("Location")}
}

// outcome says what came of a plan, a line for each fault or subtask.
func (p sample) outcome(t *testing.T, s *service.Server) string {
	t.Helper()
	var text bytes.Buffer
	columns := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	line := func(a, b, c string) { fmt.Fprintf(columns, "%s\t%s\t%s\n", a, b, shortly(c)) }
	for _, found := range p.problems {
		line(found.Pointer, found.Code, found.Detail)
	}
	if p.run != "" {
		var run struct {
			Status string
			Plan   struct{ Subtasks []subtask }
			Error  *service.Failure
			Reason *service.Failure
		}
		s.Get(t, p.run+"?wait=60").Into(t, &run)
		for _, of := range run.Plan.Subtasks {
			line(of.ID, of.status(), of.says())
		}
		switch {
		case run.Error != nil:
			line("run", run.Status, run.Error.Code+": "+run.Error.Detail)
		case run.Status != "succeeded" || run.Reason != nil:
			line("run", run.Status, "")
		}
	}
	if err := columns.Flush(); err != nil {
		t.Fatal(err)
	}
	return trailing.ReplaceAllString(text.String(), "")
}

var trailing = regexp.MustCompile(`(?m) +$`)

// A subtask is what the page shows of one.
type subtask struct {
	ID, Status       string
	Cached, Fallback bool
	Output           *string
	Error            *service.Failure
	Detail           *string
	Waiting          *struct{ Message string }
	Compensation     *struct{ Status string }
}

func (s subtask) status() string {
	switch {
	case s.Fallback:
		return s.Status + " (fallback)"
	case s.Cached:
		return s.Status + " (cached)"
	case s.Compensation != nil && s.Compensation.Status == "succeeded":
		return s.Status + ", undone"
	}
	return s.Status
}

func (s subtask) says() string {
	switch {
	case s.Waiting != nil:
		return s.Waiting.Message
	case s.Error != nil:
		return s.Error.Code + ": " + s.Error.Detail
	case s.Output != nil:
		return *s.Output
	case s.Detail != nil:
		return *s.Detail
	}
	return ""
}

// shortly returns text as one line that a page has room for.
func shortly(text string) string {
	const most = 100
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > most {
		return string(line[:most-1]) + "…"
	}
	return string(line)
}

// typed types the commands of a session and returns it with what they show now.
func typed(t *testing.T, s *service.Server, session, run string) string {
	t.Helper()
	addr := strings.TrimPrefix(s.URL, "http://")
	const end = "==end of what was shown=="
	var script strings.Builder
	var commands []string
	for line := range strings.Lines(session) {
		last := len(commands) - 1
		if command, is := strings.CutPrefix(line, "$ "); is {
			commands = append(commands, command)
		} else if last >= 0 && strings.HasSuffix(commands[last], "\\\n") {
			commands[last] += line
		}
	}
	for _, command := range commands {
		script.WriteString(strings.ReplaceAll(command, address, addr) + "\necho '\n" + end + "'\n")
	}
	cmd := exec.Command("bash", "-o", "pipefail")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "run="+s.URL+run)
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nof:\n%s", err, out, session)
	}
	shown := strings.Split(strings.ReplaceAll(string(out), addr, address), "\n"+end+"\n")
	var now strings.Builder
	for i, command := range commands {
		now.WriteString("$ " + command)
		if text := strings.TrimSuffix(shown[i], "\n"); text != "" {
			now.WriteString(text + "\n")
		}
	}
	return now.String()
}

var varying = regexp.MustCompile(`run_[0-9a-f]{32}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|[0-9a-f]{64}`)

// steady returns text without what differs from one time to the next.
func steady(text string) string { return varying.ReplaceAllString(text, "…") }
