//go:build integration

package kill

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

// A judge compares four accounts of what happened: what clients were told, what
// the journal says in the end, what the model endpoint was asked, and which
// process lived when.
//
// # What counts as durable, and when
//
// An outcome that is in the journal in the end was made durable by the process
// that lived at its event's time, since the event is of that process and no
// other one had the journal then. (The times compared are of one clock. It must
// not be set by more than a process's life meanwhile.) An event that a reader
// saw was made durable by the latest process of that moment or one before it,
// whatever any clock says.
//
// # What a call may be
//
// A call of a process that died before the outcome was durable is lost, and must
// be made again; any other must not. It does not matter whether the endpoint had
// answered it: it was in flight at the kill, or answered and on its way to the
// journal, and the survivors cannot tell. Hence, for each command:
//
//   - all its calls bear one key and one body, however often it is lost, unless a
//     planner has written some of its plan: it is asked for the rest, which is
//     another call;
//   - a process calls at most once, so a command has no more repeats than kills
//     that it was lost in;
//   - the last call is of the process that made the outcome durable;
//   - the first call is of no process before the one that made the command's
//     start durable.
//
// So over the whole suite there are as many repeats as lost calls, exactly.
type judge struct {
	processes *processes
	server    *service.Server
	wanted    map[string]answer
	ledger    map[string]map[string][]simulator.Record // by run and command, in order

	calls    int
	repeats  int // of lost calls: as many as those
	answered int // of the lost calls, those that had been answered
	rest     int // of the repeats, those that ask a planner for the rest of its plan
	idle     int // the most starts in a row without progress of a run under way
	poisoned int // runs that were taken for what kills the process
	faults   []string
}

func newJudge(p *processes, server *service.Server, calls []simulator.Record, wanted map[string]answer) *judge {
	j := &judge{processes: p, server: server, wanted: wanted, ledger: map[string]map[string][]simulator.Record{}, calls: len(calls)}
	for _, c := range calls {
		run, command := commandOf(c)
		if j.ledger[run] == nil {
			j.ledger[run] = map[string][]simulator.Record{}
		}
		j.ledger[run][command] = append(j.ledger[run][command], c)
	}
	for _, commands := range j.ledger {
		for _, calls := range commands {
			// What a dying process sent may arrive after its successor's first calls.
			slices.SortStableFunc(calls, func(a, b simulator.Record) int { return processOf(a) - processOf(b) })
		}
	}
	return j
}

func (j *judge) fault(r *run, format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf("run %s (%s): ", r.id, r.key)+fmt.Sprintf(format, args...))
}

func (j *judge) judge(t *testing.T, posted []*run) {
	t.Helper()
	known := map[string]bool{}
	for _, r := range posted {
		if known[r.id] {
			j.fault(r, "two requests with different keys were acknowledged as this run")
		}
		known[r.id] = true
		j.judgeRun(t, r)
	}
	for _, id := range j.list(t) {
		if !known[id] {
			j.faults = append(j.faults, fmt.Sprintf("run %s is in the journal, and nobody posted it: a request became two runs", id))
		}
	}
	for id, commands := range j.ledger {
		if !known[id] {
			j.faults = append(j.faults, fmt.Sprintf("run %q had calls made and is unknown: %d commands", id, len(commands)))
		}
	}
	const most, mostBytes = 20, 4000
	for _, f := range j.faults[:min(len(j.faults), most)] {
		t.Error(f[:min(len(f), mostBytes)])
	}
	if more := len(j.faults) - most; more > 0 {
		t.Errorf("and %d more", more)
	}
}

// list returns the ids of all runs.
func (j *judge) list(t *testing.T) []string {
	t.Helper()
	var ids []string
	for cursor := ""; ; {
		var page struct {
			Data       []struct{ ID string }
			NextCursor string `json:"next_cursor"`
		}
		reply := j.server.Get(t, "/v1/runs?limit=200&cursor="+cursor)
		if reply.Status != 200 {
			t.Fatalf("listing the runs was answered %d: %s", reply.Status, reply.Body)
		}
		reply.Into(t, &page)
		for _, r := range page.Data {
			ids = append(ids, r.ID)
		}
		if cursor = page.NextCursor; cursor == "" {
			return ids
		}
	}
}

