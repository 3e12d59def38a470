//go:build integration

package kill

import (
	"strings"

	"github.com/tutti-run/tutti/internal/llm/simulator"
)

// commandOf returns what a call was made for: "plan", "subtask/T1" or
// "synthesis". The key says so before its numbers, which mean nothing here.
func commandOf(c simulator.Record) (run, command string) {
	run, rest, _ := strings.Cut(idempotencyKey(c), "/")
	parts := strings.Split(rest, "/")
	command = parts[0]
	if command == "subtask" && len(parts) > 1 {
		command += "/" + parts[1]
	}
	return run, command
}

func idempotencyKey(c simulator.Record) string { return c.Header.Get("Idempotency-Key") }

// judgeCalls holds the calls of a run to its events.
func (j *judge) judgeCalls(r *run, events []event) {
	commands := j.ledger[r.id]
	begun := map[string]int{} // by command: the process that made its first start durable
	ended := map[string]bool{}
	kinds := map[string]string{} // of commands of subtasks
	latest := j.processes.at(events[0].Time)
	for i, e := range events {
		command, what := e.command()
		by := j.processes.at(e.Time)
		if by == 0 {
			j.fault(r, "%s at %s, when no server lived", e.Type, e.Time)
		}
		j.idle, latest = max(j.idle, by-latest-1), by
		if e.Type == "plan.subtask_added" {
			kinds["subtask/"+e.Data.Subtask.ID] = e.Data.Subtask.Kind
		}
		switch calls := commands[command]; {
		case what == "started" && begun[command] == 0:
			begun[command] = by
		case command == "run" || what != "succeeded" && what != "created" && what != "failed":
		case what == "created" && e.Data.Source == "caller" || what != "created" && !asks(kinds[command]):
		case ended[command]:
			j.fault(r, "%s succeeded twice", command)
		case len(calls) == 0:
			j.fault(r, "%s succeeded and nothing was called for it", command)
		default:
			ended[command] = true
			seen := j.processes.number()
			if i < len(r.seen) {
				seen = r.seen[i].process
			}
			j.judgeCommand(r, command, calls, begun[command], by, seen)
		}
	}
	for command, calls := range commands {
		if !ended[command] {
			j.fault(r, "%s was called for %d times and has no outcome", command, len(calls))
		}
	}
}

// asks reports whether the end of a subtask is that of a call of a model. The call
// for a part of a plan ends when that has been planned.
func asks(kind string) bool { return kind == "" || kind == "worker" }

// askedForTheRest is in the prompt of a planner that is told what there is of its plan
// already: that is another call than the one that was lost.
const askedForTheRest = "A part of the plan is there already"

// judgeCommand judges the calls for one command, given the processes that made
// its start and its outcome durable, and one that lived when a reader saw that.
func (j *judge) judgeCommand(r *run, command string, calls []simulator.Record, begun, ended, seen int) {
	last := processOf(calls[len(calls)-1])
	switch first := processOf(calls[0]); {
	case first < begun:
		j.fault(r, "%s was called for by process %d; that it had begun is durable since process %d", command, first, begun)
	case last > seen:
		j.fault(r, "%s was called for by process %d; its outcome was seen under process %d", command, last, seen)
	case last > ended:
		j.fault(r, "%s was called for by process %d; its outcome is durable since process %d", command, last, ended)
	case last < ended:
		j.fault(r, "%s has its outcome from process %d; the last call for it was by process %d", command, ended, last)
	}
	for i, c := range calls[1:] {
		before := calls[i]
		switch {
		case command == "plan" && strings.Contains(c.Prompt(), askedForTheRest) && idempotencyKey(c) != idempotencyKey(before) && c.Digest != before.Digest:
			j.rest++
		case idempotencyKey(c) != idempotencyKey(before):
			j.fault(r, "%s was called for as %s and again as %s", command, idempotencyKey(before), idempotencyKey(c))
		case c.Digest != before.Digest:
			j.fault(r, "%s was called for again with another body:\n%s\n\nafter\n\n%s", command, c.Prompt(), before.Prompt())
		case processOf(c) == processOf(before):
			j.fault(r, "%s was called for twice by process %d", command, processOf(c))
		}
		j.repeats++
		if before.Answered {
			j.answered++
		}
	}
}
