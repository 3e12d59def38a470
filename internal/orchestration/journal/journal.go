// Package journal keeps the events of all runs, and whatever must be committed
// with them: each run's row in lists, its idempotency key, its attachments, what
// it spent of its tenant's budget, the webhook messages that it owes, and what it
// adds to its tenant's cache.
//
// # What is promised
//
// [Journal.Append] returns nil only when the whole commit is durable: a crash
// of the process or of the machine in the next instant loses nothing of it.
// Any error means that nothing of the commit can be seen. Which error says what
// to do next:
//
//   - [orchestration.ErrConflict] is final. The run has moved on, so another
//     driver holds it: drop the Run.
//   - [*orchestration.KeyTaken] is final. The key means another run.
//   - An error that wraps [orchestration.ErrUnavailable] is of the storage. The same commit
//     may be tried again. Storage that fails in the very act of flushing may
//     have kept the commit all the same and show it after a crash, so a second
//     try may meet ErrConflict: then fold the run again from its events.
//   - The context's error means that the commit never left the queue. Once a
//     commit is being written, Append waits for the outcome whatever becomes of
//     the context.
//   - Any other error is a malformed commit: a fault of the caller's code.
//
// Readers, and those who watch, see whole commits only, and only durable ones.
// A row or an attachment that a read returns is the reader's own. Events are
// shared by all who read them: neither they nor their facts must be changed. A
// commit belongs to the journal from the call of Append on: its events, maps and
// bytes must not be changed any more.
//
// What was appended a moment ago may be read as it was given, and later as its
// encoding was decoded. The core's events are the same either way; times are in
// UTC and without a monotonic reading in any case.
//
// # The stored form
//
// The journal has its own form for what it keeps (see encode.go and
// encodeevents.go), apart from the JSON of the API. The API's form follows what
// callers need, with names and shapes that a new version may add to; the stored
// form is read by code that is years younger than the code that wrote it, and is
// changed only by a migration, or in a way that [orchestration.Spec.Format]
// tells apart.
package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// ErrNotEnded is what Delete returns for a run that has not ended. It is a
// conflict, too: what is asked for clashes with where the run is.
var ErrNotEnded = fmt.Errorf("the run has not ended: %w", orchestration.ErrConflict)

