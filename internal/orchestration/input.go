package orchestration

import "time"

// An Input is what the world says to a run, with the time at which it was said
// and, for jitter, a random number in [0, 1).
//
// An input that is late, doubled or about nothing that the run knows gives no
// event: the world may say a thing twice.
type Input struct {
	Time   time.Time
	Random float64
	Said   Said
	// Stopping says that the driver is about to stop: what has ended is heard,
	// and nothing new starts. The run goes on with [Resume].
	Stopping bool
}

// Said is the substance of an input: [Start], [Begin], [Resume], [Drafted], [Planned],
// [Worked], [Compensated], [DecideSubtask], [DecidePlan], [Synthesized], [Due],
// [Cancel] or [Broken].
type Said interface{ said() }

// Start accepts a run. It must be the first input and comes once. The run begins
// at once, unless it has to queue: then with [Begin].
type Start struct {
	ID    string
	Spec  *Spec
	Queue bool
}

// Begin begins a run that queued.
type Begin struct{}

// Resume says that another process has taken the run up from its journal: the
// calls that were in flight are lost.
type Resume struct{}

// Drafted brings the subtasks of a plan that is still being written, as far as they
// are certain: those that came before too, so that one that is lost is made up for by
// the next.
type Drafted struct {
	Attempt  int
	Subtasks []Subtask // the first ones of the answer, not yet checked
}

// Planned is the outcome of a [MakePlan].
type Planned struct {
	Attempt  int
	Plan     Plan      // as read from the model's answer, not yet checked
	Problems []Problem // what could not be read of it
	Answer   string    // the answer's text, for the repair
	Failure  *Failure  // the call failed: there is no answer
	Cached   bool      // it comes from the cache
	Calls    []Call
}

// Worked is the outcome of a [Work].
type Worked struct {
	Subtask   string
	Attempt   int
	Output    string
	Shortened bool // there was no room for all that was to be shown, in the model's window or by what the attempt may spend
	Cached    bool // it comes from the cache
	Failure   *Failure
	Calls     []Call

	Findings []Finding // of the command's checks, in their order; an evaluation that could not be made is a Failure
	Plan     *Plan     // of a plan: as read from the output, not yet checked
	Problems []Problem // of a plan: what could not be read of it
}

// Compensated is the outcome of a [Compensate].
type Compensated struct {
	Subtask string
	Attempt int
	Failure *Failure
}

// DecideSubtask is what a person decides of a subtask that waits.
type DecideSubtask struct {
	Subtask string
	Action  Action
	Output  *string // of an edit
	Comment string
}

// DecidePlan is what a person decides of a plan that waits.
type DecidePlan struct {
	Version int
	Action  Action
	Plan    *Plan // of an edit: the whole new plan
	Comment string
}

// Synthesized is the outcome of a [Synthesize].
type Synthesized struct {
	Attempt   int
	Output    string
	Shortened bool
	Cached    bool // it comes from the cache
	Failure   *Failure
	Calls     []Call
}

// Due says that the timer of a [SetTimer] has come.
type Due struct {
	Timer string
}

// Cancel is the caller's wish to end the run.
type Cancel struct {
	Detail string // why, for people; may be empty
}

// Broken says that to decide on an input panicked, which is a fault of ours. The
// run is given up, so that the process can go on with the others.
type Broken struct{}

func (Broken) said()        {}
func (Start) said()         {}
func (Begin) said()         {}
func (Resume) said()        {}
func (Drafted) said()       {}
func (Planned) said()       {}
func (Worked) said()        {}
func (Compensated) said()   {}
func (DecideSubtask) said() {}
func (DecidePlan) said()    {}
func (Synthesized) said()   {}
func (Due) said()           {}
func (Cancel) said()        {}
