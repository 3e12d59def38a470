package orchestration

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"
)

// A Command is what the driver must do next: [MakePlan], [Work], [Synthesize] and
// [Compensate] are calls that end in an outcome, [SetTimer] and [Abort] are for
// the driver itself.
//
// Its key is unique in the run, so that a call repeated after a crash can be
// known as the same.
type Command interface{ Key() string }

// MakePlan asks the planner for a plan. Its outcome is [Planned].
type MakePlan struct {
	Attempt int
	Call    int     // the attempt that the call is known by; 0: this one
	Model   string  // to ask; empty: the planner's
	Repair  *Repair // set when an answer could not be used
	// Given are subtasks of answers that broke off. They stand, and the rest is asked for.
	Given []Subtask
	// Revision is set when there is a plan, and it is to be revised.
	Revision *Revision
	Reserved *Reserve // the most that it may spend; nil: any amount
	CacheKey string   // under which a plan may be found; empty: it is not looked for
}

// A Revision is what the planner is told of a plan that it is to revise.
type Revision struct {
	Reason   Reason
	Subtasks []Revised // of the plan as it is, in order
}

// A Revised is a subtask of a plan that is being revised.
type Revised struct {
	Result
	DependsOn []string
	Failure   string // why it failed or was skipped; empty: it did not, or was not
}

// A Repair is what the planner is told of its answer that could not be used.
type Repair struct {
	Answer   Text
	Problems []Problem
}

// Work asks a worker for one attempt at a subtask. Its outcome is [Worked].
type Work struct {
	Subtask      Subtask
	Attempt      int
	Call         int      // the attempt that the call is known by; 0: this one
	Model        string   // to ask; empty: the worker's
	Fallback     bool     // the prompt is to be a simple one
	Reserved     *Reserve // the most that it may spend; nil: any amount
	Worker       string   // the configured worker that performs it; empty: the default
	Priority     int      // subtasks on the longest remaining path, its own included
	Dependencies []Result

	Context  json.RawMessage // that it sees in the place of the run's; nil: the run's
	Inputs   []Value         // by name in ascending order: the subtask's input or, of a tool, its arguments
	Task     string          // of a plan: what is to be planned
	Checks   []Check         // that the output must pass, besides those by expression; first the policy's
	Policy   int             // how many of the checks are the policy's
	Rework   *Rework         // set when an output was refused
	Judge    *Text           // an output that was made before and has only to be judged
	Timeout  time.Duration   // of the attempt
	CacheKey string          // under which its output may be found; empty: it is not looked for
}

// A Value is what a prompt, or a tool, knows by a name.
type Value struct {
	Name string
	Text Text
	// JSON says that the text is a JSON value. Otherwise it is an output as it was
	// written: JSON where all of it is, a string where not.
	JSON bool
}

// A Rework is what a worker is told of its output that was refused.
type Rework struct {
	Output   Text
	Feedback string
}

// Compensate undoes a subtask by a call of a tool. Its outcome is [Compensated].
type Compensate struct {
	Subtask   string
	Attempt   int
	Tool      string
	Arguments json.RawMessage // a JSON object
}

// Synthesize asks the synthesizer for the final output. Its outcome is
// [Synthesized].
type Synthesize struct {
	Attempt  int
	Call     int      // the attempt that the call is known by; 0: this one
	Model    string   // to ask; empty: the synthesizer's
	Reserved *Reserve // the most that it may spend; nil: any amount
	Analysis string
	Results  []Result // of every subtask, in plan order
	CacheKey string   // under which an answer may be found; empty: it is not looked for
}

// A Result is what has become of a subtask, as others are told.
type Result struct {
	ID          string
	Type        string
	Description string
	Status      Status
	Output      Text // of one that succeeded
}

// SetTimer asks to be told [Due] at a time.
type SetTimer struct {
	Timer string
	At    time.Time
}

// Abort ends the call of that key. The outcome of that call is still awaited:
// a driver that knows of no such call (it was lost in a crash) answers for it
// with a failure of [CodeCanceled].
type Abort struct {
	Call Command // a MakePlan, Work, Synthesize or Compensate; only its key's parts are set
}

// Key returns plan/<attempt>.
func (c MakePlan) Key() string { return "plan/" + strconv.Itoa(c.Attempt) }

// Key returns subtask/<id>/<attempt>.
func (c Work) Key() string { return "subtask/" + c.Subtask.ID + "/" + strconv.Itoa(c.Attempt) }

// Key returns compensation/<id>/<attempt>.
func (c Compensate) Key() string { return "compensation/" + c.Subtask + "/" + strconv.Itoa(c.Attempt) }

// Key returns synthesis/<attempt>.
func (c Synthesize) Key() string { return "synthesis/" + strconv.Itoa(c.Attempt) }

// Key returns timer/<name>.
func (c SetTimer) Key() string { return "timer/" + c.Timer }

// Key returns abort/<the key of the call>.
func (c Abort) Key() string { return "abort/" + c.Call.Key() }

// CallKey returns what the calls of a MakePlan, Work or Synthesize are known by
// in the run: the key of the command that made them first. So a call that was
// lost in a crash is made again, by a later attempt, as the same one.
func CallKey(c Command) string {
	switch c := c.(type) {
	case MakePlan:
		c.Attempt = cmp.Or(c.Call, c.Attempt)
		return c.Key()
	case Work:
		c.Attempt = cmp.Or(c.Call, c.Attempt)
		return c.Key()
	case Synthesize:
		c.Attempt = cmp.Or(c.Call, c.Attempt)
		return c.Key()
	}
	return c.Key()
}

// MaxWholeText is the most bytes of a text that a command carries whole.
const MaxWholeText = 4 << 10

// A Text is the body of something: whole, or where it can be read.
type Text struct {
	Whole string `json:"whole,omitempty"`
	Seq   int64  `json:"seq,omitempty"` // of the event that holds it, when it is longer than MaxWholeText
	Bytes int    `json:"bytes"`
}

// textIn returns the text of the event numbered seq.
func textIn(seq int64, text string) Text {
	if len(text) <= MaxWholeText {
		return Text{Whole: text, Bytes: len(text)}
	}
	return Text{Seq: seq, Bytes: len(text)}
}

// A Performance is everything that an agent needs to perform a MakePlan, Work,
// Synthesize or Compensate.
type Performance struct {
	Run      string
	Spec     *Spec
	Command  Command
	Deadline time.Time // of the run; zero: none
	// Deltas is told an output piece by piece while it is being written. It is
	// called from one goroutine at a time, and not after the performance has
	// ended. Nil: nobody listens.
	Deltas func(Delta)
	// Drafted is told the subtasks of a run's first plan while it is being written,
	// each time all that are certain by then. It must not change them, does not block,
	// and is called as Deltas is. Nil: nobody listens.
	Drafted func([]Subtask)
}

// A Delta is a piece of an output that is being written. It is no event: it is
// not kept, and a reader may miss some. The deltas of an attempt that succeeds
// add up to its output; those of one that fails are void.
type Delta struct {
	Run     string
	Subtask string // empty: of the synthesis
	Attempt int
	Offset  int // of Text in the output, in bytes
	Text    string
}