// A Journal keeps events. It is safe for concurrent use.
//
// Wherever a limit is asked for, 0 or less is none.
type Journal interface {
	// Append makes a commit durable, or fails as the package's doc says.
	Append(ctx context.Context, c orchestration.Commit) error

	// Row returns a run's row; [orchestration.ErrNotFound] for a run of another
	// tenant too.
	Row(ctx context.Context, tenant, run string) (orchestration.Row, error)

	// Rows lists a tenant's runs, newest first, those created in the same
	// nanosecond by descending id. The bounds CreatedAfter and CreatedBefore
	// are exclusive. A Before that is no run of the tenant (any more) gives
	// [orchestration.ErrNotFound].
	Rows(ctx context.Context, tenant string, f orchestration.Filter) ([]orchestration.Row, error)

	// Unfinished lists the runs of all tenants that have not ended, oldest
	// first: what a driver takes up when it starts.
	Unfinished(ctx context.Context) ([]orchestration.Row, error)

	// Events returns the events with a seq above after, in order, at most limit, and
	// fewer where they are large: there are no more only where there are none.
	// There are none of a run that does not exist. [orchestration.ErrUnreadable] is
	// wrapped by the error where one of them cannot be decoded.
	Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error)

	// Event returns one event, or [orchestration.ErrNotFound].
	Event(ctx context.Context, run string, seq int64) (orchestration.Event, error)

	// Attachment returns the bytes of the run's attachment at place i, from 0,
	// or [orchestration.ErrNotFound].
	Attachment(ctx context.Context, run string, i int) ([]byte, error)

	// Key returns the run that the tenant used an idempotency key for, and the
	// hash of that request's body, or [orchestration.ErrNotFound].
	Key(ctx context.Context, tenant, key string) (run string, hash [32]byte, err error)

	// Delete removes every trace of an ended run: row, events, attachments, key
	// and deliveries, also those that are still pending; what it spent stays
	// spent, and what it added to the cache stays there until it expires. It does the
	// same to a run that has not ended and that is [orchestration.ErrUnreadable], whose
	// holds end with it. [orchestration.ErrNotFound] for a run of another tenant too,
	// [ErrNotEnded] for any other one that has not ended.
	Delete(ctx context.Context, tenant, run string) error

	// Watch has notify called with the run's new row after each commit of the
	// run, in their order, from when the commit is durable and before its Append
	// returns. Those are the commits of this process. notify must not block nor
	// call the journal, and must not change the row. It is not running, and is
	// not called again, once stop has returned.
	Watch(run string, notify func(orchestration.Row)) (stop func())

	// Hold takes a call's cost from what a tenant's budget leaves in its period,
	// durably, before the call goes out: [orchestration.ErrBudget] if what was
	// spent, what is held and this are more than the budget. Holding for the same
	// call again does nothing, whatever its cost is said to be.
	// [orchestration.ErrNotFound] if there is no such run of the tenant,
	// [orchestration.ErrConflict] if it has ended. Costs are counted in
	// nano-dollars, rounded up, and a call's at a million dollars at most.
	Hold(ctx context.Context, h orchestration.Hold, b orchestration.Budget) error

	// Spent returns the dollars that a tenant has spent in the period that starts
	// then, and those that its calls under way hold.
	Spent(ctx context.Context, tenant string, period time.Time) (spent, held float64, err error)

	// Owing receives after a commit of this process has made deliveries due. It
	// holds one signal, for one sender.
	Owing() <-chan struct{}

	// Due lists the pending deliveries of all tenants that are due, those that
	// have been for the longest first, then in the order of their commits.
	Due(ctx context.Context, now time.Time, limit int) ([]orchestration.Owed, error)

	// Tried says what came of a try. [orchestration.ErrNotFound] if no such
	// delivery is pending (any more), as its run may have been deleted meanwhile.
	Tried(ctx context.Context, id string, t orchestration.Try) error

	// Deliveries lists a tenant's deliveries, the newest commit's last first. A
	// Before that is no delivery of the tenant (any more) gives
	// [orchestration.ErrNotFound].
	Deliveries(ctx context.Context, tenant string, f orchestration.DeliveryFilter) ([]orchestration.Owed, error)

	// Redeliver makes a delivery pending and due, as if it had never been tried,
	// whatever has become of it. [orchestration.ErrNotFound] for one of another
	// tenant too.
	Redeliver(ctx context.Context, tenant, id string, now time.Time) error

	// Expire deletes, like Delete, the runs of all tenants that ended before then,
	// those that ended first first, and returns how many: at most so many. Others'
	// appends go between. Runs in a format that only a newer server knows stay. It
	// also removes what was spent in periods that began a year before that.
	Expire(ctx context.Context, endedBefore time.Time, most int) (removed int, err error)

	// Cached returns what a tenant's cache has under a key, if that has not expired.
	// The cache of all tenants is bounded by [Options.CacheBytes]: for what is
	// written, what was written first is evicted, used or not. What is larger than
	// an eighth of the bound is not kept at all.
	Cached(ctx context.Context, tenant, key string, now time.Time) (output string, ok bool, err error)

	// ExpireCached removes what has expired from the caches of all tenants. Others'
	// appends go between.
	ExpireCached(ctx context.Context, now time.Time) error

	// Ready reports whether the journal can append. It is cheap as long as all
	// is well; after a failed append it tries the storage.
	Ready(ctx context.Context) error

	// Close finishes what is being appended and lets the journal go. Appends
	// that come later fail with [orchestration.ErrUnavailable].
	Close() error
}

// Options are what Open may be told.
type Options struct {
	// Standby, if set, is called once if another process holds the journal and
	// Open has to wait for it.
	Standby func()
	// CacheBytes is the most bytes that the cache takes: outputs, and what they are
	// found by. 0 or less: nothing more is kept.
	CacheBytes int64
}

// Open opens the journal that a data source name tells, by its scheme:
//
//	mem:         in memory, gone when closed
//	sqlite:FILE  a SQLite database, created if need be
//
// One process at a time holds a SQLite journal; Open waits until it is free or
// the context ends. It refuses one that a newer server has used in a way that
// this code does not know: a later schema, or a run that goes on in a later
// [orchestration.Spec.Format]. Whatever the store, the events of a run in such a
// format cannot be read.
func Open(ctx context.Context, dsn string, o Options) (Journal, error) {
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch {
	case scheme == "mem" && rest == "":
		return newMem(o.CacheBytes), nil
	case scheme == "sqlite" && rest != "":
		return openSQLite(ctx, rest, o)
	}
	// The rest of a data source name may hold a password.
	return nil, fmt.Errorf("journal of scheme %q: want mem: or sqlite:FILE", scheme)
}

// unavailable marks an error of the storage. A context's error is the caller's
// own doing and stays as it is.
func unavailable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", orchestration.ErrUnavailable, err)
}

var errClosed = fmt.Errorf("%w: closed", orchestration.ErrUnavailable)