func (j *judge) judgeRun(t *testing.T, r *run) {
	t.Helper()
	reply := j.server.Get(t, "/v1/runs/"+r.id)
	if reply.Status != 200 {
		j.fault(r, "it was acknowledged and is lost: status %d %s", reply.Status, reply.Body)
		return
	}
	var got answer
	reply.Into(t, &got)
	if got.Error != nil && got.Error.Code == "poison_run" {
		j.judgePoison(r, j.events(t, r))
		return
	}
	if diff := cmp.Diff(j.wanted[r.task], got); diff != "" {
		j.fault(r, "it is not as an undisturbed run (-want +got):\n%s", diff)
	}
	events := j.events(t, r)
	j.judgeSights(r, events)
	if len(events) > 0 {
		j.judgeCalls(r, events)
	}
}

// judgePoison holds a run that was taken for poison to the rule: as many processes
// in a row as the server's bound died of it, as far as the server can know. Where a
// machine is slow, chance has that happen to an innocent run once in a while.
func (j *judge) judgePoison(r *run, events []event) {
	const starts = 5
	j.poisoned++
	j.judgeSights(r, events)
	resumed := 0
	for _, e := range events {
		if e.Type == "run.resumed" {
			resumed++
		}
	}
	if resumed < starts {
		j.fault(r, "it was taken for poison after %d starts", resumed)
	}
	if most := max(1, *runs/500); j.poisoned > most {
		j.fault(r, "it is one of %d that were taken for poison; chance may have %d", j.poisoned, most)
	}
}

// An event is what the journal says in the end.
type event struct {
	Seq       int
	Type      string
	Time      time.Time
	SubtaskID string `json:"subtask_id"`
	Data      struct {
		Source  string                    // of a plan
		Subtask struct{ ID, Kind string } // that is added to one
	}
	text string // as it came
}

// command returns what an event is about, and which end of it: "started",
// "succeeded" (a plan is "created").
func (e event) command() (command, what string) {
	command, what, _ = strings.Cut(e.Type, ".")
	if e.SubtaskID != "" {
		command = "subtask"
	}
	if command == "subtask" {
		command += "/" + e.SubtaskID
	}
	return command, what
}

// events reads all of a run's events.
func (j *judge) events(t *testing.T, r *run) []event {
	t.Helper()
	var page struct{ Data []json.RawMessage }
	j.server.Get(t, "/v1/runs/"+r.id+"/events?limit=200").Into(t, &page)
	events := make([]event, len(page.Data))
	for i, text := range page.Data {
		if err := json.Unmarshal(text, &events[i]); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		events[i].text = string(text)
		if events[i].Seq != i+1 {
			j.fault(r, "event %d comes after number %d", events[i].Seq, i)
		}
		if last := i == len(page.Data)-1; terminal(events[i].Type) != last {
			j.fault(r, "event %d of %d is %s", i+1, len(page.Data), events[i].Type)
		}
	}
	return events
}

// judgeSights holds the journal to what readers saw.
func (j *judge) judgeSights(r *run, events []event) {
	if len(r.seen) != len(events) {
		j.fault(r, "a reader saw %d events to the end, the journal has %d", len(r.seen), len(events))
	}
	for i, e := range events[:min(len(events), len(r.seen))] {
		if saw := string(r.seen[i].frame.Data); saw != e.text {
			j.fault(r, "event %d is not the one that a reader saw:\nsaw %s\nnow %s", e.Seq, saw, e.text)
			return
		}
	}
}

func (j *judge) summary() string {
	return fmt.Sprintf("%d kills, %d runs, %d calls, %d repeats (%d of calls in flight, %d of calls answered but not yet durable; %d for the rest of a plan), "+
		"at most %d starts in a row without progress of a run, %d runs taken for poison",
		*kills, *runs, j.calls, j.repeats, j.repeats-j.answered, j.answered, j.rest, j.idle, j.poisoned)
}
