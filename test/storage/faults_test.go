//go:build integration

package storage

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

const hello = `{"task": "Say hello [[sim subtasks=2]]"}`

// When the disk fails, nothing is acknowledged that is not on it; what was
// acknowledged goes on by itself when the disk is back.
func TestDiskFails(t *testing.T) {
	for name, c := range map[string]struct {
		fault  string
		always bool // not only now and then
	}{
		"full":           {"pwrite64:error=ENOSPC", true},
		"cannot write":   {"pwrite64:error=EIO", true},
		"cannot flush":   {"fsync,fdatasync:error=EIO", true},
		"goes and comes": {"fsync,fdatasync:error=EIO:when=1+3", false}, // of each thread
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			accepted := map[string]bool{}
			for range 5 {
				accepted[w.begin(t)] = true
			}
			for range 10 {
				<-w.asked
			}
			recovered := strace(t, w.Server, "-o", "/dev/null", "-P", w.journal+"-wal", "-P", w.journal, "-e", "inject="+c.fault)
			close(w.answer)
			refused := 0
			for range 4 {
				a := w.Post(t, "/v1/runs", hello)
				if a.Status == http.StatusAccepted {
					accepted[idOf(t, a)] = true
					continue
				}
				refused++
				unavailable(t, "POST /v1/runs", a)
				for id := range accepted {
					if a := w.Get(t, "/v1/runs/"+id); a.Status != http.StatusOK {
						t.Errorf("a run cannot be read: status %d", a.Status)
					}
				}
				if a := w.Get(t, "/livez"); a.Status != http.StatusOK {
					t.Errorf("/livez says %d", a.Status)
				}
				if a := w.Get(t, "/readyz"); a.Status != http.StatusOK {
					unavailable(t, "/readyz", a)
				} else if c.always {
					t.Error("/readyz says that all is well")
				}
			}
			if c.always && refused != 4 {
				t.Errorf("%d of 4 runs were refused", refused)
			}
			recovered()

			if a := w.Get(t, "/readyz"); a.Status != http.StatusOK {
				t.Errorf("/readyz says %d after all", a.Status)
			}
			accepted[w.begin(t)] = true
			for id := range accepted {
				w.succeeds(t, id)
			}
			var list struct{ Data []service.Run }
			w.Get(t, "/v1/runs?limit=200").Into(t, &list)
			if len(list.Data) != len(accepted) {
				t.Errorf("%d runs, and %d were acknowledged", len(list.Data), len(accepted))
			}
		})
	}
}

// While the disk takes its time to flush, others read, and nobody is told what
// is not on it.
func TestDiskIsSlow(t *testing.T) {
	w := start(t)
	close(w.answer)
	before := w.begin(t)
	w.succeeds(t, before)
	flushes := strace(t, w.Server, "-o", "/dev/null", "-P", w.journal+"-wal", "-e", "inject=fsync,fdatasync:delay_enter=3600s")
	begun := make(chan string, 3)
	for range 3 {
		go func() { begun <- w.begin(t) }()
	}
	for range 10 {
		for _, path := range []string{"/livez", "/readyz", "/v1/runs/" + before, "/v1/runs/" + before + "/events"} {
			if a := w.Get(t, path); a.Status != http.StatusOK {
				t.Errorf("%s says %d", path, a.Status)
			}
		}
		var list struct{ Data []service.Run }
		if w.Get(t, "/v1/runs").Into(t, &list); len(list.Data) != 1 {
			t.Errorf("%d runs are listed, and one is on the disk", len(list.Data))
		}
	}
	select {
	case id := <-begun:
		t.Fatalf("%s was acknowledged before it was on the disk", id)
	default:
	}
	flushes()
	for range 3 {
		w.succeeds(t, <-begun)
	}
}

// begin starts a run that must be taken.
func (w *world) begin(t *testing.T) (id string) {
	t.Helper()
	a := w.Post(t, "/v1/runs", hello)
	if a.Status != http.StatusAccepted {
		t.Errorf("status %d: %s", a.Status, a.Body)
		return ""
	}
	return idOf(t, a)
}

func idOf(t *testing.T, a service.Answer) string {
	t.Helper()
	var run service.Run
	a.Into(t, &run)
	return run.ID
}

func (w *world) succeeds(t *testing.T, id string) {
	t.Helper()
	var run service.Run
	w.Get(t, "/v1/runs/"+id+"?wait=50").Into(t, &run)
	if done := fmt.Sprint(run.Status, " with ", len(run.Result.WorkerResults)); done != "succeeded with 2" {
		t.Errorf("%s %s", id, done)
	}
}

func unavailable(t *testing.T, what string, a service.Answer) {
	t.Helper()
	var p struct {
		Code      string
		Retryable bool
	}
	a.Into(t, &p)
	if a.Status != http.StatusServiceUnavailable || p.Code != "storage_unavailable" || !p.Retryable || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s: status %d, Retry-After %q: %s", what, a.Status, a.Header.Get("Retry-After"), a.Body)
	}
}
