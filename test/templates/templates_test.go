// Package templates carries out the shipped workflow templates, and those of
// examples/tools with the stub service that their tools are made for, through a
// real server, as callers would. The simulator is the model.
package templates

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/test/service"
)

const root = "../.."

// stub is the service that TestMain built.
var stub string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tutti-stub-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stub = filepath.Join(dir, "stub")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", stub, root+"/examples/tools/stub").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return service.Main(m)
}

// shipped starts a server with the templates of workflows/.
func shipped(t *testing.T) *service.Server {
	t.Helper()
	return service.Start(t, "TUTTI_WORKFLOWS="+absolute(t, "workflows"))
}

// withTools starts the stub, and a server with the configuration of
// examples/tools for it.
func withTools(t *testing.T) (*service.Server, stubbed) {
	t.Helper()
	url := startStub(t)
	text, err := os.ReadFile(absolute(t, "examples/tools/tutti.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const usual, folder = "http://127.0.0.1:8090", "workflows: examples/tools/workflows"
	if !strings.Contains(string(text), usual) || !strings.Contains(string(text), folder) {
		t.Fatal("examples/tools/tutti.yaml has other addresses or another folder")
	}
	config := strings.NewReplacer(usual, url, folder, "workflows: "+absolute(t, "examples/tools/workflows")).Replace(string(text))
	file := filepath.Join(t.TempDir(), "tutti.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return service.Start(t, "TUTTI_CONFIG="+file), stubbed{url}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	whole, err := filepath.Abs(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// startStub starts the stub service and returns its address. It ends with the test.
func startStub(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(stub, "-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the stub does not say where it is: %v", err)
	}
	return strings.TrimSpace(url)
}

// stubbed is the stub service as tests see it.
type stubbed struct{ url string }

// calls returns what was asked of the stub for a run so far, in order, as "GET /path
// 200", each with its idempotency key.
func (s stubbed) calls(t *testing.T, run string) (calls, keys []string) {
	t.Helper()
	var list []struct {
		Method, Path, Key string
		Status            int
	}
	service.Do(t, "GET", s.url+"/calls", "").Into(t, &list)
	for _, c := range list {
		if key, of := strings.CutPrefix(c.Key, run+"/"); of {
			calls = append(calls, fmt.Sprintf("%s %s %d", c.Method, c.Path, c.Status))
			keys = append(keys, key)
		}
	}
	return calls, keys
}

// files returns how many files there are whose name begins like that.
func (s stubbed) files(t *testing.T, prefix string) (n int) {
	t.Helper()
	var list map[string]any
	service.Do(t, "GET", s.url+"/files", "").Into(t, &list)
	for name := range list {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// ask starts a run, of a simulator that takes no time, and waits until the run has
// ended or waits for a person.
func ask(t *testing.T, s *service.Server, request string) service.Run {
	t.Helper()
	return started(t, s, strings.Replace(request, "{", `{"task": "Do what the workflow is for. [[sim latency=0s]]", `, 1))
}

// started starts a run and waits as ask does.
func started(t *testing.T, s *service.Server, request string) service.Run {
	t.Helper()
	a := s.Post(t, "/v1/runs", request, "Prefer: wait=60")
	if a.Status != 200 {
		t.Fatalf("status %d\n%s", a.Status, a.Body)
	}
	var r service.Run
	a.Into(t, &r)
	return r
}

// decide tells the server what a person decides, and waits as ask does.
func decide(t *testing.T, s *service.Server, run, subtask, decision string) service.Run {
	t.Helper()
	if a := s.Post(t, "/v1/runs/"+run+"/subtasks/"+subtask+"/decision", decision); a.Status != 200 {
		t.Fatalf("status %d\n%s", a.Status, a.Body)
	}
	var r service.Run
	s.Get(t, "/v1/runs/"+run+"?wait=60").Into(t, &r)
	return r
}

// A fate is what has become of a run.
type fate struct {
	status string // and ", partial"
	calls  int    // to models
	did    string // subtasks that succeeded, in plan order
	left   string // those that did not, with their status: "skipped:b failed:c"
	final  string // whose output the final output is; "synthesizer", or "" for none
}

func fateOf(t *testing.T, r service.Run) fate {
	t.Helper()
	f := fate{status: r.Status, calls: r.Usage.LLMCalls}
	if r.Result.Partial {
		f.status += ", partial"
	}
	var final *string
	if r.Result.FinalOutput != nil {
		if err := json.Unmarshal(r.Result.FinalOutput, &final); err != nil {
			t.Fatalf("the final output is no text: %s", r.Result.FinalOutput)
		}
	}
	if final != nil {
		f.final = "synthesizer"
	}
	var did, left []string
	for _, s := range r.Plan.Subtasks {
		if s.Status != "succeeded" {
			left = append(left, s.Status+":"+s.ID)
			continue
		}
		did = append(did, s.ID)
		if final != nil && *final == s.Output && !strings.Contains(s.ID, ".") {
			f.final = s.ID
		}
	}
	f.did, f.left = strings.Join(did, " "), strings.Join(left, " ")
	return f
}

func (f fate) String() string {
	return fmt.Sprintf("%s, %d calls\ndid: %s\nleft: %s\nfinal: %s\n", f.status, f.calls, f.did, f.left, f.final)
}

func want(t *testing.T, r service.Run, f fate) {
	t.Helper()
	if diff := cmp.Diff(f.String(), fateOf(t, r).String()); diff != "" {
		t.Errorf("the run ended otherwise (-want +got):\n%s", diff)
		for _, s := range r.Plan.Subtasks {
			t.Logf("%s %s %+v: %.200s", s.ID, s.Status, s.Error, s.Output)
		}
	}
}

// output returns what a subtask of a run gave.
func output(t *testing.T, r service.Run, subtask string) string {
	t.Helper()
	for _, s := range r.Plan.Subtasks {
		if s.ID == subtask {
			return s.Output
		}
	}
	t.Fatalf("there is no %s", subtask)
	return ""
}
