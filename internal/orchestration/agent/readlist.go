package agent

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// Bounds of what is read of a plan.
const (
	maxPlanSubtasks    = 4096
	maxPlanDescription = 64 << 10 // bytes
	maxPlanName        = 256      // bytes of a type or a worker's name
	maxPlanProblems    = 20
)

// Codes of problems of reading, beside those of package orchestration.
const (
	problemUnreadable = "unreadable" // it is not of a form that can be read
	problemTruncated  = "truncated"  // it ends too early
	problemTooLong    = "too_long"
)

var planIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// languageNames mean something in the plan language's expressions, where an id
// like them would hide it.
var languageNames = func() map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(`task context run subtasks item index iteration previous output
		true false null in as has all exists exists_one map filter size
		string int uint double bool bytes type list dyn duration timestamp matches contains startsWith endsWith
		break const continue else for function if import let loop package namespace return var void while`) {
		names[name] = true
	}
	return names
}()

// mayBeID reports whether a planner's id can stay as it is.
func mayBeID(id string) bool { return planIDForm.MatchString(id) && !languageNames[id] }

// A planList is a list of subtasks found in an answer: the plan, or a decoy.
type planList struct {
	named bool // under a key or tag that says what it is
	lead  bool // the answer begins with it
	value int  // the JSON value that it is in; 0 for none
	depth int  // how many brackets are round that list

	items     []planItem
	extra     int       // how many more there were than may be read
	start     int       // where the element now read began; -1 between elements
	entry     planEntry // that element, in JSON
	readable  bool
	described bool // some element has a description, though perhaps a blank one
	fault     orchestration.Problem
	analysis  string

	outer *planList // the nameless list that this one is in

	// For telling subtasks before the list ends:
	known     map[string]bool // ids of subtasks that stand already
	settled   int             // how many of the first items are as they will be in the plan
	unsettled bool            // the next one is not
	given     map[string]bool
}

// A planItem is a subtask as it was written.
type planItem struct {
	id, kind, style, worker, description string

	dependsOn []string
	problems  []orchestration.Problem // their pointers are relative to the subtask
}

func (it *planItem) fault(pointer, code, detail string) {
	it.problems = append(it.problems, orchestration.Problem{Pointer: pointer, Code: code, Detail: detail})
}

// add takes the next subtask, as far as there may be so many.
func (l *planList) add(item planItem, most int) {
	if len(l.items) == most {
		l.extra++
		return
	}
	l.items = append(l.items, item)
	l.readable = l.readable || item.description != ""
}

// breakOff notes that the list is not whole.
func (l *planList) breakOff(code, detail string) {
	if l.fault.Code == "" {
		l.fault = orchestration.Problem{
			Pointer: fmt.Sprintf("/subtasks/%d", len(l.items)+l.extra),
			Code:    code,
			Detail:  detail,
		}
	}
}

// rank says how much a list looks like a plan: 0 is none.
func (l *planList) rank() int {
	begun := len(l.items) > 0 || l.start >= 0
	switch {
	case l.named && (l.readable || begun && l.fault.Code == problemTruncated):
		return 3
	case l.readable:
		return 2
	case l.named || l.described || !begun:
		return 1
	default:
		return 0
	}
}

// settle returns the subtasks that are now known to be in the plan as they are:
// their ids and those that they depend on are of the form that ids have, and
// were given before, so that nothing that follows can rename them. The first
// that is not so ends them.
func (l *planList) settle() []orchestration.Subtask {
	var settled []orchestration.Subtask
	for l.settled < len(l.items) && !l.unsettled {
		item := l.items[l.settled]
		if l.unsettled = !l.final(item); l.unsettled {
			break
		}
		l.settled++
		if l.given == nil {
			l.given = map[string]bool{}
		}
		l.given[item.id] = true
		settled = append(settled, item.subtask(item.id, distinct(item.dependsOn)))
	}
	return settled
}

