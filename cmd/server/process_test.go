package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// A spawned is a server as a process of its own, and a caller of it.
type spawned struct {
	*running
	*process
}

// spawn starts the real main with these variables, and waits until it takes
// runs. It is killed with the test, unless it has ended.
func spawn(t *testing.T, environ ...string) spawned {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{ended: make(chan struct{}), Cmd: &exec.Cmd{
		Path: self, Args: []string{"server"}, Dir: t.TempDir(), Env: append([]string{"TUTTI_ADDR=127.0.0.1:0"}, environ...),
	}}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait()
		close(p.ended)
	}()
	r := &running{t: t}
	t.Cleanup(func() {
		r.http.CloseIdleConnections()
		_ = p.Process.Kill()
		<-p.ended
		if log, _ := p.stderr.read(); t.Failed() {
			t.Logf("the log of process %d:\n%s", p.Process.Pid, log)
		}
	})
	p.until(ready)
	log, _ := p.stderr.read()
	r.url = urlForm.FindString(log)
	return spawned{r, p}
}

// kill ends the process as a crash would.
func (s spawned) kill() {
	_ = s.Process.Kill()
	<-s.process.ended
}

// signal sends SIGTERM.
func (s spawned) signal() { _ = s.Process.Signal(syscall.SIGTERM) }

// wantExit waits for the end.
func (s spawned) wantExit(code int) {
	s.t.Helper()
	<-s.process.ended
	if got := s.ProcessState.ExitCode(); got != code {
		s.t.Errorf("it exits with %d, want %d", got, code)
	}
}

