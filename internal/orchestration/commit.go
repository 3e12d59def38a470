package orchestration

import (
	"errors"
	"time"
)

// ErrConflict is what an append returns when the run has moved on: another
// driver holds it. The appender must drop its Run.
var ErrConflict = errors.New("the run has events that this append does not know of")

// ErrNotFound is what a read returns for a run that does not exist, or that is
// another tenant's.
var ErrNotFound = errors.New("no such run")

// ErrUnavailable is wrapped by what an append or a read returns when the
// storage failed. The same call may succeed later.
var ErrUnavailable = errors.New("the journal's storage is unavailable")

// ErrUnreadable is wrapped by what a read returns of a run whose events are there
// and cannot be understood: they are spoilt or, with ErrNewer, of a newer server.
var ErrUnreadable = errors.New("what is kept of the run cannot be read")

// ErrNewer is wrapped by what is refused since only a newer server understands it.
var ErrNewer = errors.New("a newer server has used it. Start that one again, or use a copy from before the upgrade")

// ErrOverloaded is what a start returns when there is no room for another run.
// The same start may succeed later.
var ErrOverloaded = errors.New("there is no room for another run")

// ErrTooManyRuns is what a start returns when the tenant has as many runs as it
// may have that have not ended.
var ErrTooManyRuns = errors.New("the tenant has too many runs that have not ended")

// ErrBudget is what a hold returns when the tenant's budget has no room for it.
var ErrBudget = errors.New("the tenant's budget is spent or held")

// A Commit is everything that becomes durable together, or not at all.
type Commit struct {
	After  int64   // the last seq that the appender knows of: the fence
	Events []Event // of one run, from After+1 on, without gaps
	Row    Row     // the run's row in lists, after these events

	Settled    []Settlement // of the holds of commands that have ended
	Deliveries []Delivery   // that these events owe to the run's webhook
	Cached     []Cached     // what these events add to the tenant's cache

	// With the first events of a run only.
	Key         *Key
	Attachments [][]byte // their bytes, in the order of Spec.Attachments
}

// A Cached is what the tenant's later runs may use in the place of a call. One
// that is there already under that key is replaced.
type Cached struct {
	Tenant  string
	Key     string // SHA-256, in hex, of all that the call depends on
	Output  string
	Expires time.Time
}

// A Row is what lists show of a run, and what a reader asks for to know whether
// it has ended.
type Row struct {
	ID        string
	Tenant    string
	Status    Status
	Seq       int64  // the last event
	Task      string // its beginning, at most 200 bytes
	Labels    map[string]string
	Workflow  string // the template's name; empty: none
	Simulated bool
	Progress  Progress
	CreatedAt time.Time
	StartedAt time.Time // zero: not yet
	EndedAt   time.Time // zero: not yet
}

// maxRowTask is the most bytes of a task that a row holds.
const maxRowTask = 200

// A Key is a caller's idempotency key: while the run exists, the same key of
// the same tenant means that run.
type Key struct {
	Key  string
	Hash [32]byte // SHA-256 of the request's body
}

// A KeyTaken is what an append returns, as an error, when the tenant used the
// key before. Nothing was appended.
type KeyTaken struct {
	Run  string
	Hash [32]byte // of the body that it was used with
}

func (e *KeyTaken) Error() string { return "idempotency key already used for run " + e.Run }

// A Filter selects rows for a list, newest first.
type Filter struct {
	Status        []Status          // any of these; empty: all
	Labels        map[string]string // all of these
	Workflow      string            // of this name, in any version; empty: any or none
	CreatedAfter  time.Time         // zero: no bound
	CreatedBefore time.Time
	Before        string // only runs created before the run of this id: where the last page ended
	Limit         int    // at most so many
}

// A Hold keeps a part of a tenant's budget back for one call to a model, before
// it goes out. It is known by run, command and call: holding the same again
// changes nothing.
type Hold struct {
	Tenant  string
	Run     string
	Command string // the key of the command that makes the call
	Call    int    // from 1, within the command
	CostUSD float64
}

// A Budget is what a tenant may spend in a period.
type Budget struct {
	Period  time.Time // its start, in UTC
	CostUSD float64
}

// A Settlement ends every hold of a run's command: what was spent counts in the
// period that the hold was taken from, of several holds the last call's; the
// rest is free again. Where nothing was held the tenant had no budget, so
// nothing counts. The end of a run frees what its commands still hold.
type Settlement struct {
	Command string // its key
	CostUSD float64
}