func (l *planList) final(item planItem) bool {
	if len(item.problems) > 0 || !mayBeID(item.id) || l.given[item.id] {
		return false
	}
	for _, id := range item.dependsOn {
		if !l.given[id] && !l.known[id] {
			return false
		}
	}
	return true
}

// plan returns the list as a plan and what is wrong with it. Every element has
// its place in it, so that pointers agree with what the model wrote.
func (l *planList) plan() (orchestration.Plan, []orchestration.Problem) {
	plan := orchestration.Plan{Analysis: l.analysis}
	var problems []orchestration.Problem
	ids, final, clashes := l.rename()
	for i, item := range l.items {
		deps := make([]string, len(item.dependsOn))
		for j, dep := range item.dependsOn {
			deps[j] = cmp.Or(final[dep], dep)
		}
		plan.Subtasks = append(plan.Subtasks, item.subtask(ids[i], distinct(deps)))
		for _, p := range append(item.problems, clashes[i]...) {
			p.Pointer = fmt.Sprintf("/subtasks/%d%s", i, p.Pointer)
			problems = append(problems, p)
		}
	}
	if more := len(problems) - maxPlanProblems; more > 0 {
		problems = append(problems[:maxPlanProblems], orchestration.Problem{
			Pointer: "/subtasks", Code: problemUnreadable, Detail: fmt.Sprintf("There are %d more problems.", more),
		})
	}
	if l.extra > 0 {
		problems = append(problems, orchestration.Problem{
			Pointer: "/subtasks", Code: orchestration.ProblemTooMany,
			Detail: fmt.Sprintf("The plan has %d subtasks; at most %d are allowed.", len(l.items)+l.extra, len(l.items)),
		})
	}
	return plan, problems
}

// rename returns the id of each item, what became of the ids that were written,
// and the problems of renaming, by item. An id that has the form, and no meaning in
// the plan language, is kept; others
// become T and their place or, where that is taken, by a subtask that stands already
// too, the next free number. A
// subtask without an id may be depended on by the number of its place, too, unless
// that is the id of one that stands already.
func (l *planList) rename() (ids []string, final map[string]string, clashes map[int][]orchestration.Problem) {
	ids, final, clashes = make([]string, len(l.items)), map[string]string{}, map[int][]orchestration.Problem{}
	for i, item := range l.items {
		if mayBeID(item.id) {
			ids[i], final[item.id] = item.id, item.id
		}
	}
	free := len(l.items)
	for i, item := range l.items {
		if ids[i] != "" {
			continue
		}
		ids[i] = fmt.Sprintf("T%d", i+1)
		for final[ids[i]] != "" || l.known[ids[i]] {
			free++
			ids[i] = fmt.Sprintf("T%d", free)
		}
		if final[item.id] != "" {
			clashes[i] = []orchestration.Problem{{
				Pointer: "/id", Code: orchestration.ProblemDuplicateID,
				Detail: fmt.Sprintf("The id of subtask %d is that of an earlier one too; each needs its own.", i+1),
			}}
		} else if item.id != "" {
			final[item.id] = ids[i]
		}
	}
	for i, item := range l.items {
		if place := strconv.Itoa(i + 1); item.id == "" && final[place] == "" && !l.known[place] {
			final[place] = ids[i]
		}
	}
	return ids, final, clashes
}

func (it planItem) subtask(id string, dependsOn []string) orchestration.Subtask {
	s := orchestration.Subtask{
		ID: id, Kind: orchestration.Kind(it.kind), Type: it.style, Worker: it.worker,
		Description: it.description, DependsOn: dependsOn,
	}
	if s.Kind == "" {
		s.Kind = orchestration.KindWorker
	}
	if s.Type == "" {
		s.Type = orchestration.DefaultType
	}
	return s
}

// distinct returns the ids without repetitions, nil for none.
func distinct(ids []string) []string {
	var out []string
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

// cutText returns at most so many bytes of a text, in whole characters.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return strings.TrimSpace(s[:most])
}