// endpoint serves models that remember every call.
func endpoint(t *testing.T, options simulator.Options) *simulator.Server {
	t.Helper()
	options.Ledger = 1000
	s, err := simulator.Listen(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// keys are the idempotency keys of the calls to workers whose prompts have a word.
func keys(s *simulator.Simulator, word string) []string {
	var all []string
	for _, call := range s.Requests() {
		if call.Role == simulator.Worker && strings.Contains(call.Prompt(), word) {
			all = append(all, call.Header.Get("Idempotency-Key"))
		}
	}
	return all
}

const twoSubtasks = `{"task": "Hello", "plan": {"subtasks": [{"id": "A", "type": "writer", "description": "Do A"}, {"id": "B", "type": "writer", "description": "Do B", "depends_on": ["A"]}]}}`

// heldBack lets workers whose prompt has a word answer only when they are let go.
// It tells of each that was asked.
func heldBack(word string) (answer func(simulator.Request) (simulator.Reply, bool), asked chan struct{}, letGo func()) {
	asked, open := make(chan struct{}, 100), make(chan struct{})
	return func(r simulator.Request) (simulator.Reply, bool) {
		if r.Role == simulator.Worker && strings.Contains(r.Prompt(), word) {
			asked <- struct{}{}
			select {
			case <-open:
			case <-r.Context().Done():
			}
		}
		return simulator.Reply{}, false
	}, asked, sync.OnceFunc(func() { close(open) })
}

// A call in flight when the process dies is made again as the same call, and
// what was held back for it of the tenant's budget is not lost.
func TestACrashRepeatsTheCallInFlight(t *testing.T) {
	answer, asked, letGo := heldBack("<description>Do A")
	models := endpoint(t, simulator.Options{Answer: answer})
	dir := t.TempDir()
	config := filepath.Join(dir, "tutti.yaml")
	sum := sha256.Sum256([]byte("sesame"))
	text := "models: {house: {price: {input: 1, output: 10}}}\nmodel: house\n" +
		"tenants: {acme: {keys: [" + hex.EncodeToString(sum[:]) + "], limits: {cost_usd_per_day: 1}}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file := "sqlite:" + filepath.Join(dir, "tutti.db")
	environ := []string{"TUTTI_CONFIG=" + config, "TUTTI_JOURNAL=" + file, "OPENAI_BASE_URL=" + models.URL(), "OPENAI_API_KEY=none"}

	first := spawn(t, environ...)
	id := first.ask("POST", "/v1/runs", twoSubtasks, acme).run(t).ID
	<-asked
	first.kill()
	if _, held := balance(t, file); held <= 0 {
		t.Errorf("with a call in flight %g dollars are held", held)
	}
	letGo()
	second := spawn(t, environ...)
	run := second.ask("GET", "/v1/runs/"+id+"?wait=60", "", acme).run(t)
	if a := run.subtask(t, "A"); run.Status != "succeeded" || a.Attempts != 2 || run.subtask(t, "B").Attempts != 1 {
		t.Errorf("the run is %s: %+v", run.Status, run.Plan.Subtasks)
	}
	var repeats []any
	for _, e := range second.history(id, "subtask.started", acme) {
		repeats = append(repeats, e.SubtaskID, e.Attempt, e.Data["repeats"])
	}
	if want := []any{"A", 1, nil, "A", 2, 1.0, "B", 1, nil}; !reflect.DeepEqual(repeats, want) {
		t.Errorf("started: %v, want %v", repeats, want)
	}
	if k := keys(models.Simulator, "<description>Do A"); len(k) != 2 || k[0] != k[1] || k[0] == "" {
		t.Errorf("the keys of the call that was lost and of its repetition: %q", k)
	}
	second.signal()
	second.wantExit(0)
	if spent, held := balance(t, file); held != 0 || spent <= 0 {
		t.Errorf("in the end %g dollars are spent and %g held", spent, held)
	}
}

// A run that the process dies of, again and again, is given up; one beside it
// goes on.
func TestARunThatKillsTheProcess(t *testing.T) {
	asked := make(chan string, 100)
	var died atomic.Bool
	models := endpoint(t, simulator.Options{Answer: func(r simulator.Request) (simulator.Reply, bool) {
		switch {
		case r.Role != simulator.Worker:
		case strings.Contains(r.Prompt(), "POISON"):
			asked <- "poison"
			<-r.Context().Done()
		case !died.Load():
			asked <- "innocent"
			<-r.Context().Done()
		}
		return simulator.Reply{}, false
	}})
	environ := []string{
		"TUTTI_JOURNAL=sqlite:" + filepath.Join(t.TempDir(), "tutti.db"), "OPENAI_BASE_URL=" + models.URL(), "OPENAI_API_KEY=none",
	}
	s := spawn(t, environ...)
	innocent := s.ask("POST", "/v1/runs", twoSubtasks).run(t).ID
	<-asked
	poison := s.ask("POST", "/v1/runs", strings.Replace(twoSubtasks, "Do A", "POISON", 1)).run(t).ID
	deaths := 0
	for ended := make(chan struct{}); ; {
		path := s.url + "/v1/runs/" + poison + "?wait=60"
		go func() { // it is answered, or the process dies
			if resp, err := http.Get(path); err == nil {
				_ = resp.Body.Close()
				close(ended)
			}
		}()
		select {
		case <-asked:
			died.Store(true)
			s.kill()
			deaths++
			s = spawn(t, environ...)
			continue
		case <-ended:
		}
		break
	}
	http.DefaultClient.CloseIdleConnections()
	if run := s.ask("GET", "/v1/runs/"+poison, "").run(t); deaths != 6 || run.Status != "failed" || run.Error.Code != "poison_run" {
		t.Errorf("after %d deaths the run is %s: %s", deaths, run.Status, run.Error)
	}
	if run := s.ask("GET", "/v1/runs/"+innocent+"?wait=60", "").run(t); run.Status != "succeeded" {
		t.Errorf("the run beside it is %s: %s", run.Status, run.Error)
	}
}

// The second signal does not wait for calls.
func TestTheSecondSignalEndsTheProcess(t *testing.T) {
	options, asked := stuck()
	models := endpoint(t, options)
	s := spawn(t, "TUTTI_JOURNAL=mem:", "OPENAI_BASE_URL="+models.URL(), "OPENAI_API_KEY=none", "TUTTI_SHUTDOWN_GRACE=1h")
	s.ask("POST", "/v1/runs", twoSubtasks)
	<-asked
	s.signal()
	if text, draining := s.until(regexp.MustCompile(`"msg":"draining"`)); !draining {
		t.Fatalf("it does not drain:\n%s", text)
	}
	s.signal()
	s.wantExit(exitFailed)
}

// A call that ends within the grace period is kept.
func TestAShutdownWaitsForCalls(t *testing.T) {
	for grace, calls := range map[time.Duration]int{time.Hour: 1, 0: 2} {
		answer, asked, letGo := heldBack("<description>Do A")
		models := endpoint(t, simulator.Options{Answer: answer})
		journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
		set := func(c *Config) {
			c.Journal, c.BaseURL, c.APIKey, c.ShutdownGrace = journal, models.URL(), "none", grace
		}
		first := launch(t, set).untilReady()
		id := first.ask("POST", "/v1/runs", twoSubtasks).run(t).ID
		<-asked
		stopped := make(chan struct{})
		go func() { first.stop(); close(stopped) }()
		<-first.draining
		if grace == 0 {
			<-stopped
		}
		letGo()
		<-stopped
		if first.err != nil {
			t.Error(first.err)
		}
		if n := len(keys(models.Simulator, "<description>Do B")); n != 0 {
			t.Errorf("grace %s: %d calls were begun during the shutdown", grace, n)
		}
		second := launch(t, set).untilReady()
		run := second.ask("GET", "/v1/runs/"+id+"?wait=60", "").run(t)
		k := keys(models.Simulator, "<description>Do A")
		if run.Status != "succeeded" || len(k) != calls || k[0] != k[calls-1] || run.subtask(t, "A").Attempts != calls {
			t.Errorf("grace %s: the run is %s after the calls %q and %d attempts", grace, run.Status, k, run.subtask(t, "A").Attempts)
		}
	}
}
