//go:build integration

package overload

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

// Runs with outputs of 10 MB each come one after the other, and none ends: the
// server refuses them before its memory is full, and takes them again when those
// have ended.
func TestMemoryIsShed(t *testing.T) {
	const limit = 96 << 10 // kB
	asked, release := make(chan struct{}), make(chan struct{})
	s := serve(t, simulator.Options{Answer: func(r simulator.Request) (simulator.Reply, bool) {
		if r.Role == simulator.Synthesizer {
			asked <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return simulator.Reply{}, false
	}}, "GOMEMLIMIT=96MiB")
	c := newCaller(t, s, 10)
	const body = `{"task": "Say much [[sim subtasks=10 out=1000000]]"}`
	var ids []string
	for {
		a := c.ask("POST", "/v1/runs", body)
		if a.status != http.StatusAccepted {
			c.wantRefused(a)
			break
		}
		if ids = append(ids, a.run.ID); len(ids) > 50 {
			t.Fatalf("%d runs were taken, with %d kB of memory", len(ids), resident(t, s.PID()))
		}
		select {
		case <-asked:
		case <-s.Done():
			t.Fatalf("the server ended when it had taken %d runs", len(ids))
		case <-time.After(service.Patience):
			t.Fatal("a run does not get on")
		}
	}
	held := resident(t, s.PID())
	t.Logf("%d runs were taken; then there were %d kB of memory", len(ids), held)
	if held > 3*limit { // the run that is taken last may need more than is left
		t.Errorf("runs were taken until the memory was %d kB", held)
	}
	if a := c.ask("GET", "/livez", ""); a.status != http.StatusOK {
		t.Errorf("/livez was answered %d", a.status)
	}

	close(release)
	go func() { // the last one has nobody to tell
		for range asked {
		}
	}()
	defer close(asked)
	c.ends(ids)
	again, patience := time.NewTicker(100*time.Millisecond), time.After(service.Patience)
	defer again.Stop()
	ended, refused := time.Now(), 0
	for {
		a := c.ask("POST", "/v1/runs", body)
		if a.status == http.StatusAccepted {
			t.Logf("%d more were refused, until %v after all had ended", refused, time.Since(ended).Round(time.Millisecond))
			c.ends([]string{a.run.ID})
			return
		}
		c.wantRefused(a)
		refused++
		select {
		case <-again.C:
		case <-patience:
			t.Fatalf("nothing is taken any more, with %d kB of memory", resident(t, s.PID()))
		}
	}
}

// resident returns the memory of a process, in kB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("the process %d shows no memory", pid)
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
