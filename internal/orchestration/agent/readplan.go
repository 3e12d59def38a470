package agent

import (
	"fmt"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// maxPlanAnswer bounds what is read of a planner's answer, in bytes.
const maxPlanAnswer = 1 << 20

// maxPlanDepth bounds how many brackets of a plan in JSON may be open.
const maxPlanDepth = 64

// A planReader reads a plan from a planner's answer while it is written. What it
// reads does not depend on how the answer is cut into pieces, and each byte is
// looked at a small, fixed number of times.
//
// The plan is a list of subtasks: in JSON the array under "subtasks", "tasks" or
// "plan", at any depth, or an array that has no such name, or either of these
// inside a JSON string; in XML the <task> or <subtask> elements, inside <tasks> or
// <subtasks> or not. Prose, code fences, thinking (<think>…</think>, also without
// its opening tag) and other JSON may stand around it. Which list is the plan:
//
//  1. A list that the answer begins with, if one of its subtasks can be read.
//     Blanks, thinking, an opening fence, <analysis> and tags of other names do
//     not count as a beginning. Only this list's subtasks are told by Write,
//     because only it can no longer lose to a later one.
//  2. Otherwise the last of the lists that have a name and a subtask that can be
//     read or was cut off, then of those without a name, then of those where no
//     subtask can be read.
//
// An answer that has no list, or ends within the one chosen, gives a problem.
type planReader struct {
	most  int             // of subtasks
	known map[string]bool // ids of subtasks that stand already
	text  []byte          // all that was written, as far as it is read
	long  bool            // more was written
	work  int             // how many bytes were looked at, each time counted; tests hold it linear

	mode  planMode
	lead  leadIn
	tag   tagScan
	think string // the name of the thinking that is skipped
	from  int    // where the text or string now read began
	json  jsonScan
	xml   xmlPlan

	skip     string // what ends the comment or CDATA that is skipped, "" outside
	skipFrom int
	escaped  bool // after a backslash in a JSON string that the answer is

	value     int  // how many JSON values have begun
	valueLead bool // the answer begins with this JSON value
	list      *planList
	inner     bool // reads a string of another answer

	best      *planList
	committed bool   // best is final
	cut       bool   // the answer ends within something
	analysis  string // one that no list has yet
}

type planMode byte

const (
	planProse  planMode = iota // outside of JSON values and of <task>
	planJSON                   // in a JSON value
	planQuote                  // after a quote that the answer begins with
	planString                 // in the JSON string that the answer is
	planTask                   // in a <task>, outside of its fields
	planText                   // in <analysis> or a field of a <task>
	planThink                  // in thinking
)

// newPlanReader returns a reader of a plan of at most so many subtasks; 0 stands
// for 4,096, which is also the most. It may be the rest of a plan: then its subtasks
// may depend on those that are given, and none of them is renamed to be like one.
func newPlanReader(maxSubtasks int, given ...orchestration.Subtask) *planReader {
	if maxSubtasks <= 0 || maxSubtasks > maxPlanSubtasks {
		maxSubtasks = maxPlanSubtasks
	}
	r := &planReader{most: maxSubtasks}
	if len(given) > 0 {
		r.known = make(map[string]bool, len(given))
		for i := range given {
			r.known[given[i].ID] = true
		}
	}
	r.tag.knows = knowsPlanTag
	r.json = jsonScan{deepest: maxPlanDepth, opened: r.jsonOpened, closed: r.jsonClosed}
	return r
}

// ReadPlan reads a plan from a planner's whole answer; see planReader.
func ReadPlan(text string, maxSubtasks int) (orchestration.Plan, []orchestration.Problem) {
	r := newPlanReader(maxSubtasks)
	r.Write(text)
	return r.Close()
}

// Write takes the next piece of the answer and returns the subtasks that have
// become certain with it: all Writes together return the first ones of the plan
// that Close will return, or none.
func (r *planReader) Write(piece string) []orchestration.Subtask {
	r.feed(piece)
	if !r.committed {
		return nil
	}
	return r.best.settle()
}

func (r *planReader) feed(piece string) {
	if room := maxPlanAnswer - len(r.text); len(piece) > room {
		piece, r.long = piece[:room], true
	}
	at := len(r.text)
	for r.text = append(r.text, piece...); at < len(r.text); at++ {
		for !r.take(r.text[at], at) {
			continue
		}
	}
}

// Close ends the answer and returns the plan, as far as it could be read, and
// what could not be. A plan with problems is not to be run. Its subtasks stand in
// the places that they had in the answer, blank ones too. Whether its graph makes
// sense is for [orchestration.Plan.Check]. Nothing may be called after Close.
func (r *planReader) Close() (orchestration.Plan, []orchestration.Problem) {
	r.end()
	var plan orchestration.Plan
	var problems []orchestration.Problem
	if r.best != nil {
		plan, problems = r.best.plan()
		if plan.Analysis == "" {
			plan.Analysis = r.analysis
		}
	}
	switch {
	case r.long:
		problems = append(problems, orchestration.Problem{Code: problemTooLong, Detail: fmt.Sprintf("The answer is longer than %d bytes: write a shorter plan.", maxPlanAnswer)})
	case r.best == nil && r.cut:
		problems = append(problems, orchestration.Problem{Code: problemTruncated, Detail: "The answer ends before its plan does: write the whole plan, and less around it."})
	case r.best == nil:
		problems = append(problems, orchestration.Problem{Code: problemUnreadable, Detail: "The answer has no plan that could be read: write it in the form that was asked for."})
	case r.best.fault.Code != "":
		problems = append(problems, r.best.fault)
	case len(plan.Subtasks) == 0:
		problems = append(problems, orchestration.Problem{Pointer: "/subtasks", Code: orchestration.ProblemEmpty, Detail: "The plan has no subtasks: write at least one."})
	}
	return plan, problems
}

// take looks at a byte. It returns false if the byte ended something that it is
// no part of, and is to be looked at again as what it is then.
func (r *planReader) take(c byte, at int) bool {
	r.work++
	switch {
	case r.skip != "":
		r.skipped(at)
		return true
	case r.tag.on:
		return r.inTag(c, at)
	case c == '<' && r.mode != planJSON && r.mode != planQuote && r.mode != planString:
		r.tag.begin(at)
		return true
	}
	switch r.mode {
	case planProse:
		r.inProse(c, at)
	case planJSON:
		return r.inJSON(c, at)
	case planQuote:
		return r.afterLeadingQuote(c)
	case planString:
		r.inString(c, at)
	}
	return true
}

func (r *planReader) inProse(c byte, at int) {
	switch {
	case isOpening(c):
		r.value++
		r.valueLead = r.begins()
		r.mode = planJSON
		r.json.begin(c, at)
	case c == '"' && !r.lead.over && !r.inner:
		r.mode, r.from = planQuote, at
	default:
		r.lead.pass(c)
	}
}

// begins reports whether the answer begins here; it does so once.
func (r *planReader) begins() bool {
	first := !r.lead.over
	r.lead.over = true
	return first
}

// consider takes a list that has ended as the plan if it is the best so far.
func (r *planReader) consider(l *planList) {
	if !r.committed && l.rank() > 0 && (r.best == nil || l.rank() >= r.best.rank()) {
		r.best = l
	}
}

// added lets a list to which a subtask was added be the plan for good if the
// answer begins with it.
func (r *planReader) added(l *planList) {
	if l.lead && l.readable && (l.named || l.described) && !r.committed {
		r.best, r.committed = l, true
	}
}

// newList begins a list, which takes the analysis that was read before it.
func (r *planReader) newList(named, lead bool) *planList {
	l := &planList{named: named, lead: lead, start: -1, analysis: r.analysis, known: r.known}
	r.analysis = ""
	return l
}

// restart forgets what was read: it was thinking.
func (r *planReader) restart() {
	if !r.committed {
		r.best, r.analysis, r.lead, r.xml = nil, "", leadIn{}, xmlPlan{}
	}
}

// end hears that the answer has ended.
func (r *planReader) end() {
	const cut = "The answer ends before its plan does: write the whole plan, in fewer words if it is long."
	switch r.mode {
	case planJSON:
		r.cut = true
		for r.list != nil {
			r.list.breakOff(problemTruncated, cut)
			r.endJSONList()
		}
		if r.best != nil && r.best.value == r.value {
			r.best.breakOff(problemTruncated, cut)
		}
	case planString, planThink:
		r.cut = true
	default:
		r.endXML(cut)
	}
}
