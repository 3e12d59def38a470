//go:build integration

package storage

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

// A run is answered for, and a model is called, only when the kernel has said
// that what they follow from is on the disk.
func TestFlushedBeforeToldOf(t *testing.T) {
	w := start(t)
	close(w.answer)
	file := filepath.Join(t.TempDir(), "trace")
	detach := strace(t, w.Server, "-y", "-xx", "-s", "9000", "-e", "trace=write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync", "-o", file)
	const runs, subtasks = 3, 3
	for range runs {
		var run service.Run
		a := w.Post(t, "/v1/runs", `{"task": "Say hello [[sim subtasks=3]]"}`)
		if a.Into(t, &run); a.Status != http.StatusAccepted {
			t.Fatalf("status %d: %s", a.Status, a.Body)
		}
		w.Get(t, "/v1/runs/"+run.ID+"?wait=60").Into(t, &run)
		if run.Status != "succeeded" {
			t.Errorf("%s is %s", run.ID, run.Status)
		}
	}
	detach()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	calls := parse(t, string(text))
	flushed := facts(calls)
	seen := map[string]int{}
	for _, e := range effects(calls) {
		seen[e.kind]++
		at, ok := flushed[e.fact]
		switch {
		case !ok:
			t.Errorf("line %d: %s, and %s was never flushed", e.line, e.kind, e.fact)
		case at >= e.line:
			t.Errorf("line %d: %s, and %s was flushed in line %d", e.line, e.kind, e.fact, at)
		}
	}
	want := map[string]int{"answer": runs, "plan": runs, "subtask": runs * subtasks, "synthesis": runs}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}

// A syscall as strace shows it. A line further down began, or ended, later: a
// thread is held at both until strace has written its line.
type syscalled struct {
	began, ended int // lines, from 1
	name, path   string
	data         []byte
}

var (
	begins  = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<([^>]*)>(?:, "([^"]*)")?(.*)$`)
	resumes = regexp.MustCompile(`^(\d+) +<\.{3} \w+ resumed>`)
)

func parse(t *testing.T, text string) (calls []*syscalled) {
	t.Helper()
	under := map[string]*syscalled{} // way, by thread
	line := 0
	for shown := range strings.Lines(text) {
		line++
		if m := resumes.FindStringSubmatch(shown); m != nil {
			if c := under[m[1]]; c != nil {
				c.ended = line
			}
			continue
		}
		m := begins.FindStringSubmatch(strings.TrimSpace(shown))
		if m == nil {
			continue
		}
		c := &syscalled{began: line, name: m[2], path: string(unhex(t, m[3])), data: unhex(t, m[4])}
		if strings.Contains(m[5], "<unfinished") {
			under[m[1]] = c
		} else {
			c.ended = line
		}
		calls = append(calls, c)
	}
	return calls
}

// unhex returns what strace has written as \x41\x42.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	if !strings.HasPrefix(s, `\x`) {
		return []byte(s)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	runID   = regexp.MustCompile(`run_[0-9a-f]{32}`)
	started = regexp.MustCompile(`"type":"((?:run\.created)|(?:plan|subtask|synthesis)\.started)"(?:,"subtask":"(\w+)")?`)
)

// facts returns, of each fact that the server wrote into SQLite's log, in which
// line of the trace the flush had ended by which the transaction was durable.
func facts(calls []*syscalled) map[string]int {
	flushed := map[string]int{}
	var open, closed []string // facts of a transaction being written; of those written whole
	var written int           // the line in which the last of these had been written
	last := false             // the next page ends a transaction
	for _, c := range calls {
		if !strings.HasSuffix(c.path, "tutti.db-wal") {
			continue
		}
		switch {
		case c.name == "fsync" || c.name == "fdatasync":
			if c.began < written {
				continue
			}
			for _, fact := range closed {
				if _, known := flushed[fact]; !known && c.ended > 0 {
					flushed[fact] = c.ended
				}
			}
			closed = nil
		case len(c.data) == 24: // before each page: its number, and the database's size if it is the last
			last = binary.BigEndian.Uint32(c.data[4:]) > 0
		case len(c.data) > 32: // a page; 32 bytes begin the log
			open = append(open, factsOf(c.data)...)
			if last {
				closed, open, written = append(closed, open...), nil, c.ended
			}
		}
	}
	return flushed
}

// factsOf returns what a page says of runs. Each row has the run's id before its
// events.
func factsOf(page []byte) (facts []string) {
	at := runID.FindAllIndex(page, -1)
	for i, id := range at {
		end := len(page)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		for _, m := range started.FindAllSubmatch(page[id[1]:end], -1) {
			facts = append(facts, fmt.Sprintf("%s %s %s", page[id[0]:id[1]], m[1], m[2]))
		}
	}
	return facts
}

// An effect is what the world sees of a fact.
type effect struct {
	line       int // in which it began
	kind, fact string
}

var (
	accepted = regexp.MustCompile(`^HTTP/1\.1 202 (?s:.*)\r\nLocation: /v1/runs/(run_[0-9a-f]{32})\r\n`)
	called   = regexp.MustCompile(`^POST /v1/chat/completions (?s:.*)\r\nidempotency-key: (run_[0-9a-f]{32})/(plan|subtask|synthesis)/(\w+)`)
)

// effects returns the answers and the calls of models that the server sent.
func effects(calls []*syscalled) (all []effect) {
	for _, c := range calls {
		if m := accepted.FindSubmatch(c.data); m != nil {
			all = append(all, effect{c.began, "answer", string(m[1]) + " run.created "})
		}
		if m := called.FindSubmatch(c.data); m != nil {
			subtask := string(m[3])
			if _, err := strconv.Atoi(subtask); err == nil {
				subtask = "" // it is the attempt
			}
			all = append(all, effect{c.began, string(m[2]), fmt.Sprintf("%s %s.started %s", m[1], m[2], subtask)})
		}
	}
	return all
}
